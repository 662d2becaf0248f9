//! What instances write, gathered from their nodes.

mod followed;

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use dinp_common::instance::{Instance, InstanceId, Seen};
use dinp_common::name::{AppName, NodeName};
use dinp_common::wire::{Ask, LogLine};
use futures_util::stream::{BoxStream, SelectAll};
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

use super::extract::{App, Asked};
use super::problem::{ApiError, ApiResult};
use super::{AppState, clock, stream as streams};
use crate::cluster::{AskError, Output};
use crate::explain;
use followed::Followed;

const TAIL: u32 = 100;
/// Lines of the past that one request may ask for, per instance.
const TAIL_MOST: u32 = 10_000;
/// Lines that wait for a slow reader. Beyond, reading from the nodes stops until the reader catches up.
const LINES_WAITING: usize = 256;
/// How long nodes may take to send the past.
const PAST_DEADLINE: Duration = Duration::from_secs(5);
/// Silence after which the past of a followed log counts as complete, so that it can be put in order.
const PAST_QUIET: Duration = Duration::from_millis(100);
/// How often a followed log looks for new instances when nothing was announced, and how long it leaves alone what could
/// not be read.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct LogsQuery {
    /// Lines of the past; 100 where nothing is said, 10,000 at most.
    tail: Option<u32>,
    /// Go on with new lines, those of new instances included.
    #[serde(default)]
    follow: bool,
    /// Of this instance only.
    instance: Option<String>,
}

/// An app's log: one line of JSON per line, or server-sent events if the `Accept` header asks for them.
#[utoipa::path(get, path = "/v1/apps/{app}/logs", tag = "apps", operation_id = "app_logs",
    params(("app" = String, Path, description = "the app's name"), LogsQuery),
    responses((status = 200, description = "log lines, oldest first", body = LogLine, content_type = "application/x-ndjson")))]
pub async fn app_logs(
    State(state): State<AppState>,
    App(app): App,
    Asked(query): Asked<LogsQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    super::apps::known(&state, &app).await?;
    let only = query.instance.as_deref().map(InstanceId::parse).transpose()?;
    let reader = Reader { state: state.clone(), app, only, tail: query.tail.unwrap_or(TAIL).min(TAIL_MOST) };
    if let Some(only) = reader.only.as_ref().filter(|_| reader.recorded().is_empty()) {
        return Err(ApiError::not_found("instance_not_found", format!("{} has no instance {only}", reader.app))
            .suggest("its log went with it; the last output of a failed one is under /why"));
    }
    let (sink, lines) = mpsc::channel(LINES_WAITING);
    // The task ends with the reader: its channel closes.
    tokio::spawn(async move { if query.follow { reader.follow(sink).await } else { reader.past(sink).await } });
    Ok(streams::lines(&headers, ReceiverStream::new(lines).map(Ok), &state.shutdown))
}

/// What comes of one instance.
#[derive(Debug)]
enum Heard {
    Line(LogLine),
    /// Nothing more comes; an error says why that was not all.
    Ended {
        instance: InstanceId,
        node: NodeName,
        end: Result<(), AskError>,
    },
}

type Lines = BoxStream<'static, Heard>;

struct Reader {
    state: AppState,
    app: AppName,
    only: Option<InstanceId>,
    tail: u32,
}

impl Reader {
    /// The instances asked for.
    fn recorded(&self) -> Vec<Instance> {
        let snapshot = self.state.cluster.snapshot();
        let wanted = |instance: &&&Instance| self.only.as_ref().is_none_or(|only| *only == instance.id);
        explain::instances_of(&snapshot, &self.app).iter().filter(wanted).map(|instance| (*instance).clone()).collect()
    }

    /// Those of them that have a container to ask about, and whether it runs; one that is still being made is asked when
    /// it is there.
    fn instances(&self) -> Vec<(Instance, bool)> {
        let snapshot = self.state.cluster.snapshot();
        let runs = |instance: &Instance| match snapshot.instances.get(&instance.id).map(|report| &report.seen) {
            Some(Seen::Running { .. }) => Some(true),
            Some(Seen::Exited { .. } | Seen::Stopping) => Some(false),
            Some(Seen::Pending { .. } | Seen::Failed { .. } | Seen::Gone) | None => None,
        };
        self.recorded().into_iter().filter_map(|instance| runs(&instance).map(|runs| (instance, runs))).collect()
    }

