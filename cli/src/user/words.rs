//! What the command line says, in one place: the language of people is changed here.

use std::fmt::Display;
use std::io;
use std::path::Path;

use dinp_common::api::{DeployView, InstanceView, NodeView, RebalanceState, RebalanceView};
use dinp_common::deploy::{Cause, DeployKind, DeployNo, DeployState};
use dinp_common::name::{AppName, NodeName};
use dinp_common::pace::Pace;
use dinp_common::rehearsal::{DrainLeft, PlanView, RebalancePlan};
use dinp_common::release::ReleaseNo;

pub const INTERRUPTED: &str = "interrupted";
pub const LOG_IN: &str = "dinp login URL --token -   (dinp tokens create NAME makes a token, where you are logged in)";
pub const SERVER_DOWN: &str = "is the server running (dinp up)? Is this the right address (DINP_URL, dinp login)?";
pub const CONNECTION_LOST: &str = "run the same command again; dinp status shows what the server knows";
pub const NOT_OUR_API: &str = "is this the address of DINP's API (DINP_URL, dinp login)?";
pub const NO_HOME: &str = "neither XDG_CONFIG_HOME nor HOME is set, so there is no place for the settings";
pub const FIX_FILE: &str = "correct the file, or remove it and log in again";
pub const NO_APP: &str = "no app is named";
pub const NAME_APP: &str = "-a NAME, or DINP_APP, or name in dinp.toml; dinp apps lists them";
pub const NOTHING_TO_DEPLOY: &str = "nothing to deploy is named";
pub const NAME_ARTIFACT: &str = "dinp deploy FILE, or path under [artifact] in dinp.toml";
pub const ARTIFACT_AND_IMAGE: &str = "[artifact] in dinp.toml has both path and image";
pub const NO_NAME_SUGGESTED: &str = "no app is named, and the file's name suggests none";
pub const EMPTY_FILE: &str = "the file is empty";
pub const EMPTY_FOLDER: &str = "the folder has no files";
pub const STAYS_SAME: &str = "nothing was changed: the upload was not complete";
pub const MAYBE_BEGUN: &str = "the server may have begun already: dinp apps";
pub const NO_APPS: &str = "no apps yet. The first one: dinp deploy FILE -a NAME";
pub const NOTHING_YET: &str = "nothing yet";
pub const TOKEN_BY_INPUT: &str = "a token on the command line would stay in the shell's history";
pub const TOKEN_FROM_INPUT: &str = "dinp login URL --token -   and the token on standard input";
pub const NO_TOKEN_GIVEN: &str = "no token was given";
pub const ASK_TOKEN: &str = "Token (not shown): ";
pub const SHOWN_ONCE: &str = "this is the only time it is shown";
pub const KNOWN_ALREADY: &str = "the server has it already";
pub const SERVER_LOST: &str = "the server does not answer; asking again";
pub const NO_NODES: &str = "no node has joined yet";
pub const NOTHING_MOVES: &str = "no instance starts or leaves";
pub const STREAM_LOST: &str = "the connection was lost; opening it again";

pub fn no_runtime(error: &io::Error) -> String {
    format!("the program cannot start: {error}")
}

pub fn cannot_read(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be read: {error}", path.display())
}

pub fn cannot_write(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be written: {error}", path.display())
}

pub fn not_logged_in(url: &str) -> String {
    format!("not logged in to {url}")
}

pub fn bad_token(origin: &str) -> String {
    format!("the token in {origin} is not a whole DINP token; was it cut off?")
}

pub fn logged_in(user: &str, url: &str) -> String {
    format!("logged in to {url} as {user}")
}

pub fn logged_out(url: &str, was: bool) -> String {
    if was { format!("the token for {url} is forgotten; it still exists: dinp tokens list") } else { not_logged_in(url) }
}

pub fn two_apps(name: &AppName, flag: &AppName) -> String {
    format!("two apps are named: {name} and -a {flag}")
}

pub fn app_chosen(app: &AppName, url: &str) -> String {
    format!("{app} ({url})")
}

pub fn name_suggested(app: &AppName, from: &str) -> String {
    format!("no app named: {app}, from {from}; -a NAME chooses another")
}

pub fn manifest_of_another(manifest: &AppName, app: &AppName) -> String {
    format!("dinp.toml here is {manifest}'s, so it is not read for {app}")
}

pub fn no_such_file(path: &Path) -> String {
    format!("there is no file or folder {}", path.display())
}

pub fn not_deployable(path: &Path) -> String {
    format!("{} is neither a file nor a folder", path.display())
}

pub fn special_file(path: &Path) -> String {
    format!("{} is a socket, pipe or device, which no archive can hold", path.display())
}

pub fn too_large(size: &str, limit: &str) -> String {
    format!("it is {size}; an upload may have {limit}")
}

pub fn goes_on(number: DeployNo, app: &AppName) -> String {
    format!("deploy {number} goes on: dinp status {app}")
}

