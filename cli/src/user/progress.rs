//! Progress on standard error: a bar where people watch, else one plain line for each change.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use dinp_common::size::human_bytes;
use indicatif::{ProgressBar, ProgressStyle};
use owo_colors::OwoColorize;

/// Redraws of the spinner: often enough to look alive, seldom enough to cost nothing.
const TICK: Duration = Duration::from_millis(120);
/// One line, cut to the terminal's width: a second one would stay behind when it is redrawn.
const UNDER_WAY: &str = "{spinner} {wide_msg}";
/// Columns of a step's name.
const NAME: usize = 9;

pub struct Progress {
    mode: Mode,
    began: Instant,
}

enum Mode {
    Silent,
    /// Lines with the time since the command began.
    Lines,
    /// A terminal: finished steps stay, the one under way is redrawn in place.
    Screen(ProgressBar),
}

impl Progress {
    pub fn new(quiet: bool) -> Self {
        let mode = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Mode::Silent,
            (false, false) => Mode::Lines,
            (false, true) => Mode::Screen(spinner()),
        };
        Self { mode, began: Instant::now() }
    }

    /// A step that is done and stays on the screen.
    pub fn step(&self, name: &str, text: &str) {
        match &self.mode {
            Mode::Silent => {}
            Mode::Lines => anstream::eprintln!("{}  {name:<NAME$} {text}", self.clock()),
            Mode::Screen(bar) => {
                // What was under way is done, and must not stand below its own end.
                bar.set_style(style(UNDER_WAY));
                bar.set_message("");
                bar.suspend(|| anstream::eprintln!("{} {name:<NAME$} {text}", "✓".green()));
            }
        }
    }

    /// What is under way now. Where nothing can be redrawn only some of it is worth a line.
    pub fn doing(&self, name: &str, text: &str, worth_a_line: bool) {
        match &self.mode {
            Mode::Silent => {}
            Mode::Lines if !worth_a_line => {}
            Mode::Lines => anstream::eprintln!("{}  {name:<NAME$} {text}", self.clock()),
            Mode::Screen(bar) => {
                bar.set_style(style(UNDER_WAY));
                bar.set_message(format!("{name:<NAME$} {text}"));
                bar.enable_steady_tick(TICK);
            }
        }
    }

    /// A line of detail below a step: the build's log, an instance's change.
    pub fn detail(&self, text: &str) {
        match &self.mode {
            Mode::Silent => {}
            Mode::Lines => anstream::eprintln!("{}    {text}", self.clock()),
            Mode::Screen(bar) => bar.suspend(|| anstream::eprintln!("    {}", text.dimmed())),
        }
    }

    /// Shows how much of an upload has left. Where nothing can be redrawn it stays silent: the end is a step.
    pub fn meter(&self) -> impl Fn(u64, u64) + Send + 'static + use<> {
        let bar = match &self.mode {
            Mode::Screen(bar) => Some(bar.clone()),
            Mode::Silent | Mode::Lines => None,
        };
        move |sent, total| {
            let Some(bar) = &bar else { return };
            if bar.length() != Some(total) {
                bar.set_length(total);
                bar.set_style(style("  upload    {bar:24} {msg}").progress_chars("█▉▊▋▌▍▎▏░"));
            }
            bar.set_message(format!("{} of {}", human_bytes(sent), human_bytes(total)));
            bar.set_position(sent);
        }
    }

    pub fn elapsed(&self) -> String {
        seconds(self.began.elapsed())
    }

    /// Leaves nothing unfinished on the screen.
    pub fn clear(&self) {
        if let Mode::Screen(bar) = &self.mode {
            bar.finish_and_clear();
        }
    }

    fn clock(&self) -> String {
        format!("{:>7}", seconds(self.began.elapsed()))
    }
}

/// A bar on a terminal must not outlive the command, however it ends.
impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.set_style(style(UNDER_WAY));
    bar
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    style.tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
}

pub fn seconds(elapsed: Duration) -> String {
    format!("{:.1} s", elapsed.as_secs_f64())
}
