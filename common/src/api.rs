//! The shapes of `/v1`: what the API takes and answers. CLI, dashboard and server share these.

mod nodes;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::{AppKind, AppStatus};
use crate::build::{BuildId, BuildOrder, BuildOutcome, BuildState};
use crate::deploy::{DeployKind, DeployNo, DeployPhase, DeployState, Failure, Strategy};
use crate::digest::{Digest, Image};
use crate::event::Event;
use crate::exit::Exit;
use crate::health::HealthCheck;
use crate::instance::{InstanceId, InstanceStatus, Want};
use crate::kind::{Base, Kind};
use crate::name::{AppName, EnvKey, NodeName, TeamName};
use crate::pace::{Pace, Share};
use crate::placement::Placement;
use crate::release::ReleaseNo;
use crate::size::{Cpu, MiB};

pub use nodes::{DrainState, DrainView, MoveView, NodeDetail, NodeView, RebalanceState, RebalanceView};

/// One page of a list. Follow `next_cursor` for the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next_cursor: Option<String>,
}

/// An app in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppView {
    #[schema(value_type = String)]
    pub name: AppName,
    #[schema(value_type = String)]
    pub team: TeamName,
    pub kind: AppKind,
    pub status: AppStatus,
    /// One sentence: why the status is what it is.
    pub reason: String,
    pub url: String,
    /// Instances wanted; 0 while stopped keeps the number in `instances_when_started`.
    pub instances_wanted: u32,
    pub instances_running: u32,
    pub instances_when_started: u32,
    pub stopped: bool,
    /// The release that serves.
    pub release: Option<ReleaseNo>,
    pub memory: Option<MiB>,
    pub last_deploy: Option<DeployView>,
    /// Grows with every change people make; the ETag's number.
    pub revision: u64,
    pub created_at: String,
}

/// An app with all that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppDetail {
    #[serde(flatten)]
    pub app: AppView,
    pub instances: Vec<InstanceView>,
    pub image: Option<Image>,
    pub port: Option<u16>,
    pub health: Option<HealthCheck>,
    #[serde(flatten)]
    pub pace: Pace,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceView {
    #[schema(value_type = String)]
    pub id: InstanceId,
    #[schema(value_type = String)]
    pub app: AppName,
    pub release: ReleaseNo,
    #[schema(value_type = String)]
    pub node: NodeName,
    pub index: u32,
    pub want: Want,
    pub status: InstanceStatus,
    /// Why: `waiting for GET :8080/health (connection refused)`.
    pub reason: String,
    pub address: Option<String>,
    pub last_exit: Option<Exit>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeployView {
    #[schema(value_type = String)]
    pub app: AppName,
    pub number: DeployNo,
    pub kind: DeployKind,
    pub state: DeployState,
    pub phase: DeployPhase,
    pub strategy: Strategy,
    /// What it is, for people: `deploy of shop.war`.
    pub note: String,
    pub author: String,
    pub from: Option<ReleaseNo>,
    pub to: Option<ReleaseNo>,
    pub build: Option<BuildView>,
    /// Instances of the new release that serve, and how many should.
    pub ready: u32,
    pub wanted: u32,
    /// Old instances that still finish what they have in flight.
    pub draining: u32,
    /// What it waits for just now, in words.
    pub step: String,
    /// Why people hold it back; null while it goes on.
    pub paused: Option<String>,
    /// What of it no node can take as the nodes are; it waits until one can, within its time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Milliseconds of work so far; and after which it fails.
    pub spent_ms: u64,
    pub deadline_ms: u64,
    pub failure: Option<Failure>,
    pub url: String,
    pub created_at: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BuildView {
    pub id: BuildId,
    #[schema(value_type = String)]
    pub app: AppName,
    pub state: BuildState,
    pub file_name: String,
    pub artifact_bytes: u64,
    /// What it was detected as, or said to be.
    pub kind: Option<Kind>,
    pub image: Option<Image>,
    pub dockerfile: Option<String>,
    /// Why it failed, and what to do.
    pub why: Option<String>,
    pub fix: Option<String>,
    pub created_at: String,
}

/// One line of a build's log, as NDJSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BuildLine {
    /// Counts from 0 within the build.
    pub n: u64,
    pub at: String,
    pub text: String,
}

/// `POST /v1/builder/claim?wait=30`: a build that is this builder's until it finishes or stops renewing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BuildClaim {
    /// Proof of the claim, for every later call about this build.
    pub claim: String,
    pub order: BuildOrder,
}

/// `POST /v1/builder/builds/{id}/log`: appends lines and renews the claim, also without lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildLogLines {
    pub claim: String,
    pub lines: Vec<String>,
}

