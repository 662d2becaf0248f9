//! From probe outcomes to health, and the pace of probing.

use std::time::Duration;

use dinp_common::health::Health;

/// The pause after the first failed probe of an instance that has never answered; it doubles up to [`UNPROVEN_MAX`].
pub const UNPROVEN_FIRST: Duration = Duration::from_millis(10);
pub const UNPROVEN_MAX: Duration = Duration::from_millis(500);
/// The pause between probes of an instance that has answered.
pub const PROVEN_EVERY: Duration = Duration::from_secs(2);
/// Probes in a row that an instance answers before it counts as steady: half a minute.
pub const STEADY_AFTER: u32 = 15;
/// The pause between probes of a steady instance. Each costs as much as all else that an idle node does in a second; the
/// end of a process is seen without one, and a router stops sending to whoever fails.
pub const STEADY_EVERY: Duration = Duration::from_secs(5);
/// The pause after a failed probe of an instance that was healthy: the verdict should not take three full periods.
pub const DOUBT_EVERY: Duration = Duration::from_millis(500);
/// Failures in a row after which a healthy instance is unhealthy.
pub const FAILURES: u32 = 3;
/// How long one probe may take.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The health of one run of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prober {
    health: Health,
    failures: u32,
    /// Probes answered in a row.
    answers: u32,
}

impl Default for Prober {
    fn default() -> Self {
        Self { health: Health::Unproven { last: None }, failures: 0, answers: 0 }
    }
}

impl Prober {
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Takes in an outcome (an error in words) and returns the pause before the next probe.
    pub fn probed(&mut self, outcome: Result<(), String>) -> Duration {
        match outcome {
            Ok(()) => {
                self.failures = 0;
                self.answers = self.answers.saturating_add(1);
                self.health = Health::Healthy;
                if self.answers < STEADY_AFTER { PROVEN_EVERY } else { STEADY_EVERY }
            }
            Err(why) => {
                self.answers = 0;
                self.failures = self.failures.saturating_add(1);
                self.failed(why)
            }
        }
    }

    /// Its process has ended: no further probe is needed to know that it cannot answer. Returns the pause before the next
    /// one, which has the last word all the same.
    pub fn ended(&mut self) -> Duration {
        (self.failures, self.answers) = (FAILURES, 0);
        self.health = Health::Unhealthy { last: "its process has ended".to_owned() };
        PROVEN_EVERY
    }

    fn failed(&mut self, why: String) -> Duration {
        match &mut self.health {
            Health::Unproven { last } => {
                *last = Some(why);
                let doublings = self.failures.saturating_sub(1).min(16);
                (UNPROVEN_FIRST * 2u32.pow(doublings)).min(UNPROVEN_MAX)
            }
            Health::Healthy if self.failures < FAILURES => DOUBT_EVERY,
            Health::Healthy => {
                self.health = Health::Unhealthy { last: why };
                PROVEN_EVERY
            }
            Health::Unhealthy { last } => {
                *last = why;
                PROVEN_EVERY
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(prober: &mut Prober) -> Duration {
        prober.probed(Err("refused".to_owned()))
    }

    #[test]
    fn an_unproven_instance_is_probed_fast_then_slower() {
        let mut prober = Prober::default();
        let pauses: Vec<u128> = (0..8).map(|_| fail(&mut prober).as_millis()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 500, 500]);
        assert_eq!(prober.health(), &Health::Unproven { last: Some("refused".to_owned()) });
        assert_eq!(prober.probed(Ok(())), PROVEN_EVERY);
        assert_eq!(prober.health(), &Health::Healthy);
    }

    #[test]
    fn a_steady_instance_is_probed_less_until_it_fails() {
        let mut prober = Prober::default();
        let pauses: Vec<Duration> = (0..STEADY_AFTER + 1).map(|_| prober.probed(Ok(()))).collect();
        let steady = pauses.iter().filter(|pause| **pause == STEADY_EVERY).count();
        assert_eq!((steady, pauses[0], pauses[STEADY_AFTER as usize]), (2, PROVEN_EVERY, STEADY_EVERY));
        assert_eq!(fail(&mut prober), DOUBT_EVERY);
        assert_eq!(prober.probed(Ok(())), PROVEN_EVERY, "it has to prove itself again");
    }

    #[test]
    fn one_failure_or_two_make_nothing_unhealthy() {
        let mut prober = Prober::default();
        prober.probed(Ok(()));
        fail(&mut prober);
        fail(&mut prober);
        assert_eq!(prober.health(), &Health::Healthy);
        prober.probed(Ok(()));
        fail(&mut prober);
        fail(&mut prober);
        assert_eq!(prober.health(), &Health::Healthy, "failures must be in a row");
        fail(&mut prober);
        assert!(matches!(prober.health(), Health::Unhealthy { .. }));
        prober.probed(Ok(()));
        assert_eq!(prober.health(), &Health::Healthy);
    }

    #[test]
    fn an_ended_process_is_unhealthy_at_once_until_it_answers() {
        let mut prober = Prober::default();
        prober.probed(Ok(()));
        assert_eq!(prober.ended(), PROVEN_EVERY);
        assert!(matches!(prober.health(), Health::Unhealthy { .. }));
        fail(&mut prober);
        assert!(matches!(prober.health(), Health::Unhealthy { .. }), "one refusal more proves nothing else");
        prober.probed(Ok(()));
        assert_eq!(prober.health(), &Health::Healthy);
    }
}
