//! Breadth-first exploration of everything that can happen.
//!
//! States are told apart by a fingerprint of their canonical form, so that a run may go on for ever and the states are
//! finite all the same: the model decides what of a state can matter to its future.

use std::collections::{HashMap, VecDeque};
use std::fmt::Debug;

/// A system with a choice at every step.
pub trait Model {
    type State: Clone;
    type Action: Copy + Debug;

    fn initial(&self) -> Self::State;

    /// Everything that can happen in `state`.
    fn actions(&self, state: &Self::State) -> Vec<Self::Action>;

    /// What `state` becomes.
    ///
    /// # Errors
    /// The broken promise, as a sentence.
    fn step(&self, state: &Self::State, action: Self::Action) -> Result<Self::State, String>;

    /// Two states with one form have one future.
    fn form(&self, state: &Self::State) -> u64;

    /// What must stay reachable, whatever has happened.
    fn is_goal(&self, state: &Self::State) -> bool;
}

/// What was explored without finding anything wrong.
#[derive(Debug)]
pub struct Explored {
    pub states: usize,
    pub steps: usize,
    /// Steps from the beginning to the state furthest from it.
    pub depth: usize,
    /// Whether every reachable state was visited; else the bound on states ended it.
    pub whole: bool,
    pub goals: usize,
}

/// A broken promise, and how it came about.
#[derive(Debug)]
pub struct Broken {
    pub why: String,
    pub trace: Vec<String>,
    pub states: usize,
}

impl Broken {
    pub fn told(&self) -> String {
        let steps: Vec<String> = self.trace.iter().enumerate().map(|(at, action)| format!("{:>4}  {action}", at + 1)).collect();
        format!("{}, after {} states:\n{}", self.why, self.states, steps.join("\n"))
    }
}

struct Visited<A> {
    /// From which state, and by what; the first one has no origin.
    origin: Vec<Option<(u32, A)>>,
    depth: Vec<u16>,
    /// Steps that were taken: from, to.
    edges: Vec<(u32, u32)>,
    goals: Vec<u32>,
}

/// Visits every state reachable within `most` states.
pub fn explore<M: Model>(model: &M, most: usize) -> Result<Explored, Broken> {
    let mut known: HashMap<u64, u32> = HashMap::new();
    let mut visited = Visited { origin: vec![None], depth: vec![0], edges: Vec::new(), goals: Vec::new() };
    let first = model.initial();
    known.insert(model.form(&first), 0);
    let mut queue = VecDeque::from([(0u32, first)]);
    let mut whole = true;
    while let Some((at, state)) = queue.pop_front() {
        if model.is_goal(&state) {
            visited.goals.push(at);
        }
        for action in model.actions(&state) {
            let next = model.step(&state, action).map_err(|why| visited.broken(why, at, Some(action)))?;
            let new = visited.origin.len() as u32;
            let to = *known.entry(model.form(&next)).or_insert(new);
            if to == new {
                if visited.origin.len() == most {
                    whole = false;
                    known.remove(&model.form(&next));
                    continue;
                }
                visited.origin.push(Some((at, action)));
                visited.depth.push(visited.depth[at as usize] + 1);
                queue.push_back((to, next));
            }
            visited.edges.push((at, to));
        }
    }
    if whole && let Some(stuck) = visited.stuck() {
        return Err(visited.broken("from here on nobody can ever lead again".to_owned(), stuck, None));
    }
    Ok(Explored {
        states: visited.origin.len(),
        steps: visited.edges.len(),
        depth: visited.depth.iter().copied().max().unwrap_or(0).into(),
        whole,
        goals: visited.goals.len(),
    })
}

impl<A: Copy + Debug> Visited<A> {
    fn broken(&self, why: String, at: u32, last: Option<A>) -> Broken {
        let mut trace: Vec<String> = last.iter().map(|action| format!("{action:?}")).collect();
        let mut here = at;
        while let Some((from, action)) = self.origin[here as usize] {
            trace.push(format!("{action:?}"));
            here = from;
        }
        trace.reverse();
        Broken { why, trace, states: self.origin.len() }
    }

    /// The first state from which no goal can be reached.
    fn stuck(&self) -> Option<u32> {
        let states = self.origin.len();
        // The edges backwards, grouped by where they lead.
        let mut begins = vec![0usize; states + 1];
        for (_, to) in &self.edges {
            begins[*to as usize + 1] += 1;
        }
        for at in 0..states {
            begins[at + 1] += begins[at];
        }
        let (mut next, mut from) = (begins.clone(), vec![0u32; self.edges.len()]);
        for (origin, to) in &self.edges {
            from[next[*to as usize]] = *origin;
            next[*to as usize] += 1;
        }
        let mut reaches = vec![false; states];
        let mut queue = self.goals.clone();
        while let Some(at) = queue.pop() {
            if !std::mem::replace(&mut reaches[at as usize], true) {
                queue.extend(&from[begins[at as usize]..begins[at as usize + 1]]);
            }
        }
        reaches.iter().position(|reaches| !reaches).map(|at| at as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts to `end`, and from `trap` on no further than that.
    struct Counting {
        end: u8,
        trap: Option<u8>,
        wrong: Option<u8>,
    }

    impl Model for Counting {
        type State = u8;
        type Action = u8;

        fn initial(&self) -> u8 {
            0
        }

        fn actions(&self, state: &u8) -> Vec<u8> {
            if self.trap == Some(*state) { vec![0] } else { vec![0, 1, 2] }
        }

        fn step(&self, state: &u8, action: u8) -> Result<u8, String> {
            let next = state + action;
            if self.wrong == Some(next) { Err(format!("{next} is wrong")) } else { Ok(next.min(self.end)) }
        }

        fn form(&self, state: &u8) -> u64 {
            (*state).into()
        }

        fn is_goal(&self, state: &u8) -> bool {
            *state == self.end
        }
    }

    #[test]
    fn the_shortest_way_to_what_is_wrong_is_told() {
        let found = explore(&Counting { end: 9, trap: None, wrong: Some(5) }, 100).expect_err("5 is reached");
        assert_eq!((found.why.as_str(), found.trace.len()), ("5 is wrong", 3));
    }

    #[test]
    fn all_is_visited_once_and_a_trap_is_found() {
        let all = explore(&Counting { end: 9, trap: None, wrong: None }, 100).expect("nothing is wrong");
        assert_eq!((all.states, all.whole, all.goals), (10, true, 1));
        let found = explore(&Counting { end: 9, trap: Some(4), wrong: None }, 100).expect_err("4 is a trap");
        assert_eq!(found.trace.len(), 2, "{}", found.told());
        assert!(!explore(&Counting { end: 9, trap: None, wrong: None }, 5).expect("nothing is wrong").whole);
    }
}
