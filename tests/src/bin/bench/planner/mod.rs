//! The planner's figures: how fast it places, how long a pass over much that is well takes, and how good its places are.
//! No Docker, no network, no clock but the one that measures.

mod pass;
mod place;
mod quality;
mod world;

use crate::Asked;
use crate::machine;
use crate::row::Row;

pub fn all(asked: &Asked) -> Vec<Row> {
    println!("{}", machine::sentence());
    let mut rows = Vec::new();
    let began = |figure: &str| println!("{figure} (load {})", machine::load());
    if asked.wants("place") {
        began("a million placements");
        rows.extend(place::measure(asked));
    }
    if asked.wants("pass") {
        began("passes over 250,000 steady instances");
        rows.extend(pass::measure(asked));
    }
    if asked.wants("quality") {
        began("small clusters against exhaustive search");
        rows.extend(quality::measure(asked));
    }
    println!("done (load {})", machine::load());
    rows
}
