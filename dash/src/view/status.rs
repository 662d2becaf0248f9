//! A status is a dot and a word, never a colour alone.

use dinp_common::api::DeployView;
use dinp_common::app::AppStatus;
use dinp_common::deploy::DeployState;
use dinp_common::instance::InstanceStatus;
use maud::{Markup, html};

/// What a status means to whoever glances at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Ok,
    Busy,
    Warn,
    Bad,
    Idle,
}

impl Tone {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Busy => "busy",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Idle => "idle",
        }
    }

    /// The icon of a page that is about a thing of this tone.
    pub(crate) fn icon(self) -> &'static str {
        match self {
            Self::Ok | Self::Idle => "ok",
            Self::Busy => "busy",
            Self::Warn | Self::Bad => "bad",
        }
    }
}

pub(crate) fn of_app(status: AppStatus) -> Tone {
    match status {
        AppStatus::Running => Tone::Ok,
        AppStatus::Deploying => Tone::Busy,
        AppStatus::Degraded => Tone::Warn,
        AppStatus::Down => Tone::Bad,
        AppStatus::Stopped => Tone::Idle,
    }
}

pub(crate) fn of_instance(status: InstanceStatus) -> Tone {
    match status {
        InstanceStatus::Running => Tone::Ok,
        InstanceStatus::Pending | InstanceStatus::Starting => Tone::Busy,
        InstanceStatus::Unhealthy => Tone::Warn,
        InstanceStatus::Draining | InstanceStatus::Stopped => Tone::Idle,
        InstanceStatus::Failed | InstanceStatus::Lost => Tone::Bad,
    }
}

pub(crate) fn of_deploy(state: DeployState) -> Tone {
    match state {
        DeployState::Running => Tone::Busy,
        DeployState::Succeeded => Tone::Ok,
        DeployState::Failed => Tone::Bad,
        DeployState::Cancelled | DeployState::Superseded => Tone::Idle,
    }
}

pub(crate) fn badge(tone: Tone, word: &str) -> Markup {
    html! { span class={ "status " (tone.class()) } { (word) } }
}

pub(crate) fn app(status: AppStatus) -> Markup {
    badge(of_app(status), status.as_str())
}

pub(crate) fn instance(status: InstanceStatus) -> Markup {
    badge(of_instance(status), status.as_str())
}

pub(crate) fn deploy(deploy: &DeployView) -> Markup {
    match deploy.state {
        DeployState::Running => under_way(deploy, deploy.state.as_str()),
        state => badge(of_deploy(state), state.as_str()),
    }
}

/// A deploy that people hold back is under way and does not move: neither busy nor broken.
pub(crate) fn under_way(deploy: &DeployView, word: &str) -> Markup {
    if deploy.paused.is_some() { badge(Tone::Warn, "Paused") } else { badge(Tone::Busy, word) }
}
