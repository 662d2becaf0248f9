//! Every number a decision uses, with its unit and its reason.

use dinp_common::pace::{Pace, Share};

/// The numbers of one cluster. Tests and operators may choose others; nothing else hard-codes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// One pass stands for at most this much time, so that an outage of the database ends no deploy.
    pub pass_most_ms: u64,
    /// A node that has been silent this long is suspect: nothing new is placed on it. Agents report every second.
    pub suspect_after_ms: u64,
    /// A node that has been silent this long is lost, and its instances are replaced elsewhere.
    pub lost_after_ms: u64,
    /// Returns of a node count as one that comes and goes while they lie within this time.
    pub flap_window_ms: u64,
    /// How long a node that has come back twice of late must be heard until it takes new instances; each further return
    /// doubles it. Coming back once costs nothing: a reboot is no reason to leave a machine idle.
    pub flap_first_ms: u64,
    /// Where the doubling stops.
    pub flap_most_ms: u64,
    /// If at least this share of all nodes is lost at once (in percent), nothing is replaced: the fault is ours.
    pub mass_loss_percent: u32,
    /// A node that was lost counts among them for so long after its return: who can come back at all does so within this
    /// time of the first, since agents try again every few seconds.
    pub mass_settle_ms: u64,
    /// A router that has been silent this long is not waited for. Routers report every second.
    pub router_silent_after_ms: u64,
    /// Extra instances of a rolling deploy, in percent of those wanted; at least one.
    pub surge_percent: u32,
    /// Instances of a rolling deploy that may be withdrawn before their successors serve, in percent of those wanted;
    /// never the last one. 0, since users should feel nothing; more lets a deploy through where no room is left for one
    /// instance more.
    pub unavailable_percent: u32,
    /// Instances of one app that move off draining nodes at once, in percent of those wanted; at least one. What moves
    /// starts anew and warms up, which an app should not do with all it has.
    pub drain_percent: u32,
    /// Instances of the whole cluster that a rebalance moves at once, and never two of one app. Nothing is urgent about it:
    /// with two, one that starts slowly does not hold up the rest, and machines hardly feel what starts.
    pub rebalance_at_once: u32,
    /// A move for the balance must leave its new node less full than its old one was, by so much of that in percent. Less is
    /// not worth a start, and the next deploy would undo it.
    pub rebalance_gain_percent: u32,
    /// Moves that may fail until a rebalance ends; more than one, since one app may have its own trouble.
    pub rebalance_failures: u32,
    /// How long a rebalance waits without anything moving until it ends: longer than a start may take, or most deploys.
    pub rebalance_still_most_ms: u64,
    /// Whether a rebalance begins by itself when a node has joined or come back. Not unless people say so: every move is
    /// a start that nobody asked for.
    pub rebalance_on_join: bool,
    /// How long a new instance may stand at one step before its container runs: waiting, being created, being started.
    /// Docker answers within seconds, or is hung.
    pub create_grace_ms: u64,
    /// How long a new instance may take from its container's start until it is healthy. Java apps need tens of seconds
    /// on a small machine.
    pub start_grace_ms: u64,
    /// How long an instance of the live release may take until another is tried in its place. Longer than a deploy
    /// allows: after a reboot everything starts at once.
    pub hung_start_ms: u64,
    /// New instances that may end before they were healthy until the deploy fails; more than one, since a database
    /// that blinks must not fail a deploy.
    pub failed_starts: u32,
    /// How long a proven instance must be unhealthy before the timeline says so.
    pub unhealthy_said_after_ms: u64,
    /// How long a proven instance may be unhealthy until it is replaced.
    pub unhealthy_grace_ms: u64,
    /// How long a withdrawn instance may finish what it has in flight.
    pub drain_grace_ms: u64,
    /// Taken off the drain grace for tunnels, so that a WebSocket is closed politely before its instance stops.
    pub tunnel_margin_ms: u64,
    /// Crashes beyond the first that cost no wait, one for each other instance that is wanted, up to this many: a
    /// reboot of the machine ends them all at once and is no loop.
    pub backoff_free_crashes: u32,
    /// The first wait of the crash back-off; the first crash of a good release is replaced at once.
    pub backoff_first_ms: u64,
    /// Where the doubling stops.
    pub backoff_most_ms: u64,
    /// Without a crash for this long, the next one counts as the first.
    pub backoff_calm_ms: u64,
    /// How long a deploy may be held back by people, all its pauses together. Beyond, it is cancelled: a pause that is
    /// forgotten over a night must not leave an app between two releases for good.
    pub pause_most_ms: u64,
    /// How long a build may take, waiting for a builder included.
    pub build_deadline_ms: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            pass_most_ms: 2_000,
            suspect_after_ms: 3_000,
            lost_after_ms: 10_000,
            flap_window_ms: 300_000,
            flap_first_ms: 15_000,
            flap_most_ms: 240_000,
            mass_loss_percent: 50,
            mass_settle_ms: 15_000,
            router_silent_after_ms: 3_000,
            surge_percent: 25,
            unavailable_percent: 0,
            drain_percent: 25,
            rebalance_at_once: 2,
            rebalance_gain_percent: 20,
            rebalance_failures: 3,
            rebalance_still_most_ms: 300_000,
            rebalance_on_join: false,
            create_grace_ms: 60_000,
            start_grace_ms: 60_000,
            hung_start_ms: 300_000,
            failed_starts: 3,
            unhealthy_said_after_ms: 1_000,
            unhealthy_grace_ms: 10_000,
            drain_grace_ms: 30_000,
            tunnel_margin_ms: 5_000,
            backoff_free_crashes: 9,
            backoff_first_ms: 1_000,
            backoff_most_ms: 300_000,
            backoff_calm_ms: 600_000,
            pause_most_ms: 86_400_000,
            build_deadline_ms: 1_800_000,
        }
    }
}

