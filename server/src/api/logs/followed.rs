//! How far a followed log has come, instance by instance: what of it is to be asked for again, and what was sent already.

use std::collections::BTreeMap;

use dinp_common::instance::InstanceId;
use dinp_common::wire::LogLine;
use tokio::time::Instant;

use super::{Heard, LOOK_AGAIN, TAIL_MOST};
use crate::cluster::AskError;

#[derive(Debug, Default)]
pub struct Followed(BTreeMap<InstanceId, Log>);

#[derive(Debug)]
struct Log {
    state: State,
    /// Lines of the past to ask for while none has come.
    tail: u32,
    /// The reader knows that it cannot be read just now.
    told: bool,
    /// The time of the first line that came; what is older was not asked for.
    first: Option<String>,
    stdout: Output,
    stderr: Output,
}

#[derive(Debug)]
enum State {
    Open,
    /// `whole`: the node has sent all there is, so there is more only if the instance runs (again).
    Ended {
        whole: bool,
        again: Instant,
    },
}

/// One of an instance's two outputs. In each of them times only grow; between the two they may cross.
#[derive(Debug, Default)]
struct Output {
    last: Option<Place>,
    /// Where the past that is told again stops being known.
    known_to: Option<Place>,
}

/// A place in an output: after so many lines with this time.
#[derive(Debug, Clone)]
struct Place {
    at: String,
    lines: u32,
}

impl Followed {
    /// Whether an instance's log is to be asked for (again), and for how many lines of its past.
    pub fn wants(&self, instance: &InstanceId, running: bool, tail: u32, now: Instant) -> Option<u32> {
        let Some(log) = self.0.get(instance) else { return Some(tail) };
        match log.state {
            State::Open => None,
            State::Ended { whole, again } if again > now || (whole && !running) => None,
            State::Ended { .. } => Some(if log.first.is_some() { TAIL_MOST } else { log.tail }),
        }
    }

    /// It was asked for: what is known of it already may come once more.
    pub fn opened(&mut self, instance: InstanceId, tail: u32) {
        let new =
            || Log { state: State::Open, tail, told: false, first: None, stdout: Output::default(), stderr: Output::default() };
        let log = self.0.entry(instance).or_insert_with(new);
        log.state = State::Open;
        for output in [&mut log.stdout, &mut log.stderr] {
            let before_all = || log.first.clone().map(|at| Place { at, lines: 0 });
            output.known_to = output.last.clone().or_else(before_all);
        }
    }

    /// Forgets instances that are recorded no more.
    pub fn retain(&mut self, recorded: impl Fn(&InstanceId) -> bool) {
        self.0.retain(|instance, _| recorded(instance));
    }

    /// The line to pass on, if there is one: none twice, and one that a log cannot be read until it can.
    pub fn take(&mut self, heard: Heard) -> Option<LogLine> {
        match heard {
            Heard::Line(line) => {
                let Some(log) = self.0.get_mut(&line.instance) else { return Some(line) };
                log.is_new(&line).then_some(line)
            }
            Heard::Ended { instance, node, end } => {
                let log = self.0.get_mut(&instance)?;
                // After a lost connection the node is asked at once: it may be back already.
                let lost = matches!(end, Err(AskError::Lost(_)));
                let now = Instant::now();
                log.state = State::Ended { whole: end.is_ok(), again: if lost { now } else { now + LOOK_AGAIN } };
                let error = end.err().filter(|_| !lost && !log.told)?;
                log.told = true;
                Some(super::unreadable(instance, &node, &error))
            }
        }
    }
}

impl Log {
    fn is_new(&mut self, line: &LogLine) -> bool {
        let output = if line.stderr { &mut self.stderr } else { &mut self.stdout };
        if output.was_sent(&line.at) {
            return false;
        }
        match &mut output.last {
            Some(last) if last.at == line.at => last.lines += 1,
            last => *last = Some(Place { at: line.at.clone(), lines: 1 }),
        }
        self.first.get_or_insert_with(|| line.at.clone());
        self.told = false;
        true
    }
}

impl Output {
    /// Whether the next line of a past that is told again was sent before. Times are Docker's: of one form, so that their
    /// texts have their order.
    fn was_sent(&mut self, at: &str) -> bool {
        let Some(known) = &mut self.known_to else { return false };
        if at < known.at.as_str() {
            return true;
        }
        let sent = at == known.at && known.lines > 0;
        if sent {
            known.lines -= 1;
        }
        // From the last line that was sent on, everything is new, whatever the node's clock says.
        if !sent || known.lines == 0 {
            self.known_to = None;
        }
        sent
    }
}

#[cfg(test)]
mod tests;
