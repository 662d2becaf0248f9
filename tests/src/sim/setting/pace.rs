//! How fast apps are replaced: by the cluster's policy, or as their people say with a release.

use dinp_common::pace::{Pace, Share};

use super::{Setting, pick};
use crate::sim::kernel::Ms;

const SURGES: [Option<Share>; 7] = [
    None,
    None,
    Some(Share::Count(0)),
    Some(Share::Count(1)),
    Some(Share::Count(2)),
    Some(Share::Percent(50)),
    Some(Share::Percent(100)),
];
const UNAVAILABLES: [Option<Share>; 7] = [
    None,
    None,
    Some(Share::Count(0)),
    Some(Share::Count(1)),
    Some(Share::Percent(25)),
    Some(Share::Percent(50)),
    Some(Share::Percent(100)),
];

impl Setting {
    /// What somebody says of an app's pace with a release at this time; nothing in one seed of two. It has dice of its own, so
    /// that the other seeds are what they would be without.
    pub fn draw_pace(&self, app: usize, at: Ms) -> Pace {
        if !self.seed.is_multiple_of(2) {
            return Pace::default();
        }
        let mut rng = fastrand::Rng::with_seed(self.seed ^ at.rotate_left(20) ^ (app as u64).rotate_left(50));
        Pace { max_surge: *pick(&mut rng, &SURGES), max_unavailable: *pick(&mut rng, &UNAVAILABLES) }
    }
}