pub fn started(view: &DeployView) -> String {
    format!("deploy {} of {} has begun: dinp status {}", view.number, view.app, view.app)
}

pub fn still_going(view: &DeployView, seconds: u64) -> String {
    format!("deploy {} of {} is not done after {seconds} s", view.number, view.app)
}

pub fn lost_during(view: &DeployView) -> String {
    format!("the server stopped answering while deploy {} of {} was under way", view.number, view.app)
}

/// The end of a deploy that went well, beside the mark: what it was, and what it did.
pub fn done(view: &DeployView, app_flag: &str, elapsed: &str) -> (&'static str, String) {
    let app = &view.app;
    match view.kind {
        DeployKind::Release | DeployKind::Rollback => {
            let undo = if view.from.is_some() { format!("   undo: dinp rollback{app_flag}") } else { String::new() };
            let same = if view.kind == DeployKind::Rollback { format!(" ({})", view.note) } else { String::new() };
            ("live", format!("{}   {}{same} in {elapsed}.{undo}", view.url, from_to(view.from, view.to)))
        }
        DeployKind::Scale if view.from == view.to => ("scaled", format!("{app} to {} in {elapsed}", instances(view.wanted))),
        DeployKind::Scale => {
            ("scaled", format!("{app} to {}, {} in {elapsed}", instances(view.wanted), from_to(view.from, view.to)))
        }
        DeployKind::Restart => ("restarted", format!("{app}   every instance is new, in {elapsed}")),
        DeployKind::Start => ("started", format!("{}   in {elapsed}", view.url)),
        DeployKind::Stop => ("stopped", format!("{app}   no instance takes traffic; again: dinp start {app}")),
        DeployKind::Delete => ("deleted", app.to_string()),
    }
}

fn from_to(from: Option<ReleaseNo>, to: Option<ReleaseNo>) -> String {
    match (from, to) {
        (Some(from), Some(to)) => format!("{from} → {to}"),
        (None, Some(only)) | (Some(only), None) => only.to_string(),
        (None, None) => "live".to_owned(),
    }
}

pub fn instances(n: u32) -> String {
    if n == 1 { "1 instance".to_owned() } else { format!("{n} instances") }
}

/// Tokens of the installation itself never end; their date says so in its own way.
pub fn ends(at: &str) -> &str {
    if at.starts_with("9999-") { "never" } else { at }
}

pub fn draining(view: &DeployView) -> Option<String> {
    let (n, old) = (view.draining, view.from.map_or_else(|| "the old release".to_owned(), |from| from.to_string()));
    let ends = if n == 1 { "ends what it has" } else { "end what they have" };
    (n > 0).then(|| format!("{old} is draining: {} {ends} in flight, then stops", instances(n)))
}

pub fn warning(text: &str) -> String {
    format!("warning: {text}")
}

pub fn rollout_step(view: &DeployView) -> String {
    if view.step.is_empty() { ready(view) } else { format!("{}   {}", ready(view), view.step) }
}

pub fn ready(view: &DeployView) -> String {
    format!("{}/{} ready", view.ready, view.wanted)
}

pub fn instance_step(instance: &InstanceView) -> String {
    let reason = if instance.reason.is_empty() { String::new() } else { format!(": {}", instance.reason) };
    format!("{} {} on {}  {}{reason}", instance.id, instance.release, instance.node, instance.status)
}

pub fn deploy_failed(view: &DeployView, cause: Cause) -> String {
    let how = match cause {
        Cause::BuildFailed => "no image could be built",
        Cause::ImageMissing => "its image cannot be had",
        Cause::CrashedOnStart => "it ends as soon as it starts",
        Cause::NeverHealthy => "it never passed its health check",
        Cause::WrongAddress => "it does not listen where it should",
        Cause::NoRoom => "there is no room for it",
        Cause::StartFailed => "it could not be started",
        Cause::NotRouted => "no router could confirm it",
        Cause::Deadline => "its time ran out",
    };
    format!("deploy {} of {} failed: {how}", view.number, view.app)
}

pub fn superseded(view: &DeployView) -> String {
    format!("deploy {} of {} was superseded by a newer change", view.number, view.app)
}

pub fn dry_run(plan: &PlanView) -> String {
    let built = if plan.after_build { "; what follows once the image is built" } else { "" };
    format!("dry run: {}{built}. Nothing is changed", plan.note)
}

