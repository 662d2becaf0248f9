//! What a node does about its assignments.
//!
//! A level-triggered machine: every event updates what is known, and then each instance it concerns takes at most
//! one step towards what is wanted. Effects name a container by its id and are never repeated while one is under
//! way, so that the same event twice has no further effect. While Docker's list is unknown nothing is stopped,
//! removed or created. An instance that no assignment mentions is left alone.

mod end;
mod keep;
mod operations;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use dinp_common::exit::Exit;
use dinp_common::health::{Health, HealthCheck};
use dinp_common::instance::{InstanceId, Want};
use dinp_common::wire::{Assignment, AssignmentVersion, Assignments, ImagesKept};

use super::addresses::{Addresses, Range};
use super::container::{Container, ContainerState};
use super::track::{Op, Phase, Track};
pub use report::Observed;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// Time passed.
    Tick,
    /// Assignments from the leader, admitted by the gate.
    Assigned(Assignments),
    /// The network is ready; containers get addresses from this range.
    Network(Range),
    /// The network is not ready, and why.
    NoNetwork(String),
    /// A list of all our containers, asked for when [`Convergence::mark`] was `since`; or why there is none.
    Listed {
        since: u64,
        containers: Result<Vec<Container>, String>,
    },
    /// Docker says that a container ended.
    Died {
        instance: InstanceId,
        code: Option<i64>,
    },
    /// Docker says that a container is gone.
    Destroyed {
        instance: InstanceId,
        container: String,
    },
    Created {
        instance: InstanceId,
        outcome: Outcome<String>,
    },
    Acted {
        instance: InstanceId,
        action: Action,
        outcome: Outcome<()>,
    },
    Examined {
        instance: InstanceId,
        found: Found,
    },
    /// A probe changed its verdict, or what it says.
    Probed {
        instance: InstanceId,
        run: u32,
        health: Health,
        listening: Vec<SocketAddr>,
    },
}

/// Something to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Create the container of this assignment at this address.
    Create {
        assignment: Box<Assignment>,
        address: Ipv4Addr,
    },
    Act {
        action: Action,
        instance: InstanceId,
        container: String,
    },
    /// Read how a container ended, or whether there is one: `container` is its id, or its name where no id is known. `code`
    /// is what Docker announced.
    Examine {
        instance: InstanceId,
        container: String,
        code: Option<i64>,
    },
    /// Probe until told otherwise. `run` comes back with each verdict.
    Probe {
        instance: InstanceId,
        container: String,
        run: u32,
        target: SocketAddr,
        check: HealthCheck,
    },
    Unprobe {
        instance: InstanceId,
    },
    /// List the containers again soon: an outcome is unknown.
    List,
}

/// What is done to one existing container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// The first start. The address table must be on disk before.
    Start,
    /// A further start of a crashed container, while no leader is heard.
    RestartInPlace,
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
    Remove,
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T> {
    Done(T),
    /// What it was about does not exist.
    Missing(String),
    /// The state of things is otherwise than thought: look again.
    Conflict(String),
    /// Docker understood and refuses; trying again is pointless.
    Refused(String),
    /// It failed or its outcome is unknown.
    Failed(String),
}

/// What an examination of an ended container found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Ended(Exit),
    /// It runs: the word of its end was about an earlier run.
    Running,
    Missing,
    Failed(String),
}

/// Whether the list of containers is known.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Listing {
    Never(Option<String>),
    Known,
    Unknown(String),
}

/// The assignments in force.
#[derive(Debug)]
struct Level {
    at: AssignmentVersion,
    instances: BTreeMap<InstanceId, Assignment>,
    images: ImagesKept,
}

#[derive(Debug)]
pub struct Convergence {
    level: Option<Level>,
    tracks: BTreeMap<InstanceId, Track>,
    containers: BTreeMap<InstanceId, Container>,
    listing: Listing,
    addresses: Addresses,
    /// Whether the network exists, and `addresses` is about its range; else why not.
    network: Result<(), String>,
    /// When a leader was last heard, in this life of the agent.
    heard: Option<Duration>,
    listed_at: Option<Duration>,
    /// Counts what this machine learns about containers; a list says nothing of those learned about since it began.
    mark: u64,
    marks: BTreeMap<InstanceId, u64>,
}

impl Convergence {
    /// Begins with the address table from disk and, if there is one, the level that was in force before. What comes
    /// from disk keeps containers going; only a leader that is heard has new ones created.
    pub fn new(addresses: Addresses, before: Option<Assignments>) -> Self {
        let mut machine = Self {
            level: None,
            tracks: BTreeMap::new(),
            containers: BTreeMap::new(),
            listing: Listing::Never(None),
            addresses,
            network: Err("it was not looked at yet".to_owned()),
            heard: None,
            listed_at: None,
            mark: 0,
            marks: BTreeMap::new(),
        };
        if let Some(before) = before {
            machine.take(before);
        }
        machine
    }

