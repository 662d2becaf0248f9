//! What people may ask for, as the simulator says it, and what the API makes of it for the store.

use dinp_common::api::Settings;
use dinp_common::deploy::{DeployKind, Strategy};
use dinp_common::name::AppName;
use dinp_common::pace::{Pace, Share};
use dinp_common::release::ReleaseNo;
use dinp_store::{Intent, NewRelease, Store};
use dinp_tests::sim::store::wishes::Wish;

use crate::draw::Draw;
use crate::given::{build, intent, spec};

pub fn draw_wish(draw: &mut Draw) -> Wish {
    let n = draw.below(4) as u8;
    match draw.below(12) {
        0..=3 => Wish::Release {
            instances: n.into(),
            spec: spec(n),
            strategy: *draw.one_of(&[Strategy::Rolling, Strategy::Rolling, Strategy::Recreate]),
            built: draw.one_in(3),
            pace: *draw.one_of(&[
                Pace::default(),
                Pace { max_surge: Some(Share::Count(2)), max_unavailable: None },
                Pace { max_surge: Some(Share::Percent(50)), max_unavailable: Some(Share::Count(1)) },
            ]),
        },
        4..=6 => Wish::Scale(n.into()),
        7 => Wish::Restart,
        8 => Wish::Rollback(ReleaseNo(n.into())),
        9 => Wish::Stop,
        10 => Wish::Start,
        _ => Wish::Delete,
    }
}

/// The intent the API begins for a wish; `None` where it refuses before it asks the store: all but a deploy, a stop and
/// a delete build on a release that serves, and a rollback on one that is known.
pub async fn intent_of(store: &Store, app: &AppName, wish: &Wish) -> Option<Intent> {
    let live = store.app_get(app).await.expect("reads").and_then(|app| app.live);
    let of = |kind| intent(app.as_str(), kind);
    match wish {
        Wish::Release { instances, spec, strategy, built, pace: Pace { max_surge, max_unavailable } } => Some(Intent {
            create: true,
            instances: Some(*instances),
            stopped: Some(false),
            strategy: *strategy,
            release: (!built).then(|| NewRelease { spec: spec.clone(), note: String::new(), build: None }),
            build: built.then(build),
            settings: Settings { max_surge: *max_surge, max_unavailable: *max_unavailable, ..Settings::default() },
            ..of(DeployKind::Release)
        }),
        Wish::Stop => Some(Intent { stopped: Some(true), ..of(DeployKind::Stop) }),
        Wish::Delete => Some(Intent { deleted: true, ..of(DeployKind::Delete) }),
        Wish::Scale(_) | Wish::Restart | Wish::Rollback(_) | Wish::Start if live.is_none() => None,
        Wish::Scale(instances) => Some(Intent { instances: Some(*instances), ..of(DeployKind::Scale) }),
        Wish::Restart => Some(Intent { restart: true, ..of(DeployKind::Restart) }),
        Wish::Start => Some(Intent { stopped: Some(false), ..of(DeployKind::Start) }),
        Wish::Rollback(old) => {
            let old = store.release_get(app, *old).await.expect("reads")?;
            let release = Some(NewRelease { spec: old.spec, note: String::new(), build: old.build });
            Some(Intent { release, ..of(DeployKind::Rollback) })
        }
    }
}
