//! Why a deploy failed, in words: what happened, what still works, what to do.

use std::net::SocketAddr;

use dinp_common::app::App;
use dinp_common::deploy::{Cause, Deploy, Failure};
use dinp_common::health::{Health, HealthCheck};
use dinp_common::instance::Seen;
use dinp_common::plan::Desired;
use dinp_common::release::RunSpec;
use dinp_common::size::MiB;
use dinp_common::wire::InstanceReport;

use crate::bucket::Bucket;
use crate::plan::{Input, Member};
use crate::rollout::Target;

/// Lines of output that stand beside a failure.
const OUTPUT_LINES: usize = 20;

/// What still works while a deploy of this app has failed.
pub fn still(app: &App) -> String {
    match app.live {
        _ if app.deleted => format!("{} takes no traffic any more, and its record goes with its last container", app.name),
        Some(_) if app.stopped => format!("{} stays stopped", app.name),
        Some(live) => format!("{live} still serves all traffic"),
        None => format!("nothing of {} ran before, so nothing changed for its users", app.name),
    }
}

pub(crate) fn failed_start(desired: &Desired, app: &App, member: &Member<'_>, failed_starts: u32) -> Failure {
    let instance = member.instance;
    let memory = desired.spec(&app.name, instance.release).map_or(MiB(0), |spec| spec.memory);
    let starts = format!("{failed_starts} starts of {} ended before they could serve; the last", instance.release);
    match &member.bucket {
        Bucket::Dead { exit } => {
            let output: Vec<&str> = exit.tail(OUTPUT_LINES).collect();
            let fix = if exit.oom {
                format!("give it more memory: dinp scale -a {} --memory {}", app.name, MiB(memory.0 * 2))
            } else {
                "read its last output, mend the app or its configuration, and deploy again".to_owned()
            };
            Failure {
                cause: Cause::CrashedOnStart,
                why: format!("{starts}: {}", exit.describe(memory)),
                now: still(app),
                fix,
                output: (!output.is_empty()).then(|| output.join("\n")),
            }
        }
        Bucket::Refused { why } => Failure {
            cause: Cause::StartFailed,
            why: format!("{starts} could not be started on {}: {why}", instance.node),
            now: still(app),
            fix: format!("look at the node (dinp nodes) and at the image of {}, then deploy again", instance.release),
            output: None,
        },
        Bucket::Starting { .. }
        | Bucket::Ready
        | Bucket::Unknown
        | Bucket::Sick { .. }
        | Bucket::Lost
        | Bucket::Draining
        | Bucket::Stopping { .. } => Failure {
            cause: Cause::StartFailed,
            why: format!("{starts} disappeared"),
            now: still(app),
            fix: "deploy again".to_owned(),
            output: None,
        },
    }
}

/// How long a start was waited for, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// At its last step.
    AtStep(u64),
    /// Since its instance was placed. How long its last step took of that is not known under every leader.
    InAll(u64),
}

pub(crate) fn never_healthy(input: Input<'_>, app: &App, member: &Member<'_>, waited: Waited) -> Failure {
    let instance = member.instance;
    let (id, release) = (&instance.id, instance.release);
    let report = input.observed.nodes.get(&instance.node).and_then(|node| node.instances.get(id));
    let Some(spec) = input.desired.spec(&app.name, release) else {
        return Failure {
            cause: Cause::NeverHealthy,
            why: "its release is missing".to_owned(),
            now: still(app),
            fix: "deploy again".to_owned(),
            output: None,
        };
    };
    if let Some(Seen::Pending { step }) = report.map(|report| &report.seen) {
        return Failure {
            cause: Cause::StartFailed,
            why: match waited {
                Waited::AtStep(ms) => format!("{id} of {release} was not started; for {} s its step was: {step}", ms / 1000),
                Waited::InAll(ms) => {
                    format!("{id} of {release} was not started within {} s; its last step was: {step}", ms / 1000)
                }
            },
            now: still(app),
            fix: format!("look at {} and its Docker (dinp nodes), then deploy again", instance.node),
            output: None,
        };
    }
    let met = match report.map(|report| &report.seen) {
        Some(Seen::Running { health: Health::Unproven { last: Some(last) }, .. }) => last.clone(),
        Some(Seen::Running { health: Health::Unhealthy { last }, .. }) => last.clone(),
        _ => "no answer".to_owned(),
    };
    let check = spec.health.describe(spec.port);
    let (Waited::AtStep(ms) | Waited::InAll(ms)) = waited;
    let why = format!("{id} of {release} was not healthy after {} s: {check}: {met}", ms / 1000);
    match listening_wrongly(spec, report) {
        Some(listening) => Failure {
            cause: Cause::WrongAddress,
            why: format!("{why}; {listening}"),
            now: still(app),
            fix: format!("make it listen on 0.0.0.0:{} ($PORT), or deploy with the port it uses: --port N", spec.port),
            output: None,
        },
        None => Failure {
            cause: Cause::NeverHealthy,
            why,
            now: still(app),
            fix: match &spec.health {
                HealthCheck::Http { path } => {
                    format!("make {path} answer 200 to 399, or name another check: --health PATH or --health tcp")
                }
                HealthCheck::Tcp => "look at its output: dinp logs; it must accept connections on $PORT".to_owned(),
            },
            output: None,
        },
    }
}

