//! Watching one deploy until it is final: its build's log, each instance's step, and how it ended.

mod rollout;

use std::future::pending;
use std::time::Duration;

use dinp_client::{Client, ClientError, Items};
use dinp_common::api::{BuildLine, BuildView, DeployView, WatchEvent};
use dinp_common::build::BuildState;
use dinp_common::deploy::{DeployKind, DeployPhase, DeployState};
use dinp_common::size::human_bytes;
use futures_util::StreamExt;
use tokio::time::Instant;

use rollout::Rollout;

use super::failure::{Exit, Failure};
use super::progress::Progress;
use super::session::{Chosen, Session};
use super::words;
use crate::args::{Format, Wait};

/// How often to ask where nothing says that something changed.
const TICK: Duration = Duration::from_millis(500);
/// How long a server may be away before the command gives up: an upgrade takes seconds.
const AWAY: Duration = Duration::from_secs(60);
/// What a deploy may take beyond its own deadline: time without a leader does not count against that one.
const MARGIN: Duration = Duration::from_secs(120);
/// How long the rest of a build's log may take once the build has ended.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Waits for a change people asked for, unless they said not to, and prints how it ended.
pub async fn conclude(
    session: &Session,
    client: &Client,
    chosen: &Chosen,
    view: DeployView,
    wait: &Wait,
    progress: Progress,
) -> Result<(), Failure> {
    session.on_interrupt(words::goes_on(view.number, &view.app));
    view.warnings.iter().for_each(|warning| session.out.say(words::warning(warning)));
    if wait.no_wait {
        progress.clear();
        return session.out.one(&view, view.app.as_str(), |out| out.line(words::started(&view)));
    }
    let patience = wait.timeout.unwrap_or(Duration::from_millis(view.deadline_ms) + MARGIN);
    let mut following = Following::new(client, &progress, view, session.out.verbose);
    let view = following.until_final(patience).await?;
    progress.clear();
    if view.state != DeployState::Succeeded {
        if session.out.format != Format::Table {
            session.out.one(&view, view.app.as_str(), |_| {})?;
        }
        return Err(Failure::deploy(&view));
    }
    let (what, text) = words::done(&view, &chosen.flag, &progress.elapsed());
    session.out.one(&view, view.app.as_str(), |out| {
        use owo_colors::OwoColorize;
        out.line(format!("{} {what:<9} {text}", "✓".green()));
    })?;
    if let Some(draining) = words::draining(&view) {
        session.out.say(format!("  {draining}"));
    }
    Ok(())
}

struct Following<'a> {
    client: &'a Client,
    progress: &'a Progress,
    view: DeployView,
    shown: Shown,
    log: Option<Items<BuildLine>>,
    watch: Option<Items<WatchEvent>>,
}

/// What has been said already, so that only changes are.
#[derive(Default)]
struct Shown {
    kind: bool,
    build: Option<BuildState>,
    log_lines: u64,
    rollout: Rollout,
    /// Since when the server has been away.
    away: Option<Instant>,
}

enum Woken {
    Line(Option<Result<BuildLine, ClientError>>),
    Changed,
    WatchEnded,
    OutOfPatience,
}

impl<'a> Following<'a> {
    fn new(client: &'a Client, progress: &'a Progress, view: DeployView, verbose: bool) -> Self {
        let shown = Shown { rollout: Rollout::new(verbose), ..Shown::default() };
        Self { client, progress, view, shown, log: None, watch: None }
    }

    async fn until_final(&mut self, patience: Duration) -> Result<DeployView, Failure> {
        let give_up = Instant::now() + patience;
        // Opened before the first reading, so that no change falls between the two. Without it the clock serves.
        self.watch = self.client.watch().await.ok();
        loop {
            self.read().await?;
            if self.view.state.is_final() {
                self.rest_of_log().await;
                return Ok(self.view.clone());
            }
            loop {
                match self.wake(give_up).await {
                    Woken::Line(line) => self.build_line(line),
                    Woken::Changed => break,
                    Woken::WatchEnded => {
                        self.watch = None;
                        break;
                    }
                    Woken::OutOfPatience => {
                        let failure = Failure::new(Exit::StillGoingOn, words::still_going(&self.view, patience.as_secs()));
                        return Err(failure.why(&self.view.step).now(words::goes_on(self.view.number, &self.view.app)));
                    }
                }
            }
        }
    }

