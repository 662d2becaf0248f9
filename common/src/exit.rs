//! How a container ended, in words.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::size::MiB;

/// The end of a container, as Docker reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Exit {
    /// The exit code; 128 + n where a signal n ended it.
    pub code: i64,
    /// The kernel killed it for memory.
    pub oom: bool,
    /// The last output, at most 32 KiB, both streams as they came.
    pub output: String,
}

impl Exit {
    /// One clause for people: `exit code 1`, `killed, out of memory at 256MiB (exit code 137)`.
    pub fn describe(&self, memory: MiB) -> String {
        match self.code {
            _ if self.oom => format!("killed, out of memory at {memory} (exit code {})", self.code),
            0 => "it ended by itself with exit code 0; a web app must keep running".to_owned(),
            126 => "its start command is not executable (exit code 126)".to_owned(),
            127 => "its start command was not found (exit code 127)".to_owned(),
            134 => "aborted (SIGABRT, exit code 134)".to_owned(),
            137 => "killed (SIGKILL, exit code 137)".to_owned(),
            139 => "crashed (SIGSEGV, exit code 139)".to_owned(),
            143 => "stopped (SIGTERM, exit code 143)".to_owned(),
            code => format!("exit code {code}"),
        }
    }

    /// The last lines of output, at most `lines`.
    pub fn tail(&self, lines: usize) -> impl Iterator<Item = &str> {
        let all: Vec<&str> = self.output.lines().collect();
        let skip = all.len().saturating_sub(lines);
        all.into_iter().skip(skip)
    }
}
