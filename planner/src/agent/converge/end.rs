//! Instances that are to be stopped and removed.

use std::time::Duration;

use dinp_common::instance::container_name;
use dinp_common::wire::Assignment;

use super::{Action, Convergence, Effect};
use crate::agent::KILL_AGAIN;
use crate::agent::container::ContainerState;
use crate::agent::track::{Op, Phase, Track};

impl Convergence {
    /// SIGTERM, after the grace SIGKILL, then removal, then `Gone`.
    pub(super) fn end(&mut self, now: Duration, wanted: &Assignment, track: &mut Track, effects: &mut Vec<Effect>) {
        Self::unprobe(track, &wanted.instance, effects);
        let state = self.state(&wanted.instance);
        if state.is_none() && track.absent {
            return track.phase = Phase::Gone;
        }
        let (term, kill) = match track.phase {
            Phase::Ending { term, kill } => (term, kill),
            Phase::Waiting(_) | Phase::Alive | Phase::Dead(_) | Phase::Broken(_) | Phase::Gone => {
                // What failed before it was to be stopped holds nothing back now.
                track.succeeded();
                (None, None)
            }
        };
        track.phase = Phase::Ending { term, kill };
        if now < track.retry_at {
            return;
        }
        let action = match state {
            None => return Self::ask_by_name(wanted, track, effects),
            Some(ContainerState::Created | ContainerState::Exited) => Some(Action::Remove),
            Some(ContainerState::Running) => signal(now, wanted, term, kill),
        };
        match action {
            Some(Action::Terminate) => track.phase = Phase::Ending { term: Some(now), kill },
            Some(Action::Kill) => track.phase = Phase::Ending { term, kill: Some(now) },
            Some(Action::Remove | Action::Start | Action::RestartInPlace) | None => {}
        }
        if let Some(action) = action {
            self.act(track, &wanted.instance, action, effects);
        }
    }
}

impl Convergence {
    /// No list has its container. A list may leave one out, so Docker is asked before it counts as gone.
    pub(super) fn ask_by_name(wanted: &Assignment, track: &mut Track, effects: &mut Vec<Effect>) {
        track.op = Some(Op::Examine);
        let (instance, container) = (wanted.instance.clone(), container_name(&wanted.app, &wanted.instance));
        effects.push(Effect::Examine { instance, container, code: None });
    }
}

/// The signal that is due, if one is.
fn signal(now: Duration, wanted: &Assignment, term: Option<Duration>, kill: Option<Duration>) -> Option<Action> {
    let Some(term) = term else { return Some(Action::Terminate) };
    let due = match kill {
        None => now >= term + grace(wanted),
        Some(kill) => now >= kill + KILL_AGAIN,
    };
    due.then_some(Action::Kill)
}

pub(super) fn grace(wanted: &Assignment) -> Duration {
    Duration::from_secs(wanted.spec.stop_grace_seconds.into())
}
