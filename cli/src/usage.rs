//! The command line as it was typed, and a way out where it cannot be read.

use clap::Parser;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::args::Cli;

/// Reads the process's arguments. Where they make no command, it says so and ends the process with exit code 2; for
/// `--help` and `--version`, with 0.
pub fn read() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| {
        let verb = std::env::args().find(|word| !word.starts_with('-') && APP_WITH_FLAG.iter().any(|(verb, _)| word == verb));
        hinted(error, verb.as_deref()).exit()
    })
}

/// Verbs whose own argument stands where other verbs take a bare app, with the line that was meant.
const APP_WITH_FLAG: [(&str, &str); 2] = [("scale", "dinp scale 3 -a shop"), ("rollback", "dinp rollback v2 -a shop")];

/// `dinp scale shop 3` is what many type first: tells them where the app goes.
fn hinted(mut error: clap::Error, verb: Option<&str>) -> clap::Error {
    let is_word = |unknown: &ContextValue| matches!(unknown, ContextValue::String(word) if !word.starts_with("--"));
    let meant = APP_WITH_FLAG.iter().find(|(known, _)| verb == Some(known)).map(|(_, line)| line);
    if error.kind() == ErrorKind::UnknownArgument
        && error.get(ContextKind::InvalidArg).is_some_and(is_word)
        && let Some(line) = meant
    {
        let tip = StyledStr::from(format!("the app goes with -a, as in: {line}"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &[&str]) -> String {
        let error = Cli::try_parse_from(line).expect_err("it makes no command");
        hinted(error, line.get(1).copied()).to_string()
    }

    #[test]
    fn an_app_in_the_wrong_place_is_shown_its_place() {
        assert!(said(&["dinp", "scale", "shop", "3"]).contains("tip: the app goes with -a, as in: dinp scale 3 -a shop"));
        assert!(said(&["dinp", "scale", "shop", "-1"]).contains("the app goes with -a"));
        assert!(said(&["dinp", "rollback", "shop", "v2"]).contains("dinp rollback v2 -a shop"));
    }

    #[test]
    fn other_errors_stay_as_they_are() {
        assert!(!said(&["dinp", "scale", "3", "--fast"]).contains("the app goes with"));
        assert!(!said(&["dinp", "status", "shop", "blog"]).contains("the app goes with"));
    }
}
