//! How things are printed: what was asked for on standard output, everything else on standard error.

use std::io::{ErrorKind, IsTerminal, Write};

use comfy_table::{Cell, Color, ColumnConstraint, ContentArrangement, Table, presets};
use console::Term;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::failure::Failure;
use crate::args::{Format, Globals};

/// Columns of text where the width of the terminal is unknown.
const WIDTH: usize = 100;

#[derive(Debug, Clone)]
pub struct Output {
    pub format: Format,
    pub quiet: bool,
    pub verbose: bool,
}

impl Output {
    pub fn new(globals: &Globals) -> Self {
        Self { format: globals.format(), quiet: globals.quiet, verbose: globals.verbose }
    }

    /// A line beside the point, for people.
    pub fn say(&self, line: impl AsRef<str>) {
        if !self.quiet {
            anstream::eprintln!("{}", line.as_ref());
        }
    }

    /// A line of what was asked for.
    pub fn line(&self, line: impl AsRef<str>) {
        let written = writeln!(anstream::stdout(), "{}", line.as_ref());
        // A reader that has seen enough, such as `head`, closes the pipe: nothing is wrong and nothing is left to do.
        if written.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
            std::process::exit(0);
        }
    }

    /// One thing: its JSON, its name, or what `table` prints of it.
    pub fn one<T: Serialize>(&self, item: &T, name: &str, table: impl FnOnce(&Self)) -> Result<(), Failure> {
        match self.format {
            Format::Table => table(self),
            Format::Json => self.line(pretty(item)?),
            Format::Jsonl => self.line(compact(item)?),
            Format::Name => self.line(name),
        }
        Ok(())
    }

    /// A list: a JSON array, a line each, or a table.
    pub fn list<T: Serialize>(&self, items: &[T], name: impl Fn(&T) -> String, table: impl FnOnce(&[T])) -> Result<(), Failure> {
        match self.format {
            Format::Table => table(items),
            Format::Json => self.line(pretty(&items)?),
            Format::Jsonl => {
                for item in items {
                    self.line(compact(item)?);
                }
            }
            Format::Name => items.iter().for_each(|item| self.line(name(item))),
        }
        Ok(())
    }

    /// One item of a stream, where it is printed for programs. `false` leaves it to the caller.
    pub fn item<T: Serialize>(&self, item: &T) -> Result<bool, Failure> {
        match self.format {
            Format::Json | Format::Jsonl => self.line(compact(item)?),
            Format::Table | Format::Name => return Ok(false),
        }
        Ok(true)
    }

    /// Rows under headings, without borders. Only the last column wraps, and only on a terminal.
    pub fn table(&self, headings: &[&str], rows: Vec<Vec<Cell>>) {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).enforce_styling();
        table.set_content_arrangement(match std::io::stdout().is_terminal() {
            true => ContentArrangement::Dynamic,
            false => ContentArrangement::Disabled,
        });
        table.set_header(headings);
        table.add_rows(rows);
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if index + 1 < headings.len() {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        for line in table.lines() {
            self.line(line.trim_end());
        }
    }
}

/// A cell of text, on one line.
pub fn text(value: impl ToString) -> Cell {
    Cell::new(value.to_string().replace(['\n', '\r'], " "))
}

/// A value that may be missing.
pub fn maybe<T: ToString>(value: Option<T>) -> Cell {
    value.map_or_else(|| Cell::new("-"), text)
}

/// A state word in its colour.
pub fn state(word: &str) -> Cell {
    match colour(word) {
        Some(colour) => Cell::new(word).fg(colour),
        None => Cell::new(word),
    }
}

/// The colour of a state word; the word always stands beside it.
fn colour(word: &str) -> Option<Color> {
    match word {
        "Running" | "Ready" | "succeeded" | "ready" | "live" => Some(Color::Green),
        "Deploying" | "running" | "Pending" | "Starting" | "Draining" => Some(Color::Cyan),
        "Degraded" | "Unhealthy" | "Suspect" | "Cordoned" | "superseded" | "cancelled" | "warning" => Some(Color::Yellow),
        "Down" | "Failed" | "Lost" | "failed" | "error" => Some(Color::Red),
        _ => None,
    }
}

/// The same word for text outside a table.
pub fn state_word(word: &str) -> String {
    use owo_colors::OwoColorize;
    match colour(word) {
        Some(Color::Green) => word.green().to_string(),
        Some(Color::Cyan) => word.cyan().to_string(),
        Some(Color::Yellow) => word.yellow().to_string(),
        Some(Color::Red) => word.red().to_string(),
        _ => word.to_owned(),
    }
}

/// An RFC 3339 time as people say it: `2 min ago`. What cannot be read is shown as it is.
pub fn ago(at: &str) -> String {
    match at.parse::<Timestamp>() {
        Ok(then) => since(Timestamp::now().duration_since(then)),
        Err(_) => at.to_owned(),
    }
}

fn since(elapsed: SignedDuration) -> String {
    match elapsed.as_secs() {
        ..5 => "just now".to_owned(),
        secs @ 5..60 => format!("{secs} s ago"),
        secs @ 60..3600 => format!("{} min ago", secs / 60),
        secs @ 3600..172_800 => format!("{} h ago", secs / 3600),
        secs => format!("{} days ago", secs / 86_400),
    }
}

/// Words broken into lines that fit the terminal below an indent.
pub fn wrap(text: &str, indent: &str) -> Vec<String> {
    let width = Term::stdout().size_checked().map_or(WIDTH, |(_, columns)| usize::from(columns)).clamp(40, 120);
    wrap_to(text, indent, width)
}

fn wrap_to(text: &str, indent: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = indent.to_owned();
        for word in paragraph.split_whitespace() {
            if line.len() > indent.len() && console::measure_text_width(&line) + 1 + console::measure_text_width(word) > width {
                lines.push(std::mem::replace(&mut line, indent.to_owned()));
            }
            if line.len() > indent.len() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

fn pretty<T: Serialize>(item: &T) -> Result<String, Failure> {
    serde_json::to_string_pretty(item).map_err(|error| unprintable(&error))
}

fn compact<T: Serialize>(item: &T) -> Result<String, Failure> {
    serde_json::to_string(item).map_err(|error| unprintable(&error))
}

fn unprintable(error: &serde_json::Error) -> Failure {
    Failure::new(super::failure::Exit::Failed, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_say_them() {
        let said: Vec<String> = [-3, 2, 59, 119, 7200, 90_000, 400_000].map(|s| since(SignedDuration::from_secs(s))).into();
        assert_eq!(said, ["just now", "just now", "59 s ago", "1 min ago", "2 h ago", "25 h ago", "4 days ago"]);
        assert_eq!(ago("yesterday"), "yesterday");
    }

    #[test]
    fn sentences_wrap_below_their_indent_and_long_words_stay_whole() {
        let lines = wrap_to("the quick brown fox\njumps-over-the-lazy-dog-and-on", "  ", 14);
        assert_eq!(lines, ["  the quick", "  brown fox", "  jumps-over-the-lazy-dog-and-on"]);
    }
}
