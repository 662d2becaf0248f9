//! What finished operations and Docker's own announcements teach. Each returns whether to look again.

use std::time::Duration;

use dinp_common::exit::Exit;
use dinp_common::instance::InstanceId;

use super::{Action, Convergence, Found, Outcome};
use crate::agent::container::{Container, ContainerState};
use crate::agent::track::{Op, Phase, Track};

impl Convergence {
    pub(super) fn died(&mut self, now: Duration, id: &InstanceId, code: Option<i64>) -> bool {
        let Some(track) = self.tracks.get_mut(id) else {
            return self.set_state(id, ContainerState::Exited);
        };
        track.code = code;
        match track.op {
            // The start itself is not answered yet, or the word is about the run before: the answer decides.
            Some(Op::Create | Op::Act(Action::Start | Action::RestartInPlace)) => track.ended_meanwhile = true,
            Some(Op::Act(Action::Terminate | Action::Kill | Action::Remove) | Op::Examine) | None => {
                self.set_state(id, ContainerState::Exited);
                if let Some(track) = self.tracks.get_mut(id).filter(|track| track.phase == Phase::Alive) {
                    track.ended(now);
                }
            }
        }
        false
    }

    pub(super) fn destroyed(&mut self, id: &InstanceId, container: &str) -> bool {
        if self.containers.get(id).is_some_and(|known| known.id == container) {
            self.is_gone(id);
        }
        false
    }

    pub(super) fn created(&mut self, now: Duration, id: &InstanceId, outcome: Outcome<String>) -> bool {
        let address = self.addresses.used_by(id);
        let mark = self.mark;
        let Some(track) = finished(&mut self.tracks, id, Op::Create) else { return true };
        match outcome {
            Outcome::Done(container) => {
                track.succeeded();
                track.absent = false;
                let Some((app, release)) = track.creating.take() else { return true };
                let container =
                    Container { id: container, app, instance: id.clone(), release, state: ContainerState::Created, address };
                self.containers.insert(id.clone(), container);
                false
            }
            Outcome::Missing(why) | Outcome::Refused(why) => {
                track.phase = Phase::Broken(why);
                false
            }
            // It may exist, or a container of somebody else has its name: the next list tells.
            Outcome::Conflict(why) | Outcome::Failed(why) => {
                track.lookup = Some(mark);
                let again = track.failed(now);
                track.phase = if again { Phase::Waiting(format!("trying again: {why}")) } else { Phase::Broken(why) };
                true
            }
        }
    }

    pub(super) fn acted(&mut self, now: Duration, id: &InstanceId, action: Action, outcome: Outcome<()>) -> bool {
        let Some(track) = finished(&mut self.tracks, id, Op::Act(action)) else { return true };
        match (action, outcome) {
            (Action::Start | Action::RestartInPlace, Outcome::Done(())) => {
                if action == Action::RestartInPlace {
                    track.row += 1;
                    track.restarted();
                }
                track.alive(now, true);
                let ended = std::mem::take(&mut track.ended_meanwhile);
                // In a restart the word may be about the run before; the next list tells.
                let crashed = ended && action == Action::Start;
                if crashed {
                    track.ended(now);
                }
                self.set_state(id, if crashed { ContainerState::Exited } else { ContainerState::Running });
                ended && !crashed
            }
            (Action::Remove, Outcome::Done(()) | Outcome::Missing(_)) => {
                track.succeeded();
                self.is_gone(id);
                false
            }
            (Action::Terminate | Action::Kill, Outcome::Done(())) => false,
            (Action::Start, Outcome::Refused(why)) => {
                track.phase = Phase::Broken(why);
                false
            }
            (_, Outcome::Missing(why) | Outcome::Conflict(why) | Outcome::Refused(why) | Outcome::Failed(why)) => {
                undone(now, track, action, why);
                true
            }
        }
    }

    pub(super) fn examined(&mut self, now: Duration, id: &InstanceId, found: Found) -> bool {
        let Some(track) = finished(&mut self.tracks, id, Op::Examine) else { return true };
        let known = self.containers.contains_key(id);
        match found {
            // It is there, and no list has told of it yet.
            Found::Running | Found::Ended(_) if !known => {
                track.failed(now);
                return true;
            }
            Found::Running => {
                if track.phase == Phase::Dead(None) {
                    track.phase = Phase::Alive;
                }
                track.code = None;
                self.set_state(id, ContainerState::Running);
            }
            Found::Ended(exit) => {
                track.succeeded();
                if track.phase == Phase::Alive {
                    track.ended(now);
                }
                end_with(track, exit);
                self.set_state(id, ContainerState::Exited);
            }
            Found::Missing => {
                track.succeeded();
                self.is_gone(id);
            }
            Found::Failed(why) => {
                let again = track.failed(now);
                if !again && track.phase == Phase::Dead(None) {
                    let output = format!("(its output could not be read: {why})");
                    let exit = Exit { code: track.code.unwrap_or(-1), oom: false, output };
                    end_with(track, exit);
                }
                return true;
            }
        }
        false
    }

    /// Docker itself has said that there is no such container.
    fn is_gone(&mut self, id: &InstanceId) {
        self.containers.remove(id);
        if let Some(track) = self.tracks.get_mut(id) {
            track.absent = true;
        }
    }

    fn set_state(&mut self, id: &InstanceId, state: ContainerState) -> bool {
        if let Some(container) = self.containers.get_mut(id) {
            container.state = state;
        }
        false
    }
}

fn end_with(track: &mut Track, exit: Exit) {
    track.code = None;
    if track.phase == Phase::Dead(None) {
        track.phase = Phase::Dead(Some(exit));
    }
}

/// An action failed: what it was part of goes back to where it can be tried again.
fn undone(now: Duration, track: &mut Track, action: Action, why: String) {
    let again = track.failed(now);
    match (action, track.phase.clone()) {
        (Action::Start, Phase::Waiting(_)) if again => track.phase = Phase::Waiting(format!("trying again: {why}")),
        (Action::Start, Phase::Waiting(_)) => track.phase = Phase::Broken(why),
        (Action::RestartInPlace, _) => {
            track.row += 1;
            track.restarting = true;
            track.ended_at = now;
        }
        (Action::Terminate, Phase::Ending { kill, .. }) if again => track.phase = Phase::Ending { term: None, kill },
        // A SIGTERM that cannot be sent counts as sent in the end, so that the grace leads to SIGKILL.
        (Action::Start | Action::Terminate | Action::Kill | Action::Remove, _) => {}
    }
}

/// The instance's track, if this is the operation it waits for.
fn finished<'a>(tracks: &'a mut std::collections::BTreeMap<InstanceId, Track>, id: &InstanceId, op: Op) -> Option<&'a mut Track> {
    let track = tracks.get_mut(id).filter(|track| track.op == Some(op))?;
    track.op = None;
    Some(track)
}
