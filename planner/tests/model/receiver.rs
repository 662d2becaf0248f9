//! Those who take a leader's word: nodes through their gate, routers by certificates.

use dinp_common::fence::{Fence, FenceRefusal};
use dinp_common::route::{RouteUpdate, TableCert};
use dinp_common::wire::AssignmentVersion;
use dinp_planner::agent::Gate;
use dinp_planner::table::{Applier, SetHash, TableRefusal};

use crate::settings::{Planted, Settings};
use crate::store::cluster;

/// A level on its way, to a node or to a router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub to: usize,
    pub from: usize,
    pub fence: Fence,
    pub revision: u64,
    pub decided: u8,
}

#[derive(Debug, Clone)]
pub struct Receiver {
    pub taker: Taker,
    /// What had an effect here, as a witness of its own.
    pub best: Option<Fence>,
    pub last: Option<(AssignmentVersion, u8)>,
}

#[derive(Debug, Clone)]
pub enum Taker {
    Node { gate: Gate, at: Option<AssignmentVersion> },
    Router(Applier),
}

/// What became of a message.
pub enum Outcome {
    Taken,
    /// It is here already, or something newer of the same leader is.
    Idle,
    /// Refused by one who has seen this epoch.
    Refused(u64),
}

impl Receiver {
    pub fn node() -> Self {
        Self { taker: Taker::Node { gate: Gate::joined(cluster()), at: None }, best: None, last: None }
    }

    pub fn router() -> Self {
        Self { taker: Taker::Router(Applier::default()), best: None, last: None }
    }

    /// The highest epoch and its holder, if a leader was heard.
    pub fn highest(&self) -> Option<&Fence> {
        match &self.taker {
            Taker::Node { gate, .. } => gate.accepted(),
            Taker::Router(applier) => applier.cert().map(|cert| &cert.fence),
        }
    }

    /// A node's process starts again: the gate is on its disk, the last level perhaps not.
    pub fn restart(&mut self, settings: &Settings) {
        if let Taker::Node { gate, at } = &mut self.taker {
            *at = None;
            if settings.has(Planted::GateForgotten) {
                *gate = Gate::joined(cluster());
            }
        }
    }

    /// Takes a message in.
    ///
    /// # Errors
    /// If it has an effect that it must not have.
    pub fn take(&mut self, message: &Message, settings: &Settings) -> Result<Outcome, String> {
        let version = AssignmentVersion { epoch: message.fence.epoch, revision: message.revision };
        let outcome = match &mut self.taker {
            Taker::Node { gate, at } => node_takes(gate, at, message, version, settings),
            Taker::Router(applier) => router_takes(applier, message),
        };
        if matches!(outcome, Outcome::Taken) {
            self.witness(message, version, settings)?;
        }
        Ok(outcome)
    }

    fn witness(&mut self, message: &Message, version: AssignmentVersion, settings: &Settings) -> Result<(), String> {
        let (to, fence) = (message.to, &message.fence);
        if let Some(best) = &self.best {
            best.admits(fence).map_err(|refusal| format!("receiver {to} does what {fence:?} says after {best:?}: {refusal}"))?;
        }
        if let Some((last, decided)) = self.last {
            if last == version && decided != message.decided {
                return Err(format!("{version:?} says two things to receiver {to}"));
            }
            // A store that lost its last writes has forgotten decisions.
            if decided & !message.decided != 0 && !settings.fail_over {
                return Err(format!("receiver {to} goes back to an older decision with {version:?}"));
            }
        }
        self.best = Some(fence.clone());
        self.last = Some((version, message.decided));
        Ok(())
    }
}

/// What `agent/src/core.rs` does, and then `Convergence::take`.
fn node_takes(
    gate: &mut Gate,
    at: &mut Option<AssignmentVersion>,
    message: &Message,
    version: AssignmentVersion,
    settings: &Settings,
) -> Outcome {
    if settings.has(Planted::NodeWithoutGate) {
        return Outcome::Taken;
    }
    if settings.has(Planted::EqualEpochAccepted) && gate.highest().epoch == message.fence.epoch {
        *at = Some(version);
        return Outcome::Taken;
    }
    if gate.admit(&message.fence).is_err() {
        return Outcome::Refused(gate.highest().epoch);
    }
    if at.is_some_and(|at| at > version) {
        return Outcome::Idle;
    }
    *at = Some(version);
    Outcome::Taken
}

/// A router's table, empty, since only its certificate matters here.
fn router_takes(applier: &mut Applier, message: &Message) -> Outcome {
    let hash = SetHash::default().to_hex();
    let cert = TableCert { fence: message.fence.clone(), version: message.revision, count: 0, hash };
    match applier.apply(&RouteUpdate::Full { cert, routes: Vec::new() }) {
        Ok(true) => Outcome::Taken,
        Ok(false) => Outcome::Idle,
        Err(TableRefusal::Fence(FenceRefusal::Older { highest: epoch, .. } | FenceRefusal::OtherHolder { epoch })) => {
            Outcome::Refused(epoch)
        }
        Err(TableRefusal::NotNewer { .. }) => Outcome::Idle,
        Err(refusal) => unreachable!("whole tables of one cluster: {refusal}"),
    }
}
