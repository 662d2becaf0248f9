//! Waiting for the first right answer, closely enough to be timed.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dinp_tests::http::{self, Answer, Sender};

/// The pause between two looks: what every figure is exact to.
const LOOK: Duration = Duration::from_millis(1);
/// One look takes at most this long. A connection to an address that is not there yet would wait a second.
const LOOK_MOST: Duration = Duration::from_millis(100);
const GIVE_UP: Duration = Duration::from_secs(60);

/// Asks again and again, on a kept connection where there is one, until `right` accepts an answer; says when that was.
pub async fn answer(address: SocketAddr, host: &str, path: &str, right: impl Fn(&Answer) -> bool) -> Instant {
    let begun = Instant::now();
    let mut kept: Option<Sender> = None;
    loop {
        let look = async {
            let mut sender = match kept.take() {
                Some(sender) => sender,
                None => http::connect(address).await?,
            };
            let answer = http::send(&mut sender, host, path).await?;
            // The other side may close; then the next look connects again.
            if sender.ready().await.is_ok() {
                kept = Some(sender);
            }
            anyhow::Ok(answer)
        };
        let seen = tokio::time::timeout(LOOK_MOST, look).await;
        let now = Instant::now();
        if matches!(&seen, Ok(Ok(answer)) if right(answer)) {
            return now;
        }
        assert!(now.duration_since(begun) < GIVE_UP, "no right answer from {host}{path}; the last: {seen:?}");
        tokio::time::sleep(LOOK).await;
    }
}

pub fn is_200(answer: &Answer) -> bool {
    answer.status == hyper::StatusCode::OK
}
