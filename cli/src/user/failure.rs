//! How a command fails: what, why, what still works, what to do, and the exit code.

use std::fmt;
use std::process::ExitCode;

use dinp_client::ClientError;
use dinp_common::api::DeployView;
use dinp_common::deploy::{Cause, DeployState, Failure as DeployFailure};
use dinp_common::manifest::ManifestError;
use dinp_common::problem::Problem;
use owo_colors::OwoColorize;

use super::words;

/// What a script can tell from the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    Denied = 4,
    Conflict = 5,
    StillGoingOn = 6,
    Unreachable = 7,
    NoRoom = 8,
    Interrupted = 130,
}

/// The parts are boxed so that every `Result` of a command stays small.
#[derive(Debug)]
pub struct Failure(Box<Parts>);

#[derive(Debug)]
struct Parts {
    exit: Exit,
    what: String,
    why: Option<String>,
    now: Option<String>,
    fix: Option<String>,
    see: Option<String>,
    /// Lines shown as they are: a quoted file, the last output of an instance.
    quoted: Vec<String>,
    code: Option<String>,
}

impl Failure {
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        let what = what.into();
        Self(Box::new(Parts { exit, what, why: None, now: None, fix: None, see: None, quoted: Vec::new(), code: None }))
    }

    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    pub fn interrupted(now: Option<String>) -> Self {
        let mut failure = Self::new(Exit::Interrupted, words::INTERRUPTED);
        failure.0.now = now;
        failure
    }

    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.0.why = Some(why.into());
        self
    }

    pub fn now(mut self, now: impl Into<String>) -> Self {
        self.0.now = Some(now.into());
        self
    }

    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.0.fix = Some(fix.into());
        self
    }

    pub fn see(mut self, see: impl Into<String>) -> Self {
        self.0.see = Some(see.into());
        self
    }

    /// A mistake in `dinp.toml`, with its line and a mark below the place.
    pub fn manifest(file: &str, text: &str, error: &ManifestError) -> Self {
        let mut failure = Self::usage(format!("{file}, {error}"));
        if let Some(line) = text.lines().nth(error.line.saturating_sub(1)) {
            let number = error.line.to_string();
            failure.0.quoted.push(format!("{number} | {line}"));
            failure.0.quoted.push(format!("{:>1$} | {2:>3$}", "", number.len(), "^", error.column));
        }
        failure.0.fix = error.fix.clone();
        failure
    }

    /// A deploy that ended otherwise than people wanted.
    pub fn deploy(view: &DeployView) -> Self {
        let see = format!("dinp why {}", view.app);
        match (view.state, &view.failure) {
            (DeployState::Superseded, _) => Self::new(Exit::Conflict, words::superseded(view)).see(see),
            (DeployState::Cancelled, _) => Self::new(Exit::Conflict, words::cancelled(view)).now(&view.step).see(see),
            (_, Some(failure)) => Self::of_cause(view, failure).see(see),
            _ => Self::new(Exit::Failed, words::ended(view)).see(see),
        }
    }

    fn of_cause(view: &DeployView, failure: &DeployFailure) -> Self {
        let exit = if failure.cause == Cause::NoRoom { Exit::NoRoom } else { Exit::Failed };
        let mut this =
            Self::new(exit, words::deploy_failed(view, failure.cause)).why(&failure.why).now(&failure.now).fix(&failure.fix);
        if let Some(output) = &failure.output {
            this.0.quoted = output.lines().map(str::to_owned).collect();
        }
        this.0.code = Some(failure.cause.to_string());
        this
    }

    /// Prints the failure to standard error.
    pub fn report(self) -> ExitCode {
        let parts = *self.0;
        let exit = ExitCode::from(parts.exit as u8);
        if parts.exit == Exit::Interrupted {
            anstream::eprintln!("{}{}", parts.what, parts.now.map(|now| format!(": {now}")).unwrap_or_default());
            return exit;
        }
        anstream::eprintln!("{} {}", "error:".red().bold(), parts.what);
        let labelled = |label: &str, text: Option<String>| {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                anstream::eprintln!("  {label}  {}", text.replace('\n', "\n        "));
            }
        };
        labelled("why:", parts.why);
        for line in parts.quoted {
            anstream::eprintln!("    {}", line.dimmed());
        }
        labelled("now:", parts.now);
        labelled("try:", parts.fix);
        let code = parts.code.map(|code| format!("(code {code})"));
        if parts.see.is_some() || code.is_some() {
            let parts: Vec<String> = parts.see.into_iter().chain(code).collect();
            anstream::eprintln!("  see:  {}", parts.join("  "));
        }
        exit
    }
}

/// What went wrong, for those who add it to what they were doing.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)
    }
}

impl std::error::Error for Failure {}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let exit = match problem.status {
            // Refused before it began, for what would also have made it fail.
            _ if problem.code == "no_room" => Exit::NoRoom,
            _ if problem.code == "image_missing" => Exit::Failed,
            401 | 403 => Exit::Denied,
            404 => Exit::NotFound,
            409 | 412 => Exit::Conflict,
            429 | 507 => Exit::NoRoom,
            400..500 => Exit::Usage,
            _ => Exit::Failed,
        };
        // A single wrong field is often the whole story, told already.
        let fields = problem.errors.iter().filter(|error| error.detail != problem.detail);
        let fields: Vec<String> = fields.map(|error| format!("{}: {}", error.pointer, error.detail)).collect();
        let mut failure = Self::new(exit, problem.detail);
        failure.0.why = (!fields.is_empty()).then(|| fields.join("\n"));
        failure.0.now = problem.now;
        failure.0.fix = problem.suggestion.or_else(|| (problem.status == 401).then(|| words::LOG_IN.to_owned()));
        let trace = problem.trace_id.map(|id| format!(", id {id}")).unwrap_or_default();
        failure.0.code = Some(format!("{}{trace}", problem.code));
        failure
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let what = error.to_string();
        match error {
            ClientError::Problem(problem) => (*problem).into(),
            ClientError::Unreachable { .. } => Self::new(Exit::Unreachable, what).fix(words::SERVER_DOWN),
            ClientError::Interrupted { .. } => Self::new(Exit::Unreachable, what).fix(words::CONNECTION_LOST),
            ClientError::Protocol { .. } => Self::new(Exit::Failed, what).fix(words::NOT_OUR_API),
            ClientError::Address { .. } | ClientError::File { .. } => Self::usage(what),
        }
    }
}
