//! What happened, as text for people or as one number for comparing runs.

use std::collections::VecDeque;
use std::fmt::{self, Write};

use super::kernel::Ms;

/// How much of a run is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Only the number over times and orders.
    Count,
    /// The number over every line too.
    Hash,
    /// The last lines, for a timeline.
    Last(usize),
    /// Every line, printed as it comes.
    Print,
}

#[derive(Debug)]
pub struct Trace {
    detail: Detail,
    hash: u64,
    lines: VecDeque<String>,
}

/// A line of the timeline; its words are put together only where somebody reads them.
#[macro_export]
macro_rules! say {
    ($kernel:expr, $who:expr, $($words:tt)+) => {
        if $kernel.trace.listens() {
            let now = $kernel.now;
            $kernel.trace.line(now, &$who, format_args!($($words)+));
        }
    };
}
pub use say;

impl Trace {
    pub fn new(detail: Detail) -> Self {
        Self { detail, hash: 0xcbf2_9ce4_8422_2325, lines: VecDeque::new() }
    }

    pub fn listens(&self) -> bool {
        self.detail != Detail::Count
    }

    /// Takes one event into the number.
    pub fn count(&mut self, at: Ms, order: u64) {
        self.mix(at);
        self.mix(order);
    }

    pub fn line(&mut self, at: Ms, who: &dyn fmt::Display, words: fmt::Arguments<'_>) {
        match self.detail {
            Detail::Count => {}
            Detail::Hash => {
                let _ = write!(Hasher(self), "{who} {words}");
            }
            Detail::Last(most) => {
                if self.lines.len() == most {
                    self.lines.pop_front();
                }
                self.lines.push_back(format!("{} {who:<10} {words}", Clock(at)));
            }
            Detail::Print => println!("{} {who:<10} {words}", Clock(at)),
        }
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn into_lines(self) -> Vec<String> {
        self.lines.into()
    }

    /// FNV-1a, eight bytes at once.
    fn mix(&mut self, value: u64) {
        self.hash = (self.hash ^ value).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(17);
    }
}

struct Hasher<'a>(&'a mut Trace);

impl Write for Hasher<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for chunk in text.as_bytes().chunks(8) {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            self.0.mix(u64::from_le_bytes(bytes));
        }
        Ok(())
    }
}

/// Simulated time for people: `12:34.567`.
#[derive(Debug, Clone, Copy)]
pub struct Clock(pub Ms);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Clock(ms) = self;
        write!(f, "{:02}:{:02}.{:03}", ms / 60_000, ms / 1000 % 60, ms % 1000)
    }
}
