//! Instances that are to be stopped and removed.

use std::time::Duration;

use dinp_common::wire::Assignment;

use super::{Action, Convergence, Effect};
use crate::agent::KILL_AGAIN;
use crate::agent::container::ContainerState;
use crate::agent::track::{Phase, Track};

impl Convergence {
    /// SIGTERM, after the grace SIGKILL, then removal, then `Gone`.
    pub(super) fn end(&mut self, now: Duration, wanted: &Assignment, track: &mut Track, effects: &mut Vec<Effect>) {
        Self::unprobe(track, &wanted.instance, effects);
        let Some(state) = self.state(&wanted.instance) else {
            return track.phase = Phase::Gone;
        };
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
            ContainerState::Created | ContainerState::Exited => Some(Action::Remove),
            ContainerState::Running => signal(now, wanted, term, kill),
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
