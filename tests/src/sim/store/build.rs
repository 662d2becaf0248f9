//! Builds that end, by the rules of `store/src/deploy.rs`.

use dinp_common::build::BuildId;
use dinp_common::deploy::{DeployPhase, DeployState};
use dinp_common::name::AppName;
use dinp_common::plan::Change;
use dinp_common::release::{ReleaseNo, RunSpec};
use dinp_planner::apply::apply;

use super::Store;

impl Store {
    pub(super) fn build_new(&mut self) -> BuildId {
        self.last_build += 1;
        BuildId(self.last_build)
    }

    /// A build has made an image: the deploy that waits for it begins its rollout. `None` if none waits any more.
    pub fn build_succeeded(&mut self, build: BuildId, spec: RunSpec) -> Option<(AppName, ReleaseNo)> {
        let at = self.waiting(build)?;
        let app = self.tables.deploys[at].app.clone();
        let to = self.release_add(&app, spec);
        let deploy = &mut self.tables.deploys[at];
        (deploy.to, deploy.phase) = (Some(to), DeployPhase::Rollout);
        deploy.deadline_ms += deploy.spent_ms;
        Some((app, to))
    }

    pub fn build_failed(&mut self, build: BuildId) {
        let Some(at) = self.waiting(build) else { return };
        let (app, deploy) = (self.tables.deploys[at].app.clone(), self.tables.deploys[at].number);
        let finish = Change::Finish { app, deploy, state: DeployState::Failed, failure: None };
        self.note_end(&finish);
        apply(&mut self.tables, std::slice::from_ref(&finish));
    }

    /// The running deploy that waits for it.
    fn waiting(&self, build: BuildId) -> Option<usize> {
        self.tables.deploys.iter().position(|deploy| deploy.build == Some(build) && deploy.phase == DeployPhase::Build)
    }
}
