//! Partition first: every instance is in exactly one bucket.

use dinp_common::exit::Exit;
use dinp_common::health::Health;
use dinp_common::instance::{Instance, Seen, Want};
use dinp_common::wire::InstanceReport;

use crate::observed::Freshness;

/// Where an instance stands, from what is decided and what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bucket {
    /// It is to run and has not been healthy yet.
    Starting {
        healthy: bool,
    },
    /// Proven, and healthy in the last report.
    Ready,
    /// Proven, and nothing recent is known of it. Unknown is not empty: it keeps its place.
    Unknown,
    /// Proven, and unhealthy now.
    Sick {
        why: String,
    },
    /// It is to run and has ended.
    Dead {
        exit: Exit,
    },
    /// It could not be created or started.
    Refused {
        why: String,
    },
    /// Its node is lost.
    Lost,
    Draining,
    /// To be stopped; `gone` once its agent says that nothing is left.
    Stopping {
        gone: bool,
    },
}

/// The bucket of one instance. `report` is what its node last said of it, if the node is heard at all.
pub fn bucket(instance: &Instance, freshness: Freshness, report: Option<&InstanceReport>) -> Bucket {
    let seen = report.map(|report| &report.seen);
    match instance.want {
        Want::Stop => Bucket::Stopping { gone: matches!(seen, Some(Seen::Gone)) },
        Want::Drain => match seen {
            Some(Seen::Exited { .. } | Seen::Failed { .. } | Seen::Gone) => ended(seen),
            _ => Bucket::Draining,
        },
        Want::Run if freshness == Freshness::Lost => Bucket::Lost,
        Want::Run => match seen {
            Some(Seen::Exited { .. } | Seen::Failed { .. } | Seen::Gone) => ended(seen),
            Some(Seen::Running { health, .. }) if !instance.proven => Bucket::Starting { healthy: *health == Health::Healthy },
            _ if !instance.proven => Bucket::Starting { healthy: false },
            // Its container was made anew elsewhere: it proves itself there before it takes traffic again.
            Some(Seen::Running { address, health }) if instance.moved_to(*address) => {
                Bucket::Starting { healthy: *health == Health::Healthy }
            }
            _ if freshness != Freshness::Fresh => Bucket::Unknown,
            Some(Seen::Running { health: Health::Healthy, .. }) => Bucket::Ready,
            Some(Seen::Running { health: Health::Unhealthy { last }, .. }) => Bucket::Sick { why: last.clone() },
            // An agent that restarted has not probed yet; it was healthy when last seen.
            Some(Seen::Running { health: Health::Unproven { last: None }, .. }) | None => Bucket::Unknown,
            Some(Seen::Running { health: Health::Unproven { last: Some(last) }, .. }) => Bucket::Sick { why: last.clone() },
            Some(Seen::Pending { step }) => Bucket::Sick { why: step.clone() },
            Some(Seen::Stopping) => Bucket::Sick { why: "its container is going".to_owned() },
        },
    }
}

fn ended(seen: Option<&Seen>) -> Bucket {
    match seen {
        Some(Seen::Exited { exit }) => Bucket::Dead { exit: exit.clone() },
        Some(Seen::Failed { why }) => Bucket::Refused { why: why.clone() },
        Some(Seen::Gone | Seen::Stopping | Seen::Pending { .. } | Seen::Running { .. }) | None => {
            Bucket::Refused { why: "its container is gone".to_owned() }
        }
    }
}

impl Bucket {
    /// It takes traffic, as far as anybody knows.
    pub fn serves(&self) -> bool {
        matches!(self, Bucket::Ready | Bucket::Unknown)
    }

    /// It is meant to run and has not ended.
    pub fn runs(&self) -> bool {
        matches!(self, Bucket::Starting { .. } | Bucket::Ready | Bucket::Unknown | Bucket::Sick { .. })
    }
}

#[cfg(test)]
mod tests;