/// How an app's instances are replaced, where its people have said so.
pub fn pace(pace: &Pace) -> Option<String> {
    let surge = pace.max_surge.map(|share| format!("{share} more than wanted at most"));
    let unavailable = pace.max_unavailable.map(|share| format!("{share} fewer at most"));
    let said: Vec<String> = surge.into_iter().chain(unavailable).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

pub fn at_once(plan: &PlanView) -> String {
    format!("at once: at most {} more than wanted, at most {} fewer", plan.surge, plan.unavailable)
}

pub fn filtered(why: &str) -> String {
    format!("filtered: {why}")
}

pub fn would_succeed(plan: &PlanView) -> String {
    let leads = if plan.from == plan.to { String::new() } else { format!(": {}", from_to(plan.from, plan.to)) };
    format!("it would succeed{leads}, if every new instance becomes healthy")
}

pub fn would_fail(plan: &PlanView) -> String {
    format!("{} of {} would fail", plan.note, plan.app)
}

/// A deploy that people held back or cancelled.
pub fn held(view: &DeployView) -> String {
    format!("deploy {} of {}: {}", view.number, view.app, view.step)
}

pub fn resume_or_cancel(view: &DeployView) -> String {
    format!("it goes on with: dinp resume {0}   or ends with: dinp cancel {0}", view.app)
}

pub fn no_deploy(app: &AppName) -> String {
    format!("{app} has no deploy under way")
}

pub fn cancelled(view: &DeployView) -> String {
    format!("deploy {} of {} was cancelled", view.number, view.app)
}

pub fn ended(view: &DeployView) -> String {
    debug_assert!(view.state != DeployState::Succeeded);
    format!("deploy {} of {} ended as {}", view.number, view.app, view.state)
}

pub fn delete_needs_consent(app: &AppName) -> String {
    format!("deleting {app} removes its instances, its releases and its URL, and needs your consent")
}

pub fn ask_delete(app: &AppName) -> String {
    format!("This deletes {app}: its instances, its releases and its URL. Type its name to go on: ")
}

pub fn not_the_name(typed: &str, app: &AppName) -> String {
    format!("\"{typed}\" is not {app}; nothing was changed")
}

pub fn server_version(version: impl Display, url: &str) -> String {
    format!("server {version} at {url}")
}

pub fn server_unknown(url: &str, why: impl Display) -> String {
    format!("server at {url} unknown: {why}")
}

pub fn node_used(view: &NodeView) -> String {
    format!("{}  {}: {}", view.name, view.status, view.reason)
}

pub fn drain_goes_on(node: &NodeName) -> String {
    format!("the drain of {node} goes on: dinp nodes; it ends with: dinp nodes uncordon {node}")
}

pub fn drain_not_done(node: &NodeName, seconds: u64) -> String {
    format!("{node} is not drained after {seconds} s")
}

pub fn drain_stuck(node: &NodeName) -> String {
    format!("{node} is not drained: nothing on it can move")
}

pub const DRAIN_NEEDS_ROOM: &str = "add a node, free one (dinp nodes uncordon NAME) or scale something down";

pub fn drain_wait_for_room() -> String {
    format!("{DRAIN_NEEDS_ROOM}; to wait for room: --timeout 1h")
}

pub fn drain_dry_run(node: &NodeName) -> String {
    format!("dry run: drain of {node}. Nothing is changed")
}

pub fn would_be_drained(node: &NodeName) -> String {
    format!("nothing would be left on {node}")
}

pub fn would_stay(left: &DrainLeft) -> String {
    format!("{} of {} would stay: {}", left.instance, left.app, left.why)
}

pub fn drain_would_not_end(node: &NodeName, left: usize) -> String {
    let left = if left == 1 { "1 instance".to_owned() } else { format!("{left} instances") };
    format!("{left} would be left on {node}")
}

pub fn drain_cancelled(node: &NodeName) -> String {
    format!("the drain of {node} was cancelled")
}

pub const REBALANCE_DRY_RUN: &str = "dry run: rebalance. Nothing is changed";
pub const REBALANCE_GOES_ON: &str = "the rebalance goes on; it ends with: dinp nodes rebalance --cancel";
pub const REBALANCE_CANCELLED: &str = "the rebalance was cancelled";

pub fn would_rebalance(plan: &RebalancePlan) -> String {
    let moves = match plan.moves.len() {
        0 => "nothing would move".to_owned(),
        n => format!("{} would move", instances(n as u32)),
    };
    match &plan.ended {
        Some(why) => format!("{moves}: {why}"),
        None => format!("{moves}, and more after that than a dry run looks ahead"),
    }
}

pub fn rebalance_goes_on_already(view: &RebalanceView) -> String {
    let by = view.by.as_ref().map_or_else(String::new, |by| format!(", asked for by {by}"));
    format!("a rebalance goes on already{by}")
}

pub fn rebalance_not_done(seconds: u64) -> String {
    format!("the rebalance has not ended after {seconds} s")
}

pub fn rebalance_ends(state: RebalanceState) -> &'static str {
    match state {
        RebalanceState::None => "none",
        RebalanceState::Running => "rebalance",
        RebalanceState::Ended => "rebalanced",
        RebalanceState::Cancelled => "cancelled",
    }
}

pub fn orphan(node: impl Display, container: &str, running: bool) -> String {
    let state = if running { "runs" } else { "has ended" };
    format!("{node}: container {container} is ours but recorded nowhere; it {state} and is left alone")
}