/// `POST /v1/builder/builds/{id}/finish`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildFinish {
    pub claim: String,
    pub outcome: BuildOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReleaseView {
    pub number: ReleaseNo,
    pub note: String,
    pub author: String,
    pub created_at: String,
    pub image: Image,
    pub build: Option<BuildId>,
    pub memory: MiB,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    #[serde(default, skip_serializing_if = "Placement::is_anywhere")]
    pub placement: Placement,
    pub port: u16,
    pub health: HealthCheck,
    /// Names of the environment variables; values are under `/env`.
    pub env: Vec<String>,
    /// The release that serves now.
    pub live: bool,
    /// Its image is still kept, so a rollback to it can work.
    pub kept: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnvItem {
    /// `None` where the value is sealed.
    pub value: Option<String>,
    pub sealed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnvView {
    pub items: BTreeMap<String, EnvItem>,
}

/// `PATCH /v1/apps/{app}/env`: builds a new release on the newest live one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvChange {
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    pub set: BTreeMap<EnvKey, String>,
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub unset: Vec<EnvKey>,
}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "from", deny_unknown_fields)]
pub enum Source {
    /// An artifact uploaded before.
    Artifact {
        #[schema(value_type = String)]
        digest: Digest,
        file_name: String,
        kind: Option<Kind>,
        /// Program and arguments, where the artifact does not say.
        start: Option<Vec<String>>,
    },
    /// An image the nodes have, or can pull: a reference or an id.
    Image { reference: String },
}

/// What a deploy may change beside the image. What is absent stays as it is, or takes its default at first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub instances: Option<u32>,
    pub memory: Option<MiB>,
    /// Processor time to reserve for each instance, as a number of processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// Where its instances may stand. It replaces all that was asked before; `{}` asks for nothing any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    pub port: Option<u16>,
    pub health: Option<HealthCheck>,
    pub stop_grace_seconds: Option<u32>,
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    pub env: BTreeMap<EnvKey, String>,
    pub strategy: Option<Strategy>,
    /// Instances that a rolling deploy may start beside those wanted: `2` or `25%`. It belongs to the app from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "25%")]
    pub max_surge: Option<Share>,
    /// Instances that may be missing while a rolling deploy goes on, never the last one: `1` or `25%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "25%")]
    pub max_unavailable: Option<Share>,
    /// Seconds after which the deploy fails.
    pub timeout_seconds: Option<u32>,
}

impl Settings {
    pub fn pace(&self) -> Pace {
        Pace { max_surge: self.max_surge, max_unavailable: self.max_unavailable }
    }
}

/// `POST /v1/apps/{app}/deploys`. The app is made if it does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    pub source: Source,
    #[serde(default)]
    pub settings: Settings,
}

/// `POST /v1/apps/{app}/scale`. `memory` makes a new release; `instances` alone does not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleRequest {
    pub instances: Option<u32>,
    pub memory: Option<MiB>,
    pub strategy: Option<Strategy>,
}

/// `POST /v1/apps/{app}/rollback`. Without `to`: the release that served before the live one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    pub to: Option<ReleaseNo>,
}

/// `POST /v1/apps/{app}/deploys/{number}/pause`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// Why, for those who find it paused.
    pub reason: Option<String>,
}

/// The answer to an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactView {
    #[schema(value_type = String)]
    pub digest: Digest,
    pub bytes: u64,
    pub file_name: String,
}

/// `GET /v1/apps/{app}/why`: what is wanted, what is held back and why, in sentences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhyView {
    #[schema(value_type = String)]
    pub app: AppName,
    pub status: AppStatus,
    pub sentences: Vec<String>,
    pub instances: Vec<WhyInstance>,
    /// The last deploy, where it failed.
    pub failure: Option<Failure>,
    /// The latest events with a reason, newest first.
    pub events: Vec<Event>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhyInstance {
    #[schema(value_type = String)]
    pub id: InstanceId,
    pub status: InstanceStatus,
    pub text: String,
    pub output: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BaseView {
    pub name: Base,
    /// The image that stands for it: ours, or the operator's.
    pub image: Option<Image>,
    pub ready: bool,
    /// `made from Debian packages`, `set in the configuration`, `not made yet`.
    pub reason: String,
}

/// `POST /v1/sessions`: a one-time link's or an access token's text, for a browser session.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionRequest {
    pub token: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionCreated {
    pub token: String,
    pub user: String,
    /// Seconds until it ends.
    pub expires_in: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Whoami {
    pub user: String,
    pub team: String,
    /// The name of the token that was used.
    pub token: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    pub name: String,
    /// Days until it ends; 365 at most, 90 where nothing is said.
    pub expires_days: Option<u32>,
}

/// A token just made. Its text is never shown again.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreatedToken {
    pub id: String,
    pub name: String,
    pub token: String,
    pub expires_at: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenView {
    pub id: String,
    pub name: String,
    pub kind: String,
    pub created_at: String,
    pub expires_at: String,
}

/// A one-time link into the dashboard.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LinkCreated {
    pub url: String,
    /// Seconds until it ends.
    pub expires_in: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionView {
    pub version: String,
    pub cluster: String,
    /// The domain below which every app has its host.
    pub domain: String,
    /// The port users' traffic comes in by.
    pub port: u16,
}

/// Changes on `/v1/watch` and what they touch; the data of each SSE event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "changed")]
pub enum WatchEvent {
    /// Something about this app changed: read it again.
    App { app: String },
    /// The list of apps or nodes changed.
    Lists,
    /// A new line in the timeline.
    Event { event: Event },
    /// The reader fell behind: read everything again.
    Resync,
}