/// `listens on 127.0.0.1:5000; needs 0.0.0.0:8080`, if that is why nobody reaches it.
pub fn listening_wrongly(spec: &RunSpec, report: Option<&InstanceReport>) -> Option<String> {
    let listening = &report?.listening;
    let right = |address: &SocketAddr| address.port() == spec.port && !address.ip().is_loopback();
    if listening.iter().any(right) {
        return None;
    }
    let needs = format!("needs 0.0.0.0:{}", spec.port);
    if listening.is_empty() {
        return Some(format!("it listens on no port; {needs}"));
    }
    let all: Vec<String> = listening.iter().map(ToString::to_string).collect();
    Some(format!("it listens on {}; {needs}", all.join(", ")))
}

pub(crate) fn no_room(desired: &Desired, app: &App, target: &Target, why: &str) -> Failure {
    let memory = target.release.and_then(|release| desired.spec(&app.name, release)).map_or(MiB(0), |spec| spec.memory);
    Failure {
        cause: Cause::NoRoom,
        why: format!("no node had room for one more instance of {memory} within the deadline: {why}"),
        now: still(app),
        fix: "give each instance less memory (--memory), add or free a node, or use --strategy recreate, which stops the \
              old instances first and leaves a gap until the new ones serve"
            .to_owned(),
        output: None,
    }
}

pub(crate) fn not_routed(app: &App, any_live: bool) -> Failure {
    let who = if any_live { "not every router that answers" } else { "no router" };
    Failure {
        cause: Cause::NotRouted,
        why: format!("{who} confirmed the new routes within the deadline"),
        now: still(app),
        fix: "start the router (dinp up starts it; its log says why it stopped), then deploy again".to_owned(),
        output: None,
    }
}

pub(crate) fn deadline(app: &App, deploy: &Deploy, target: &Target, members: &[Member<'_>]) -> Failure {
    let serving = members.iter().filter(|member| target.is(member.instance) && member.bucket.serves()).count();
    Failure {
        cause: Cause::Deadline,
        why: format!(
            "after {} s {serving} of {} instances served and were confirmed by the routers",
            deploy.deadline_ms / 1000,
            target.wanted
        ),
        now: still(app),
        fix: format!("see what holds it back: dinp why {}; allow more time with --timeout", app.name),
        output: None,
    }
}

pub(crate) fn not_gone(app: &App, deploy: &Deploy, members: &[Member<'_>]) -> Failure {
    let left: Vec<String> = members.iter().map(|member| format!("{} on {}", member.instance.id, member.instance.node)).collect();
    Failure {
        cause: Cause::Deadline,
        why: format!("after {} s nobody has confirmed that these are gone: {}", deploy.deadline_ms / 1000, left.join(", ")),
        now: still(app),
        fix: "bring the nodes and routers that are missing back (dinp nodes); the rest happens by itself".to_owned(),
        output: None,
    }
}

pub(crate) fn no_builder(app: &App, deadline_ms: u64) -> Failure {
    Failure {
        cause: Cause::BuildFailed,
        why: format!("no builder finished it within {} minutes", deadline_ms / 60_000),
        now: still(app),
        fix: "look whether a builder runs (dinp up runs one), then deploy again".to_owned(),
        output: None,
    }
}
