//! What instances write, gathered from their nodes.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use dinp_common::instance::{Instance, InstanceId, Seen};
use dinp_common::name::AppName;
use dinp_common::wire::{Ask, LogLine};
use futures_util::stream::{BoxStream, SelectAll};
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::extract::{App, Asked};
use super::problem::{ApiError, ApiResult};
use super::{AppState, clock, stream as streams};
use crate::explain;

const TAIL: u32 = 100;
/// Lines of the past that one request may ask for, per instance.
const TAIL_MOST: u32 = 10_000;
/// Lines that wait for a slow reader. Beyond, reading from the nodes stops until the reader catches up.
const LINES_WAITING: usize = 256;
/// How long nodes may take to send the past.
const PAST_DEADLINE: Duration = Duration::from_secs(5);
/// Silence after which the past of a followed log counts as complete, so that it can be put in order.
const PAST_QUIET: Duration = Duration::from_millis(100);
/// How often a followed log looks for new instances when nothing was announced.
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
    Ok(streams::lines(&headers, ReceiverStream::new(lines), &state.shutdown))
}

type Lines = BoxStream<'static, LogLine>;

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

    /// Those of them that have a container to ask about; one that is still being made is asked when it is there.
    fn instances(&self) -> Vec<Instance> {
        let snapshot = self.state.cluster.snapshot();
        let has_output = |instance: &Instance| match snapshot.instances.get(&instance.id).map(|report| &report.seen) {
            Some(Seen::Running { .. } | Seen::Exited { .. } | Seen::Stopping) => true,
            Some(Seen::Pending { .. } | Seen::Failed { .. } | Seen::Gone) | None => false,
        };
        self.recorded().into_iter().filter(has_output).collect()
    }

    /// An instance's lines; a log that cannot be read says so in a line of its own.
    async fn open(&self, instance: Instance, tail: u32, follow: bool) -> Lines {
        let (id, node) = (instance.id, instance.node);
        let failed = {
            let (id, node) = (id.clone(), node.clone());
            move |why: String| LogLine {
                at: clock::now(),
                instance: id.clone(),
                stderr: true,
                text: format!("dinp: the log of {id} on {node} cannot be read: {why}"),
            }
        };
        match self.state.cluster.logs(&node, Ask::Logs { instance: id, tail, follow }).await {
            Ok(lines) => ReceiverStream::new(lines).map(move |line| line.unwrap_or_else(&failed)).boxed(),
            Err(error) => stream::once(async move { failed(error.to_string()) }).boxed(),
        }
    }

    async fn past(self, sink: mpsc::Sender<LogLine>) {
        let mut lines = SelectAll::new();
        for instance in self.instances() {
            lines.push(self.open(instance, self.tail, false).await);
        }
        let past = gather(&mut lines, PAST_DEADLINE, PAST_DEADLINE).await;
        self.send_past(past, &sink).await;
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
        let mut lines = SelectAll::new();
        let mut known = BTreeSet::new();
        self.attach(&mut lines, &mut known, self.tail).await;
        let past = gather(&mut lines, PAST_QUIET, PAST_DEADLINE).await;
        self.send_past(past, &sink).await;
        loop {
            // Every branch only waits: what is ready in another one stays ready.
            tokio::select! {
                Some(line) = lines.next(), if !lines.is_empty() => {
                    if sink.send(line).await.is_err() {
                        return;
                    }
                }
                () = sink.closed() => return,
                () = self.state.shutdown.cancelled() => return,
                // A missed announcement is no loss: the next look finds the instance.
                _ = tokio::time::timeout(LOOK_AGAIN, changes.recv()) => self.attach(&mut lines, &mut known, TAIL_MOST).await,
            }
        }
    }

    async fn attach(&self, lines: &mut SelectAll<Lines>, known: &mut BTreeSet<InstanceId>, tail: u32) {
        let instances = self.instances();
        known.retain(|id| instances.iter().any(|instance| instance.id == *id));
        for instance in instances {
            if known.insert(instance.id.clone()) {
                lines.push(self.open(instance, tail, true).await);
            }
        }
    }
}

/// Reads until all streams have ended, nothing has come for `quiet`, or `deadline` is over.
async fn gather(lines: &mut SelectAll<Lines>, quiet: Duration, deadline: Duration) -> Vec<LogLine> {
    let mut past = Vec::new();
    let _ = tokio::time::timeout(deadline, async {
        while let Ok(Some(line)) = tokio::time::timeout(quiet, lines.next()).await {
            past.push(line);
        }
    })
    .await;
    past
}