    pub fn mark(&self) -> u64 {
        self.mark
    }

    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The Docker id of an instance's container.
    pub fn container(&self, instance: &InstanceId) -> Option<String> {
        self.containers.get(instance).map(|container| container.id.clone())
    }

    pub fn images(&self) -> Option<&ImagesKept> {
        self.heard.and(self.level.as_ref()).map(|level| &level.images)
    }

    /// Takes in an event at `now`, the time since the agent started, and says what to do.
    pub fn step(&mut self, now: Duration, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Tick => {}
            Event::Assigned(assignments) => {
                self.heard = Some(now);
                self.take(assignments);
            }
            Event::Network(range) => {
                self.addresses.move_to(range);
                self.network = Ok(());
            }
            Event::NoNetwork(why) => self.network = Err(why),
            Event::Listed { since, containers } => self.listed(now, since, containers, &mut effects),
            Event::Died { instance, code } => return self.one(now, &instance, |machine, id| machine.died(now, id, code)),
            Event::Destroyed { instance, container } => {
                return self.one(now, &instance, |machine, id| machine.destroyed(id, &container));
            }
            Event::Created { instance, outcome } => {
                return self.one(now, &instance, |machine, id| machine.created(now, id, outcome));
            }
            Event::Acted { instance, action, outcome } => {
                return self.one(now, &instance, |machine, id| machine.acted(now, id, action, outcome));
            }
            Event::Examined { instance, found } => {
                return self.one(now, &instance, |machine, id| machine.examined(now, id, found));
            }
            Event::Probed { instance, run, health, listening } => {
                self.probed(&instance, run, health, listening);
                return effects;
            }
        }
        self.all(now, &mut effects);
        effects
    }

    fn one(&mut self, now: Duration, id: &InstanceId, learn: impl FnOnce(&mut Self, &InstanceId) -> bool) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.learned(id);
        if learn(self, id) {
            effects.push(Effect::List);
        }
        self.converge(now, id, &mut effects);
        effects
    }

    fn all(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let assigned = self.level.iter().flat_map(|level| level.instances.keys());
        let ids: BTreeSet<InstanceId> = assigned.chain(self.tracks.keys()).chain(self.addresses.users()).cloned().collect();
        for id in ids {
            self.converge(now, &id, effects);
        }
    }

    /// Puts assignments in force, unless they are older than those which are. A wanted state never moves back.
    fn take(&mut self, assignments: Assignments) {
        let at = assignments.at();
        if self.level.as_ref().is_some_and(|level| level.at > at) {
            return;
        }
        self.addresses.release(&assignments.released);
        let before = self.level.take().map(|level| level.instances).unwrap_or_default();
        let instances = assignments.instances.into_iter().map(|mut assignment| {
            if let Some(before) = before.get(&assignment.instance) {
                assignment.want = assignment.want.max(before.want);
            }
            (assignment.instance.clone(), assignment)
        });
        self.level = Some(Level { at, instances: instances.collect(), images: assignments.images });
    }

    fn listed(&mut self, now: Duration, since: u64, containers: Result<Vec<Container>, String>, effects: &mut Vec<Effect>) {
        let containers = match (containers, &self.listing) {
            (Ok(containers), _) => containers,
            (Err(why), Listing::Never(_)) => return self.listing = Listing::Never(Some(why)),
            (Err(why), _) => return self.listing = Listing::Unknown(why),
        };
        self.listing = Listing::Known;
        self.listed_at.get_or_insert(now);
        let (marks, tracks) = (&self.marks, &self.tracks);
        let news = |id: &InstanceId| {
            marks.get(id).is_none_or(|mark| *mark <= since) && tracks.get(id).is_none_or(|track| track.op.is_none())
        };
        let listed: BTreeMap<InstanceId, Container> =
            containers.into_iter().map(|container| (container.instance.clone(), container)).collect();
        let missed: Vec<InstanceId> =
            self.containers.keys().filter(|id| !listed.contains_key(*id) && news(id)).cloned().collect();
        let told: Vec<_> = listed.into_iter().filter(|(id, _)| news(id)).collect();
        for (id, container) in told {
            if let Some(track) = self.tracks.get_mut(&id) {
                track.absent = false;
            }
            self.containers.insert(id, container);
        }
        for id in missed {
            self.ask_for(&id, effects);
        }
        self.marks.retain(|_, mark| *mark > since);
        for track in self.tracks.values_mut() {
            track.lookup = track.lookup.filter(|mark| *mark > since);
        }
        for container in self.containers.values() {
            if let Some(address) = container.address.filter(|_| self.addresses.used_by(&container.instance).is_none()) {
                self.addresses.adopt(&container.instance, address);
            }
        }
    }

    /// A list does not have a container that is known, which may be the list's fault: Docker is asked for it by its id.
    fn ask_for(&mut self, id: &InstanceId, effects: &mut Vec<Effect>) {
        let Some(container) = self.containers.get(id).map(|container| container.id.clone()) else { return };
        self.tracks.entry(id.clone()).or_insert_with(Track::new).op = Some(Op::Examine);
        effects.push(Effect::Examine { instance: id.clone(), container, code: None });
    }

    fn probed(&mut self, id: &InstanceId, run: u32, health: Health, listening: Vec<SocketAddr>) {
        if let Some(track) = self.tracks.get_mut(id).filter(|track| track.run == run && track.phase == Phase::Alive) {
            track.probed = true;
            track.listening = if health == Health::Healthy { Vec::new() } else { listening };
            track.health = health;
        }
    }

    fn learned(&mut self, id: &InstanceId) {
        self.mark += 1;
        self.marks.insert(id.clone(), self.mark);
    }

    /// One step for one instance, if one is due and none is under way.
    fn converge(&mut self, now: Duration, id: &InstanceId, effects: &mut Vec<Effect>) {
        let assignment = self.level.as_ref().and_then(|level| level.instances.get(id)).cloned();
        let Some(assignment) = assignment else { return self.leave(id, effects) };
        let mut track = self.tracks.remove(id).unwrap_or_else(Track::new);
        if track.op.is_none() && track.lookup.is_none() {
            match (&self.listing, assignment.want) {
                (Listing::Known, Want::Run | Want::Drain) => self.keep(now, &assignment, &mut track, effects),
                (Listing::Known, Want::Stop) => self.end(now, &assignment, &mut track, effects),
                (Listing::Never(_) | Listing::Unknown(_), _) => self.wait(&mut track),
            }
        }
        if track.op.is_some() {
            self.learned(id);
        }
        self.tracks.insert(id.clone(), track);
        self.cool_if_gone(id);
    }

    /// Docker's list is unknown: nothing happens, and an instance without a container says what it waits for.
    fn wait(&self, track: &mut Track) {
        let why = match &self.listing {
            Listing::Never(Some(why)) | Listing::Unknown(why) => format!("waiting for Docker: {why}"),
            Listing::Never(None) | Listing::Known => "waiting for Docker".to_owned(),
        };
        if let Phase::Waiting(step) = &mut track.phase {
            *step = why;
        }
    }

    /// An instance without an assignment: its container, if there is one, keeps running as an orphan.
    fn leave(&mut self, id: &InstanceId, effects: &mut Vec<Effect>) {
        if let Some(track) = self.tracks.get_mut(id) {
            if std::mem::take(&mut track.probing) {
                effects.push(Effect::Unprobe { instance: id.clone() });
            }
            if track.op.is_none() && track.lookup.is_none() {
                self.tracks.remove(id);
            }
        }
        self.cool_if_gone(id);
    }

    /// Begins the quarantine of an address whose container is known to be gone, and not about to be made.
    fn cool_if_gone(&mut self, id: &InstanceId) {
        let about_to_be = self
            .tracks
            .get(id)
            .is_some_and(|track| track.op.is_some() || track.lookup.is_some() || matches!(track.phase, Phase::Waiting(_)));
        if self.listing == Listing::Known && !about_to_be && !self.containers.contains_key(id) {
            self.addresses.cool(id);
        }
    }

    fn leaderless(&self, now: Duration) -> bool {
        now.saturating_sub(self.heard.unwrap_or_default()) >= super::LEADERLESS_AFTER
    }

    fn state(&self, id: &InstanceId) -> Option<ContainerState> {
        self.containers.get(id).map(|container| container.state)
    }

    /// Marks an action as under way and asks for it.
    fn act(&self, track: &mut Track, id: &InstanceId, action: Action, effects: &mut Vec<Effect>) {
        if let Some(container) = self.containers.get(id) {
            track.op = Some(Op::Act(action));
            track.ended_meanwhile = false;
            effects.push(Effect::Act { action, instance: id.clone(), container: container.id.clone() });
        }
    }

    fn unprobe(track: &mut Track, id: &InstanceId, effects: &mut Vec<Effect>) {
        if std::mem::take(&mut track.probing) {
            effects.push(Effect::Unprobe { instance: id.clone() });
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
