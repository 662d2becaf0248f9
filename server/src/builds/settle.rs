//! What a finished build leads to: a release of its deploy, or the deploy's end.

use std::time::Duration;

use dinp_common::api::WatchEvent;
use dinp_common::build::BuildOutcome;
use dinp_common::deploy::{Cause, Deploy, Failure};
use dinp_store::{Build, NewRelease, StoreError};

use super::Builds;
use crate::{explain, spec};

/// The pause between two looks while something is left to settle.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Looks after which what is left is given up: a new leader, or this one's next build, settles it.
const TRIES: u32 = 120;
/// Failures of the store itself in one look, after which it counts as away. Each may take the whole time of a call.
const AWAY_AFTER: usize = 3;
/// Deploys that could not be led on and are named in one line of the log.
const NAMED: usize = 5;

impl Builds {
    /// Settles; what the store does not let through just now, the next looks do.
    pub(super) async fn settle_or_later(&self) {
        let Err(error) = self.settle().await else { return };
        tracing::warn!(error = format!("{error:#}"), "a finished build cannot be carried on; trying again");
        let again = self.clone();
        tokio::spawn(async move {
            let mut last = error;
            for _ in 0..TRIES {
                tokio::time::sleep(AGAIN_AFTER).await;
                match again.settle().await {
                    Ok(()) => return,
                    Err(error) => last = error,
                }
            }
            tracing::error!(error = format!("{last:#}"), "a finished build is not carried on before the next one ends");
        });
    }

    /// Every finished build leads its deploy on. One that cannot be led on holds up no other.
    ///
    /// # Errors
    /// If the store fails, or a deploy could not be led on: it is named.
    pub async fn settle(&self) -> anyhow::Result<()> {
        let built = self.0.store.deploy_list_built().await?;
        let all = built.len();
        let left = each(built, |(deploy, build)| async move {
            let settled = self.settle_one(&deploy, &build).await;
            settled.map_err(|error| Stuck { what: format!("deploy {} of {}", deploy.number, deploy.app), error })
        });
        let Left { stuck, untried } = left.await;
        self.sweep().await?;
        let named: Vec<String> = stuck.iter().take(NAMED).map(|Stuck { what, error }| format!("{what}: {error}")).collect();
        anyhow::ensure!(stuck.is_empty(), "{} of {all} are left: {}", stuck.len() + untried, named.join("; "));
        Ok(())
    }

    async fn settle_one(&self, deploy: &Deploy, build: &Build) -> Result<(), StoreError> {
        let store = &self.0.store;
        let app = store.app_get(&deploy.app).await?;
        match &build.outcome {
            Some(BuildOutcome::Image { image, health, .. }) => {
                let live = match app.and_then(|app| app.live) {
                    Some(live) => store.release_get(&deploy.app, live).await?,
                    None => None,
                };
                let base = live.as_ref().map(|release| &release.spec);
                let spec = spec::merged(base, image.clone(), Some(health.clone()), &deploy.settings);
                let release = NewRelease { spec, note: deploy.note.clone(), build: Some(build.order.id) };
                store.deploy_release(&deploy.app, deploy.number, release).await?;
            }
            Some(BuildOutcome::Failed { why, fix }) => {
                let now = app.as_ref().map_or_else(|| format!("{} is gone", deploy.app), explain::still);
                let failure = Failure { cause: Cause::BuildFailed, why: why.clone(), now, fix: fix.clone(), output: None };
                store.deploy_fail(&deploy.app, deploy.number, failure).await?;
            }
            None => tracing::error!(build = %build.order.id, "a build has ended without an outcome"),
        }
        self.0.cluster.announce(WatchEvent::App { app: deploy.app.to_string() });
        self.0.cluster.nudge();
        Ok(())
    }
}

/// One that could not be led on, and why.
struct Stuck {
    what: String,
    error: StoreError,
}

/// What is left after a look.
#[derive(Default)]
struct Left {
    stuck: Vec<Stuck>,
    /// The store counted as away before their turn.
    untried: usize,
}

/// Does something with each one, whatever came of those before, until the store counts as away.
async fn each<T, Done: Future<Output = Result<(), Stuck>>>(those: Vec<T>, mut act: impl FnMut(T) -> Done) -> Left {
    let (mut left, mut away, mut those) = (Left::default(), 0, those.into_iter());
    while let Some(one) = those.next() {
        let Err(stuck) = act(one).await else { continue };
        away += usize::from(stuck.error.is_transient());
        left.stuck.push(stuck);
        if away == AWAY_AFTER {
            left.untried = those.len();
            break;
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> StoreError {
        StoreError::Conflict { why: "a rule of the tables forbids it".into() }
    }

    fn away() -> StoreError {
        StoreError::Unavailable { why: "no answer within 10 seconds".into() }
    }

    /// Which of eight were done, which are stuck and how many were not tried, with `error` from those that `fails` chooses.
    async fn settled(fails: impl Fn(u32) -> bool, error: StoreError) -> (Vec<u32>, Vec<String>, usize) {
        let mut done = Vec::new();
        let left = each((0..8).collect(), |n: u32| {
            let outcome = if fails(n) { Err(Stuck { what: n.to_string(), error: error.clone() }) } else { Ok(()) };
            if outcome.is_ok() {
                done.push(n);
            }
            std::future::ready(outcome)
        });
        let Left { stuck, untried } = left.await;
        (done, stuck.into_iter().map(|stuck| stuck.what).collect(), untried)
    }

    #[tokio::test]
    async fn one_that_cannot_be_led_on_holds_up_no_other() {
        let (done, stuck, untried) = settled(|n| n < 5, refused()).await;
        assert_eq!((done, stuck.join(""), untried), (vec![5, 6, 7], "01234".to_owned(), 0));
        let (done, stuck, untried) = settled(|n| n == 2, away()).await;
        assert_eq!((done, stuck.join(""), untried), (vec![0, 1, 3, 4, 5, 6, 7], "2".to_owned(), 0), "it may be its own alone");
    }

    #[tokio::test]
    async fn a_store_that_is_away_is_not_asked_for_every_one() {
        let (done, stuck, untried) = settled(|n| n > 0, away()).await;
        assert_eq!((done, stuck.join(""), untried), (vec![0], "123".to_owned(), 4));
    }
}