    /// Waits for a line of the log, a change, or the clock. Dropping a stream's `next` loses nothing.
    async fn wake(&mut self, give_up: Instant) -> Woken {
        let app = self.view.app.as_str();
        let line = async {
            match &mut self.log {
                Some(log) => log.next().await,
                None => pending().await,
            }
        };
        let changed = async {
            let Some(watch) = &mut self.watch else { return pending().await };
            loop {
                match watch.next().await {
                    Some(Ok(WatchEvent::App { app: other })) if other != app => {}
                    Some(Ok(WatchEvent::Event { .. })) => {}
                    Some(Ok(WatchEvent::App { .. } | WatchEvent::Lists | WatchEvent::Resync)) => return Woken::Changed,
                    Some(Err(_)) | None => return Woken::WatchEnded,
                }
            }
        };
        tokio::select! {
            biased;
            line = line => Woken::Line(line),
            woken = changed => woken,
            () = tokio::time::sleep(TICK) => Woken::Changed,
            () = tokio::time::sleep_until(give_up) => Woken::OutOfPatience,
        }
    }

    /// Reads the deploy and its instances and says what changed.
    async fn read(&mut self) -> Result<(), Failure> {
        match self.client.deploy(&self.view.app, self.view.number).await {
            Ok(view) => self.view = view,
            // The record of a deleted app goes with it.
            Err(error) if self.view.kind == DeployKind::Delete && error.status() == Some(404) => {
                self.view.state = DeployState::Succeeded;
                return Ok(());
            }
            Err(error) if error.is_passing() => return self.away(error),
            Err(error) => return Err(error.into()),
        }
        self.shown.away = None;
        if let Some(build) = self.view.build.clone() {
            self.say_build(&build).await;
        }
        if self.view.phase == DeployPhase::Rollout {
            self.say_rollout().await;
        }
        Ok(())
    }

    /// A server that restarts is asked again, for a while: the deploy does not depend on it.
    fn away(&mut self, error: ClientError) -> Result<(), Failure> {
        let since = *self.shown.away.get_or_insert_with(|| {
            self.progress.detail(words::SERVER_LOST);
            Instant::now()
        });
        if since.elapsed() < AWAY {
            return Ok(());
        }
        let failure = Failure::new(Exit::Unreachable, words::lost_during(&self.view)).why(error.to_string());
        Err(failure.now(words::goes_on(self.view.number, &self.view.app)))
    }

    async fn say_build(&mut self, build: &BuildView) {
        if self.log.is_none() && !matches!(self.shown.build, Some(BuildState::Succeeded | BuildState::Failed)) {
            self.log = self.client.build_log(build.id, true).await.ok();
        }
        if let Some(kind) = build.kind.filter(|_| !self.shown.kind) {
            self.shown.kind = true;
            self.progress.step("detect", kind.describe());
        }
        if self.shown.build == Some(build.state) {
            return;
        }
        self.shown.build = Some(build.state);
        match build.state {
            BuildState::Queued => self.progress.doing("build", &format!("{}  waits for a builder", build.id), true),
            BuildState::Running => self.progress.doing("build", &format!("{}  is under way", build.id), true),
            BuildState::Succeeded => {
                self.rest_of_log().await;
                self.progress.step("build", &built(build));
            }
            BuildState::Failed => self.rest_of_log().await,
        }
    }

    fn build_line(&mut self, line: Option<Result<BuildLine, ClientError>>) {
        match line {
            // A log opened again begins at its first line.
            Some(Ok(line)) if line.n >= self.shown.log_lines => {
                self.shown.log_lines = line.n + 1;
                self.progress.detail(&line.text);
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => self.log = None,
        }
    }

    /// The lines still on their way when the build ended.
    async fn rest_of_log(&mut self) {
        let Some(mut log) = self.log.take() else { return };
        let rest = async {
            while let Some(Ok(line)) = log.next().await {
                self.build_line(Some(Ok(line)));
            }
        };
        // Cut short, the log's end is missing on the screen; the server still has it.
        let _ = tokio::time::timeout(LAST_LINES, rest).await;
    }

    async fn say_rollout(&mut self) {
        let now = Instant::now();
        // Instances that cannot be read this time are read the next.
        if let Ok(page) = self.client.instances(&self.view.app).await {
            let lines = self.shown.rollout.instances(&self.view, &page.items, now);
            lines.iter().for_each(|line| self.progress.detail(line));
        }
        if !self.view.state.is_final() {
            let worth_a_line = self.shown.rollout.step(&self.view, now);
            self.progress.doing("roll out", &words::rollout_step(&self.view), worth_a_line);
        }
    }
}

fn built(build: &BuildView) -> String {
    match &build.image {
        Some(image) if image.bytes > 0 => format!("{}  image {}  {}", build.id, image.config.short(), human_bytes(image.bytes)),
        Some(image) => format!("{}  image {}", build.id, image.config.short()),
        None => build.id.to_string(),
    }
}
