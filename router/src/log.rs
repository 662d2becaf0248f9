//! The access log: one line per request, as text or JSON.

use std::fmt::Write as _;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Whether and how requests are logged, to standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessLog {
    #[default]
    Off,
    Text,
    Json,
}

/// Everything a line says. Fields that a client wrote are escaped when formatted.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub time: jiff::Timestamp,
    pub client: IpAddr,
    pub method: String,
    pub host: String,
    pub target: String,
    /// 499: the client left before the answer.
    pub status: u16,
    /// Bytes of the answer's body that were handed on.
    pub bytes: u64,
    pub duration_us: u64,
    pub attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Upstream>,
    pub request_id: String,
}

/// Who answered.
#[derive(Debug, Clone, Serialize)]
pub struct Upstream {
    pub app: String,
    pub release: u32,
    pub instance: String,
}

impl Line {
    /// The line without its newline. `None` where logging is off.
    pub fn format(&self, format: AccessLog) -> Option<String> {
        match format {
            AccessLog::Off => None,
            AccessLog::Text => Some(self.text()),
            AccessLog::Json => serde_json::to_string(self).ok(),
        }
    }

    fn text(&self) -> String {
        let mut line = format!(
            "{} {} {} {}{} {} {}B {:.3}ms",
            self.time,
            self.client,
            Escaped(&self.method),
            Escaped(&self.host),
            Escaped(&self.target),
            self.status,
            self.bytes,
            self.duration_us as f64 / 1e3
        );
        if let Some(upstream) = &self.upstream {
            let _ = write!(line, " {}/v{}/{}", upstream.app, upstream.release, upstream.instance);
        }
        let _ = write!(line, " attempts={} id={}", self.attempts, Escaped(&self.request_id));
        line
    }
}

/// Text in which whitespace and everything that could forge a line or steer a terminal is written out.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("-");
        }
        self.0.chars().try_for_each(|c| {
            if c.is_ascii_graphic() && c != '\\' { f.write_char(c) } else { write!(f, "{}", c.escape_unicode()) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        Line {
            time: "2026-01-02T03:04:05Z".parse().expect("time"),
            client: "192.0.2.1".parse().expect("ip"),
            method: "GET".into(),
            host: "shop.localhost".into(),
            target: "/a?b=1".into(),
            status: 200,
            bytes: 512,
            duration_us: 1_250,
            attempts: 1,
            upstream: Some(Upstream { app: "shop".into(), release: 3, instance: "abc123".into() }),
            request_id: "id".into(),
        }
    }

    #[test]
    fn lines_as_text_and_json() {
        assert_eq!(
            line().format(AccessLog::Text).as_deref(),
            Some("2026-01-02T03:04:05Z 192.0.2.1 GET shop.localhost/a?b=1 200 512B 1.250ms shop/v3/abc123 attempts=1 id=id")
        );
        assert_eq!(
            line().format(AccessLog::Json).as_deref(),
            Some(
                "{\"time\":\"2026-01-02T03:04:05Z\",\"client\":\"192.0.2.1\",\"method\":\"GET\",\"host\":\"shop.localhost\",\
                 \"target\":\"/a?b=1\",\"status\":200,\"bytes\":512,\"duration_us\":1250,\"attempts\":1,\
                 \"upstream\":{\"app\":\"shop\",\"release\":3,\"instance\":\"abc123\"},\"request_id\":\"id\"}"
            )
        );
        assert_eq!(line().format(AccessLog::Off), None);
    }

    #[test]
    fn a_client_cannot_forge_a_line() {
        let forged = Line { host: String::new(), target: "/x\n200 \u{1b}[31m".into(), upstream: None, ..line() };
        let text = forged.format(AccessLog::Text).expect("a line");
        assert_eq!(text, "2026-01-02T03:04:05Z 192.0.2.1 GET -/x\\u{a}200\\u{20}\\u{1b}[31m 200 512B 1.250ms attempts=1 id=id");
        assert_eq!(forged.format(AccessLog::Json).expect("a line").lines().count(), 1);
    }
}
