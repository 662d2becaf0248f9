//! Instances that should run, or finish what they have in flight.

use std::time::Duration;

use dinp_common::exit::Exit;
use dinp_common::instance::Want;
use dinp_common::wire::Assignment;

use super::{Action, Convergence, Effect};
use crate::agent::container::ContainerState;
use crate::agent::track::{Op, Phase, Track};

/// The exit code given to a container that somebody removed while it ran.
const REMOVED_CODE: i64 = 137;

impl Convergence {
    pub(super) fn keep(&mut self, now: Duration, wanted: &Assignment, track: &mut Track, effects: &mut Vec<Effect>) {
        match self.state(&wanted.instance) {
            None => self.keep_absent(now, wanted, track, effects),
            Some(ContainerState::Created) => {
                if matches!(track.phase, Phase::Waiting(_)) && wanted.want == Want::Run && now >= track.retry_at {
                    self.act(track, &wanted.instance, Action::Start, effects);
                }
            }
            Some(ContainerState::Running) => self.keep_running(now, wanted, track, effects),
            Some(ContainerState::Exited) => self.keep_exited(now, wanted, track, effects),
        }
    }

    fn keep_absent(&mut self, now: Duration, wanted: &Assignment, track: &mut Track, effects: &mut Vec<Effect>) {
        match &track.phase {
            Phase::Waiting(_) if wanted.want != Want::Run && track.absent => track.phase = Phase::Gone,
            Phase::Waiting(_) if wanted.want != Want::Run => {
                if now >= track.retry_at {
                    Self::ask_by_name(wanted, track, effects);
                }
            }
            Phase::Waiting(_) => self.create(now, wanted, track, effects),
            Phase::Alive | Phase::Dead(None) => {
                Self::unprobe(track, &wanted.instance, effects);
                let output = "its container was removed by someone else, and its output with it".to_owned();
                let exit = Exit { code: track.code.take().unwrap_or(REMOVED_CODE), oom: false, output };
                track.phase = Phase::Dead(Some(exit));
            }
            Phase::Dead(Some(_)) | Phase::Broken(_) | Phase::Ending { .. } | Phase::Gone => {}
        }
    }

    /// A container is created only for a leader that was heard: an assignment read from disk may be long out of date.
    fn create(&mut self, now: Duration, wanted: &Assignment, track: &mut Track, effects: &mut Vec<Effect>) {
        if now < track.retry_at {
            return;
        }
        let taken = match (self.heard, &self.network) {
            (None, _) => Err("waiting to hear from a server".to_owned()),
            (Some(_), Err(why)) => Err(format!("waiting for this node's network: {why}")),
            (Some(_), Ok(())) => self.addresses.take(&wanted.instance).map_err(|none| none.to_string()),
        };
        match taken {
            Ok(address) => {
                track.op = Some(Op::Create);
                track.creating = Some((wanted.app.clone(), wanted.release));
                track.ended_meanwhile = false;
                effects.push(Effect::Create { assignment: Box::new(wanted.clone()), address });
            }
            Err(why) => track.phase = Phase::Waiting(why),
        }
    }

    fn keep_running(&mut self, now: Duration, wanted: &Assignment, track: &mut Track, effects: &mut Vec<Effect>) {
        match &track.phase {
            Phase::Waiting(_) => track.alive(now, false),
            Phase::Alive => {}
            Phase::Dead(_) if track.restarting => {
                track.restarted();
                track.alive(now, true);
            }
            // Its end was already reported, and states only move forward: the leader has replaced it or will.
            Phase::Dead(_) | Phase::Broken(_) | Phase::Ending { .. } | Phase::Gone => return,
        }
        let address = self.addresses.used_by(&wanted.instance);
        let container = self.containers.get(&wanted.instance);
        if let (false, Some(address), Some(container)) = (track.probing, address, container) {
            track.probing = true;
            effects.push(Effect::Probe {
                instance: wanted.instance.clone(),
                container: container.id.clone(),
                run: track.run,
                target: (address, wanted.spec.port).into(),
                check: wanted.spec.health.clone(),
            });
        }
    }

    fn keep_exited(&mut self, now: Duration, wanted: &Assignment, track: &mut Track, effects: &mut Vec<Effect>) {
        Self::unprobe(track, &wanted.instance, effects);
        match &track.phase {
            Phase::Waiting(_) | Phase::Alive => track.ended(now),
            Phase::Dead(_) | Phase::Broken(_) | Phase::Ending { .. } | Phase::Gone => {}
        }
        if now < track.retry_at {
            return;
        }
        match &track.phase {
            Phase::Dead(None) => {
                if let Some(container) = self.containers.get(&wanted.instance) {
                    track.op = Some(Op::Examine);
                    let (instance, container) = (wanted.instance.clone(), container.id.clone());
                    effects.push(Effect::Examine { instance, container, code: track.code });
                }
            }
            Phase::Dead(Some(_)) if wanted.want == Want::Run && self.leaderless(now) && now >= track.restart_at() => {
                self.act(track, &wanted.instance, Action::RestartInPlace, effects);
            }
            Phase::Dead(Some(_)) | Phase::Waiting(_) | Phase::Alive | Phase::Broken(_) | Phase::Ending { .. } | Phase::Gone => {}
        }
    }
}
