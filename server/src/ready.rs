//! What `/readyz` says: whether the store answers.

use std::time::Duration;

use dinp_daemon::admin::Readiness;
use dinp_daemon::beat;
use dinp_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

const STORE: &str = "store";
/// How often the store is asked.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Silence after which the store counts as not answering. A question is not given up then: each one that is costs the
/// store a connection, and it gives up by itself after [`dinp_store::QUERY_DEADLINE`].
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// Not ready until the store has answered once.
pub fn unknown() -> Readiness {
    let readiness = Readiness::default();
    readiness.not_ready(STORE, "it was not asked yet");
    readiness
}

/// Keeps `readiness` as the store answers, until `shutdown`.
pub async fn keep(readiness: Readiness, store: Store, shutdown: CancellationToken) {
    // The lease's row is there in every store, and a server that cannot read it can do nothing.
    let ask = || {
        let store = store.clone();
        async move { store.lease_read().await.map(drop) }
    };
    tokio::select! {
        () = looked_at(&readiness, ask) => {}
        () = shutdown.cancelled() => {}
    }
}

async fn looked_at<A: Future<Output = Result<(), StoreError>>>(readiness: &Readiness, ask: impl Fn() -> A) {
    loop {
        let mut asked = std::pin::pin!(ask());
        let answer = tokio::select! {
            answer = &mut asked => answer,
            () = tokio::time::sleep(ANSWERS_WITHIN) => {
                readiness.not_ready(STORE, format!("no answer within {} seconds", ANSWERS_WITHIN.as_secs()));
                asked.await
            }
        };
        match answer {
            Ok(()) => readiness.ready(STORE),
            Err(error) => readiness.not_ready(STORE, error.to_string()),
        }
        tokio::time::sleep_until(beat::within(LOOK_EVERY)).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;
    use tokio::time::{Instant, sleep, timeout};

    use super::*;

    /// What a store played by a test does with a question.
    #[derive(Clone, Copy, PartialEq)]
    enum Mood {
        Answers,
        Refuses,
        Hangs,
    }

    /// The report as soon as it is as wanted, and how long that took.
    async fn report(readiness: &Readiness, wanted: impl Fn(&[String]) -> bool) -> (Vec<String>, Duration) {
        let begun = Instant::now();
        let met = async {
            loop {
                let report = readiness.report();
                if wanted(&report) {
                    return report;
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        let report = timeout(Duration::from_secs(60), met).await;
        (report.unwrap_or_else(|_| panic!("it stays {:?}", readiness.report())), begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_does_not_answer_is_said_in_words_until_it_answers_again() {
        let (mood, moods) = watch::channel(Mood::Hangs);
        let ask = move || {
            let mut moods = moods.clone();
            async move {
                match *moods.wait_for(|mood| *mood != Mood::Hangs).await.expect("the test plays it") {
                    Mood::Refuses => Err(StoreError::Unavailable { why: "the disk is full".into() }),
                    Mood::Answers | Mood::Hangs => Ok(()),
                }
            }
        };
        let readiness = unknown();
        assert_eq!(readiness.report(), ["store: it was not asked yet"]);
        let looking = readiness.clone();
        tokio::spawn(async move { looked_at(&looking, ask).await });
        for (next, words) in [
            (Mood::Hangs, "store: no answer within 3 seconds"),
            (Mood::Answers, ""),
            (Mood::Refuses, "store: the database is not available: the disk is full"),
            (Mood::Answers, ""),
            (Mood::Hangs, "store: no answer within 3 seconds"),
        ] {
            mood.send_replace(next);
            let (_, took) = report(&readiness, |report| report.join("") == words).await;
            assert!(took <= LOOK_EVERY + ANSWERS_WITHIN + Duration::from_secs(1), "{words} took {took:?}");
        }
    }
}
