//! Changes that a leader might commit, of what exists and of what does not.

use dinp_common::app::Backoff;
use dinp_common::deploy::{Deploy, DeployNo, DeployState};
use dinp_common::instance::{InstanceId, Want};
use dinp_common::name::AppName;
use dinp_common::plan::Change;
use dinp_common::rebalance::{Moving, Rebalance};
use dinp_common::release::ReleaseNo;

use crate::draw::Draw;
use crate::given::{failure, name, node, note, place};

pub const APPS: [&str; 3] = ["blog", "shop", "wiki"];
/// Numbers of instances that changes name; some of them exist.
const INSTANCES: u64 = 8;

/// What an app's newest deploy is about, which changes mostly are about too.
#[derive(Debug, Clone, Copy)]
struct Near {
    deploy: u32,
    release: u32,
    generation: u32,
}

/// Draws a change of one of the apps, whose newest deploys `newest` knows.
pub fn draw_change(draw: &mut Draw, newest: impl Fn(&AppName) -> Option<Deploy>) -> Change {
    let app = name(draw.one_of::<&str>(&APPS));
    let sequence = 1 + draw.below(INSTANCES);
    let instance = InstanceId::from_sequence(sequence);
    let near = near(draw, newest(&app));
    let (deploy, n) = (DeployNo(near.deploy), draw.below(1000));
    let address = format!("10.77.0.{}:8080", 2 + draw.below(3)).parse().expect("an address");
    match draw.below(17) {
        0..=2 => place(app.as_str(), near.release, sequence),
        3 => Change::Move { instance, want: *draw.one_of(&[Want::Run, Want::Drain, Want::Stop]), reason: format!("why {n}") },
        4 | 5 => Change::Prove { instance, address },
        6 => Change::Spend { instance, spent_ms: n },
        7 => Change::Forget { instance },
        8 => Change::Progress { app, deploy, spent_ms: n, failed_starts: near.deploy },
        9 => Change::Held { app, deploy, paused_ms: n },
        10 => {
            let failed = draw.one_in(2);
            let state = if failed { DeployState::Failed } else { DeployState::Succeeded };
            Change::Finish { app, deploy, state, failure: failed.then(failure) }
        }
        11 | 12 => Change::Live { app, release: ReleaseNo(near.release), generation: near.generation },
        13 => Change::Backoff { app, backoff: Backoff { crashes: near.release, wait_ms: n, calm_ms: n } },
        14 => Change::Erase { app },
        15 => Change::Rebalance(draw_rebalance(draw, app, n)),
        _ => Change::Note(note("a note", Some(app.as_str()))),
    }
}

/// A state of a rebalance of which there may have been a newer one, or an end.
fn draw_rebalance(draw: &mut Draw, app: AppName, n: u64) -> Rebalance {
    let instance = InstanceId::from_sequence(1 + draw.below(INSTANCES));
    let moving = Moving { instance, app, to: node(&format!("n{}", draw.below(3))), given_up: draw.one_in(3) };
    let (number, ended) = (1 + draw.below(6), draw.one_in(3).then(|| format!("why {n}")));
    let (moved, moves) = (n as u32, if draw.one_in(2) { vec![moving] } else { Vec::new() });
    Rebalance { moved, still_ms: n, moves, ended, ..Rebalance::new(number, "dinp") }
}

/// What the newest deploy is about, or something else.
fn near(draw: &mut Draw, newest: Option<Deploy>) -> Near {
    match newest.filter(|_| !draw.one_in(4)) {
        Some(newest) => {
            let release = newest.to.or(newest.from).map_or(1, |release| release.0);
            Near { deploy: newest.number.0, release, generation: newest.generation }
        }
        None => {
            let number = 1 + draw.below(4) as u32;
            Near { deploy: number, release: number, generation: draw.below(2) as u32 }
        }
    }
}
