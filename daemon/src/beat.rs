//! The moments at which the periodic work of a process falls together.
//!
//! To wake an idle processor costs about 100 µs, more than most of what is done then. Work whose exact moment does not
//! matter waits for the next common one, so that ten loops wake their process as often as one.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::time::Instant;

/// The time between two moments.
pub const BEAT: Duration = Duration::from_millis(500);

/// Where moments are counted from.
static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The last moment that is at most `pause` away: what waits for it waits for `pause` or up to a beat less, and once it is
/// in step, for as many whole beats as there are in `pause`. A pause below a beat is left as it is.
pub fn within(pause: Duration) -> Instant {
    after(Instant::now(), pause, *FIRST)
}

fn after(now: Instant, pause: Duration, first: Instant) -> Instant {
    if pause < BEAT {
        return now + pause;
    }
    // How far `now` is behind the moment before it. Clocks that tests stop may stand before the first.
    let behind = match now.checked_duration_since(first) {
        Some(since) => since.as_nanos() % BEAT.as_nanos(),
        None => (BEAT.as_nanos() - first.duration_since(now).as_nanos() % BEAT.as_nanos()) % BEAT.as_nanos(),
    };
    let ahead = (behind + pause.as_nanos()) / BEAT.as_nanos() * BEAT.as_nanos() - behind;
    now + Duration::from_nanos(u64::try_from(ahead).unwrap_or(u64::MAX / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn waits_end_together_and_never_later_than_asked() {
        let first = Instant::now() + ms(100_000);
        let end = |at: u64, pause: u64| (after(first + ms(at), ms(pause), first) - first).as_millis();
        assert_eq!([end(0, 1_000), end(1, 1_000), end(499, 1_000), end(500, 1_000)], [1_000, 1_000, 1_000, 1_500]);
        assert_eq!([end(3, 500), end(497, 500), end(501, 5_000)], [500, 500, 5_500]);
        assert_eq!([end(7, 499), end(7, 10)], [506, 17], "a pause below a beat is left as it is");
        let before = |back: u64| first - after(first - ms(back), ms(2_000), first);
        assert_eq!([before(99_999), before(99_600)], [ms(98_000), ms(98_000)], "a clock that stands before the first");
        assert_eq!(before(99_500), ms(97_500));
    }

    #[tokio::test(start_paused = true)]
    async fn loops_that_begin_at_any_time_are_in_step_from_then_on() {
        let mut ends = Vec::new();
        for late in [1, 130, 450] {
            tokio::time::sleep(ms(late)).await;
            for _ in 0..3 {
                tokio::time::sleep_until(within(ms(1_000))).await;
                // Whatever they do meanwhile.
                let woke = Instant::now();
                tokio::time::sleep(ms(late / 2)).await;
                ends.push((woke.into_std() - FIRST.into_std()).as_millis() % BEAT.as_millis());
            }
        }
        assert!(ends.iter().all(|end| *end <= 1), "{ends:?}");
    }
}
