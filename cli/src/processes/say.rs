//! What `dinp up` says while it works.

use std::fmt::Display;
use std::io::Write as _;

/// A line for whoever looks. Nobody needs to: what has begun is finished also where the reader has gone, as `head` does.
pub fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
