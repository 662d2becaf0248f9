//! What a change does to the stored state: the same as the store's SQL, in memory, so that routes and assignments
//! follow from a plan at once and a plan can be checked against its own effect.

use dinp_common::deploy::{DeployNo, DeployState};
use dinp_common::instance::Instance;
use dinp_common::name::AppName;
use dinp_common::plan::{Change, Desired};

/// Applies the changes of one committed plan.
pub fn apply(desired: &mut Desired, changes: &[Change]) {
    changes.iter().for_each(|change| apply_one(desired, change));
}

fn apply_one(desired: &mut Desired, change: &Change) {
    match change {
        Change::Place { instance, sequence } => {
            if let Err(at) = desired.instances.binary_search_by(|other| other.id.cmp(&instance.id)) {
                desired.instances.insert(at, instance.clone());
            }
            desired.next_instance = desired.next_instance.max(sequence + 1);
        }
        Change::Move { instance, want, reason } => {
            if let Some(found) = desired.instances.iter_mut().find(|other| other.id == *instance)
                && found.want < *want
            {
                found.want = *want;
                found.spent_ms = 0;
                found.reason.clone_from(reason);
            }
        }
        Change::Prove { instance, address } => {
            let is_news = |other: &&mut Instance| other.id == *instance && (!other.proven || other.moved_to(*address));
            if let Some(found) = desired.instances.iter_mut().find(is_news) {
                found.proven = true;
                found.address = Some(*address);
                found.spent_ms = 0;
            }
        }
        Change::Spend { instance, spent_ms } => {
            if let Some(found) = desired.instances.iter_mut().find(|other| other.id == *instance) {
                found.spent_ms = *spent_ms;
            }
        }
        Change::Forget { instance } => desired.instances.retain(|other| other.id != *instance),
        Change::Progress { app, deploy, spent_ms, failed_starts } => {
            if let Some(found) = desired.deploys.iter_mut().find(|other| other.app == *app && other.number == *deploy) {
                found.spent_ms = *spent_ms;
                found.failed_starts = *failed_starts;
            }
        }
        Change::Held { app, deploy, paused_ms } => {
            if let Some(found) = desired.deploys.iter_mut().find(|other| other.app == *app && other.number == *deploy) {
                found.paused_ms = *paused_ms;
            }
        }
        Change::Finish { app, deploy, state, .. } => finish(desired, app, *deploy, *state),
        Change::Live { app, release, generation } => {
            if let Some(found) = desired.apps.iter_mut().find(|other| other.name == *app) {
                found.live = Some(*release);
                found.generation = *generation;
            }
        }
        Change::Backoff { app, backoff } => {
            if let Some(found) = desired.apps.iter_mut().find(|other| other.name == *app) {
                found.backoff = *backoff;
            }
        }
        Change::Erase { app } => {
            desired.apps.retain(|other| other.name != *app);
            desired.deploys.retain(|other| other.app != *app);
            desired.releases.retain(|(name, _), _| name != app);
        }
        Change::Rebalance(state) => {
            if state.follows(desired.rebalance.as_ref()) {
                desired.rebalance = Some(state.clone());
            }
        }
        Change::Note(_) => {}
    }
}

fn finish(desired: &mut Desired, app: &AppName, deploy: DeployNo, state: DeployState) {
    let Some(at) = desired.deploys.iter().position(|other| other.app == *app && other.number == deploy) else { return };
    let ended = desired.deploys.remove(at);
    if let Some(before) = ended.before.filter(|_| state == DeployState::Cancelled)
        && let Some(found) = desired.apps.iter_mut().find(|other| other.name == *app)
    {
        (found.instances, found.stopped) = (before.instances, before.stopped);
        found.revision += 1;
    }
}
