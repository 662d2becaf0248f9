//! People hold a deploy back, let it go on, or cancel it, by the rules of `store/src/hold.rs`.

use dinp_common::deploy::{Deploy, DeployKind, DeployNo, DeployState, Strategy};
use dinp_common::name::AppName;
use dinp_common::plan::Change;
use dinp_planner::apply::apply;

use super::Store;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    Pause,
    Resume,
    Cancel,
}

impl Store {
    /// False where the API refuses it: there is no such running deploy, or it is not to be stopped half-way.
    pub fn hold(&mut self, app: &AppName, number: DeployNo, hold: Hold) -> bool {
        let running = |deploy: &&mut Deploy| deploy.app == *app && deploy.number == number;
        let Some(deploy) = self.tables.deploys.iter_mut().find(running) else { return false };
        match hold {
            Hold::Cancel if deploy.kind == DeployKind::Delete => return false,
            Hold::Cancel => return self.cancel(app, number),
            Hold::Pause if matches!(deploy.kind, DeployKind::Stop | DeployKind::Delete) => return false,
            Hold::Pause if deploy.strategy == Strategy::Recreate => return false,
            Hold::Pause => drop(deploy.paused.get_or_insert_with(|| "paused by somebody".to_owned())),
            Hold::Resume => deploy.paused = None,
        }
        true
    }

    fn cancel(&mut self, app: &AppName, deploy: DeployNo) -> bool {
        let finish = Change::Finish { app: app.clone(), deploy, state: DeployState::Cancelled, failure: None };
        self.note_end(&finish);
        apply(&mut self.tables, std::slice::from_ref(&finish));
        true
    }
}