impl Policy {
    /// Instances a rolling deploy may start beyond those wanted. At least one unless it may do without some: with
    /// neither, nothing could ever be replaced.
    pub fn surge(&self, pace: Pace, wanted: u32) -> u32 {
        let surge = pace.max_surge.unwrap_or(Share::Percent(self.surge_percent)).of_at_least(wanted);
        if pace.max_surge.is_some() && self.unavailable(pace, wanted) > 0 { surge } else { surge.max(1) }
    }

    /// Instances a rolling deploy may do without while it goes on.
    pub fn unavailable(&self, pace: Pace, wanted: u32) -> u32 {
        let share = pace.max_unavailable.unwrap_or(Share::Percent(self.unavailable_percent));
        share.of_at_most(wanted).min(wanted.saturating_sub(1))
    }

    /// Nothing could ever be replaced by an app's own words: none more, and none less.
    pub fn moves_nothing(&self, pace: Pace) -> bool {
        let is_none = |share: Share| matches!(share, Share::Count(0) | Share::Percent(0));
        let unavailable = pace.max_unavailable.unwrap_or(Share::Percent(self.unavailable_percent));
        pace.max_surge.is_some_and(is_none) && is_none(unavailable)
    }

    /// Instances of one app that move off draining nodes at once.
    pub fn drain_at_once(&self, wanted: u32) -> u32 {
        (wanted * self.drain_percent).div_ceil(100).max(1)
    }

    /// The wait after the `crashes`th crash in a row of an app that wants this many instances; crashes seen in
    /// one pass count once.
    pub fn backoff_ms(&self, crashes: u32, wanted: u32) -> u64 {
        match crashes.saturating_sub(wanted.saturating_sub(1).min(self.backoff_free_crashes)) {
            0 | 1 => 0,
            n => self.backoff_first_ms.saturating_mul(1 << (n - 2).min(20)).min(self.backoff_most_ms),
        }
    }

    /// How long a node must be heard after its last return, of so many of late, until it takes new instances.
    pub fn flap_hold_ms(&self, times: u32) -> u64 {
        match times {
            0 | 1 => 0,
            n => self.flap_first_ms.saturating_mul(1 << (n - 2).min(20)).min(self.flap_most_ms),
        }
    }

    /// All steps of a start together: being created, being started, becoming healthy. However often it says that it
    /// moves, a new instance has no longer.
    pub fn start_most_ms(&self) -> u64 {
        self.create_grace_ms.saturating_mul(2).saturating_add(self.start_grace_ms)
    }