    /// An instance's lines and their end.
    fn open(&self, instance: Instance, tail: u32, follow: bool) -> Lines {
        let (id, node) = (instance.id, instance.node);
        let output = self.state.cluster.logs(&node, Ask::Logs { instance: id.clone(), tail, follow });
        let ended = |end| Heard::Ended { instance: id, node, end };
        match output {
            Ok(output) => stream::unfold(Some((output, ended)), heard).boxed(),
            Err(error) => stream::iter([ended(Err(error))]).boxed(),
        }
    }

    async fn past(self, sink: mpsc::Sender<LogLine>) {
        let mut lines = SelectAll::new();
        for (instance, _) in self.instances() {
            lines.push(self.open(instance, self.tail, false));
        }
        let past = gather(&mut lines, PAST_DEADLINE, PAST_DEADLINE, |heard| match heard {
            Heard::Line(line) => Some(line),
            Heard::Ended { instance, node, end } => end.err().map(|error| unreadable(instance, &node, &error)),
        });
        self.send_past(past.await, &sink).await;
    }

    /// Past lines of several instances in the order of their times, then the last of them.
    async fn send_past(&self, mut past: Vec<LogLine>, sink: &mpsc::Sender<LogLine>) {
        past.sort_by(|a, b| a.at.cmp(&b.at));
        let skip = past.len().saturating_sub(self.tail as usize);
        for line in past.into_iter().skip(skip) {
            if sink.send(line).await.is_err() {
                return;
            }
        }
    }

    async fn follow(self, sink: mpsc::Sender<LogLine>) {
        let mut changes = self.state.cluster.watch();
        let mut look = tokio::time::interval(LOOK_AGAIN);
        let (mut lines, mut followed) = (SelectAll::new(), Followed::default());
        self.attach(&mut lines, &mut followed, self.tail);
        let past = gather(&mut lines, PAST_QUIET, PAST_DEADLINE, |heard| followed.take(heard)).await;
        self.send_past(past, &sink).await;
        loop {
            // Every branch only waits: what is ready in another one stays ready.
            tokio::select! {
                Some(heard) = lines.next(), if !lines.is_empty() => {
                    if let Some(line) = followed.take(heard) && sink.send(line).await.is_err() {
                        return;
                    }
                    continue;
                }
                () = sink.closed() => return,
                () = self.state.shutdown.cancelled() => return,
                // A missed announcement is no loss: the next look finds the instance, or its node that is back.
                _ = changes.recv() => {}
                _ = look.tick() => {}
            }
            self.attach(&mut lines, &mut followed, TAIL_MOST);
        }
    }

    /// Asks for what is not being followed: the logs of new instances, and those that were cut off.
    fn attach(&self, lines: &mut SelectAll<Lines>, followed: &mut Followed, tail: u32) {
        let recorded: BTreeSet<InstanceId> = self.recorded().into_iter().map(|instance| instance.id).collect();
        followed.retain(|id| recorded.contains(id));
        for (instance, running) in self.instances() {
            if let Some(tail) = followed.wants(&instance.id, running, tail, Instant::now()) {
                followed.opened(instance.id.clone(), tail);
                lines.push(self.open(instance, tail, true));
            }
        }
    }
}

/// The next that comes of an output: its lines, then its end.
async fn heard<E: FnOnce(Result<(), AskError>) -> Heard>(open: Option<(Output, E)>) -> Option<(Heard, Option<(Output, E)>)> {
    let (mut output, ended) = open?;
    match output.next().await {
        Some(line) => Some((Heard::Line(line), Some((output, ended)))),
        None => Some((ended(output.end().await), None)),
    }
}

/// The line that stands for what cannot be read.
fn unreadable(instance: InstanceId, node: &NodeName, error: &AskError) -> LogLine {
    let text = format!("dinp: the log of {instance} on {node} cannot be read: {error}");
    LogLine { at: clock::now(), instance, stderr: true, text }
}

/// Reads until all streams have ended, nothing has come for `quiet`, or `deadline` is over; answers the lines that `take`
/// makes of it.
async fn gather(
    lines: &mut SelectAll<Lines>,
    quiet: Duration,
    deadline: Duration,
    mut take: impl FnMut(Heard) -> Option<LogLine>,
) -> Vec<LogLine> {
    let mut past = Vec::new();
    // What does not come in time comes later, if it is followed, or not at all.
    let _ = tokio::time::timeout(deadline, async {
        while let Ok(Some(heard)) = tokio::time::timeout(quiet, lines.next()).await {
            past.extend(take(heard));
        }
    })
    .await;
    past
}
