//! Writes the newest version of a value to disk, beside the work that made it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::state::StateDir;
use crate::tasks::Tasks;

/// The pause after a write that failed, as on a full disk.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A handle on a task that keeps one file up to date. Versions in between may be skipped.
#[derive(Debug)]
pub struct Saver<T> {
    newest: watch::Sender<Option<(u64, Arc<T>)>>,
    saved: watch::Receiver<Saved>,
}

impl<T> Clone for Saver<T> {
    fn clone(&self) -> Self {
        Self { newest: self.newest.clone(), saved: self.saved.clone() }
    }
}

/// The version on disk, and why a newer one is not.
#[derive(Debug, Clone, Default)]
struct Saved {
    version: u64,
    problem: Option<String>,
}

impl<T: Serialize + Send + Sync + 'static> Saver<T> {
    /// Keeps `name` up to date; `version` is on disk already. Ends when the last handle is dropped.
    pub fn spawn(tasks: &Tasks, state: StateDir, name: &'static str, version: u64) -> Self {
        let (newest, mut newer) = watch::channel(None::<(u64, Arc<T>)>);
        let (report, saved) = watch::channel(Saved { version, problem: None });
        let stopping = tasks.stopping();
        // A write that has begun is waited for: it must not reach a disk that another agent uses by then.
        tasks.spawn_whole(async move {
            while let Some(Ok(())) = stopping.run_until_cancelled(newer.changed()).await {
                loop {
                    let newest = newer.borrow_and_update().clone();
                    let Some((version, value)) = newest else { break };
                    let state = state.clone();
                    let written = tokio::task::spawn_blocking(move || state.write(name, &*value)).await;
                    let Some(why) = written.map_err(anyhow::Error::from).flatten().err() else {
                        report.send_replace(Saved { version, problem: None });
                        break;
                    };
                    tracing::error!("{why:#}");
                    report.send_modify(|saved| saved.problem = Some(format!("{why:#}")));
                    if stopping.run_until_cancelled(tokio::time::sleep(AGAIN_AFTER)).await.is_none() {
                        return;
                    }
                }
            }
        });
        Self { newest, saved }
    }

    pub fn save(&self, version: u64, value: T) {
        self.newest.send_replace(Some((version, Arc::new(value))));
    }

    /// Waits until `version` or a newer one is on disk.
    ///
    /// # Errors
    /// Says why it is not, once `within` has passed.
    pub async fn saved(&self, version: u64, within: Duration) -> Result<(), String> {
        let mut saved = self.saved.clone();
        let deadline = Instant::now() + within;
        match tokio::time::timeout_at(deadline, saved.wait_for(|saved| saved.version >= version)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err("the agent is stopping".to_owned()),
            Err(_) => Err(self.saved.borrow().problem.clone().unwrap_or_else(|| "the disk does not answer".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_version_counts_as_saved_only_once_it_is_on_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::open(folder.path()).expect("opens");
        let saver = Saver::spawn(&Tasks::default(), state.clone(), "n.json", 0);
        assert_eq!(saver.saved(0, Duration::ZERO).await, Ok(()));
        saver.save(5, 50u32);
        assert_eq!(saver.saved(5, Duration::from_secs(5)).await, Ok(()));
        assert_eq!(state.read::<u32>("n.json").expect("reads"), Some(50));

        // A folder in the way of the fresh file stands for a disk that takes nothing.
        std::fs::create_dir(folder.path().join("n.json.new")).expect("makes");
        saver.save(6, 60);
        let why = saver.saved(6, Duration::from_millis(500)).await.expect_err("not on disk");
        assert!(why.contains("n.json cannot be written"), "{why}");
        std::fs::remove_dir(folder.path().join("n.json.new")).expect("removes");
        assert_eq!(saver.saved(6, Duration::from_secs(10)).await, Ok(()));
    }
}