    /// Whether the numbers go together; every contradiction by name.
    pub fn check(&self) -> Result<(), Contradictions> {
        let rules = [
            (self.pass_most_ms > 0, "pass_most_ms is 0: no time would ever pass"),
            (self.suspect_after_ms > 0, "suspect_after_ms is 0: every node would always be suspect"),
            (self.suspect_after_ms < self.lost_after_ms, "lost_after_ms is not above suspect_after_ms"),
            ((1..=100).contains(&self.mass_loss_percent), "mass_loss_percent is not 1 to 100"),
            (self.router_silent_after_ms > 0, "router_silent_after_ms is 0: no router would ever be waited for"),
            (self.router_silent_after_ms < self.lost_after_ms, "router_silent_after_ms is not below lost_after_ms"),
            (self.flap_first_ms <= self.flap_most_ms, "flap_first_ms is above flap_most_ms"),
            (self.flap_most_ms <= self.flap_window_ms, "flap_most_ms is above flap_window_ms: no hold would last so long"),
            (self.surge_percent <= 100, "surge_percent is above 100"),
            (self.unavailable_percent <= 100, "unavailable_percent is above 100"),
            (self.drain_percent <= 100, "drain_percent is above 100"),
            (self.rebalance_at_once > 0, "rebalance_at_once is 0: no rebalance would ever move anything"),
            ((1..=100).contains(&self.rebalance_gain_percent), "rebalance_gain_percent is not 1 to 100"),
            (self.rebalance_failures > 0, "rebalance_failures is 0: no rebalance would ever move anything"),
            (self.rebalance_still_most_ms > self.start_most_ms(), "rebalance_still_most_ms is not above what a start may take"),
            (self.create_grace_ms > 0, "create_grace_ms is 0: no container could ever be created"),
            (self.start_grace_ms > 0, "start_grace_ms is 0: no instance could ever become healthy"),
            (self.failed_starts > 0, "failed_starts is 0: every deploy would fail"),
            (self.unhealthy_said_after_ms <= self.unhealthy_grace_ms, "unhealthy_said_after_ms is above unhealthy_grace_ms"),
            (self.backoff_first_ms <= self.backoff_most_ms, "backoff_first_ms is above backoff_most_ms"),
            (self.backoff_most_ms <= self.backoff_calm_ms, "backoff_most_ms is above backoff_calm_ms"),
            (self.build_deadline_ms > 0, "build_deadline_ms is 0: no build could ever end"),
            (self.pause_most_ms > 0, "pause_most_ms is 0: no deploy could be paused"),
        ];
        let wrong: Vec<&'static str> = rules.into_iter().filter(|(holds, _)| !holds).map(|(_, why)| why).collect();
        if wrong.is_empty() { Ok(()) } else { Err(Contradictions(wrong)) }
    }

    /// How long a tunnel may outlive its endpoint's withdrawal.
    pub fn tunnel_grace_ms(&self) -> u64 {
        self.drain_grace_ms.saturating_sub(self.tunnel_margin_ms).max(self.drain_grace_ms / 2)
    }
}

/// Numbers that contradict each other, all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradictions(pub Vec<&'static str>);

impl std::fmt::Display for Contradictions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for Contradictions {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_s_own_pace_comes_before_the_cluster_s_and_never_takes_the_last_one() {
        let policy = Policy::default();
        let pace =
            |surge: &str, unavailable: &str| Pace { max_surge: surge.parse().ok(), max_unavailable: unavailable.parse().ok() };
        let of = |pace: Pace, wanted: u32| (policy.surge(pace, wanted), policy.unavailable(pace, wanted));
        assert_eq!(of(Pace::default(), 10), (3, 0));
        assert_eq!(of(pace("2", "50%"), 10), (2, 5));
        assert_eq!(of(pace("0", "1"), 10), (0, 1));
        assert_eq!(of(pace("0", "10%"), 3), (1, 0), "a tenth of three is none, and something has to move");
        assert_eq!(of(pace("0", "1"), 1), (1, 0), "the last one is never missing");
    }

    #[test]
    fn none_more_moves_nothing_only_where_none_may_be_missing_by_the_app_s_words_or_the_cluster_s() {
        let strict = Policy::default();
        let pace =
            |surge: &str, unavailable: &str| Pace { max_surge: surge.parse().ok(), max_unavailable: unavailable.parse().ok() };
        assert!(strict.moves_nothing(pace("0", "")) && strict.moves_nothing(pace("0%", "0")));
        assert!(!strict.moves_nothing(pace("0", "1")) && !strict.moves_nothing(pace("1", "0")));
        assert!(!strict.moves_nothing(Pace::default()));
        let lenient = Policy { unavailable_percent: 25, ..strict };
        assert!(!lenient.moves_nothing(pace("0", "")) && lenient.moves_nothing(pace("0", "0")));
    }

    #[test]
    fn contradictions_are_refused_together_each_by_name() {
        assert_eq!(Policy::default().check(), Ok(()));
        let wrong = Policy { lost_after_ms: 3_000, failed_starts: 0, start_grace_ms: 0, ..Policy::default() };
        let said = wrong.check().expect_err("it contradicts itself").to_string();
        for name in ["lost_after_ms", "failed_starts", "start_grace_ms", "router_silent_after_ms"] {
            assert!(said.contains(name), "{name}: {said}");
        }
    }
}
