//! Metrics of requests, with handles made once per core, and the sink of the access log.

use std::io::Write as _;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::log::{AccessLog, Line};

/// Log lines that may wait for a slow standard output; more are dropped and counted, so that no request waits.
const LINES_WAITING: usize = 8_192;

/// One core's handles.
pub struct Meter {
    classes: [Counter; 6],
    seconds: Histogram,
    pub in_flight: Gauge,
    pub retries: Counter,
    pub ejections: Counter,
    pub upgrades: Counter,
    dropped_lines: Counter,
    log: LogSink,
}

impl Meter {
    pub fn new(log: LogSink) -> Self {
        let classes = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"];
        Self {
            classes: classes.map(|class| counter!("dinp_router_requests_total", "class" => class)),
            seconds: histogram!("dinp_router_request_seconds"),
            in_flight: gauge!("dinp_router_requests_in_flight"),
            retries: counter!("dinp_router_retries_total"),
            ejections: counter!("dinp_router_ejections_total"),
            upgrades: counter!("dinp_router_upgrades_total"),
            dropped_lines: counter!("dinp_router_log_lines_dropped_total"),
            log,
        }
    }

    pub fn request(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).wrapping_sub(1);
        self.classes[class.min(self.classes.len() - 1)].increment(1);
        self.seconds.record(took);
    }

    pub fn logs(&self) -> bool {
        self.log.format != AccessLog::Off
    }

    pub fn log(&self, line: &Line) {
        if !self.log.write(line) {
            self.dropped_lines.increment(1);
        }
    }
}

/// Hands lines to the thread that writes them.
#[derive(Clone)]
pub struct LogSink {
    format: AccessLog,
    lines: Option<SyncSender<String>>,
}

impl LogSink {
    /// Starts the writer, unless logging is off.
    pub fn start(format: AccessLog) -> std::io::Result<Self> {
        if format == AccessLog::Off {
            return Ok(Self { format, lines: None });
        }
        let (lines, waiting) = sync_channel(LINES_WAITING);
        std::thread::Builder::new().name("access-log".into()).spawn(move || write_lines(&waiting))?;
        Ok(Self { format, lines: Some(lines) })
    }

    /// Whether there was room for the line.
    fn write(&self, line: &Line) -> bool {
        match (&self.lines, line.format(self.format)) {
            (Some(lines), Some(text)) => lines.try_send(text).is_ok(),
            _ => true,
        }
    }
}

/// Writes what is waiting, then flushes and waits. Ends when all cores have.
fn write_lines(waiting: &Receiver<String>) {
    let mut out = std::io::BufWriter::new(std::io::stdout());
    while let Ok(first) = waiting.recv() {
        let batch = std::iter::once(first).chain(std::iter::from_fn(|| waiting.try_recv().ok()));
        for line in batch.take(LINES_WAITING) {
            // Where standard output is closed there is nobody to tell.
            let _ = writeln!(out, "{line}");
        }
        let _ = out.flush();
    }
}
