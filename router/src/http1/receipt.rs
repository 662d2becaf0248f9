//! One request's account: opened when its head has arrived, settled when the last byte of its answer was handed on.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderValue;

use crate::head::RequestHead;
use crate::headers::Peer;
use crate::log::{Line, Upstream};
use crate::lookup::{App, Target};

use super::Core;
use super::activity::Clock;

/// The status in the log of a request whose client left before there was one.
const CLIENT_LEFT: u16 = 499;

pub struct Receipt {
    core: Rc<Core>,
    clock: Arc<Clock>,
    started: Instant,
    pub status: u16,
    bytes: u64,
    /// Only where requests are logged.
    line: Option<Box<Line>>,
}

impl Receipt {
    pub fn open(core: &Rc<Core>, clock: &Arc<Clock>, peer: &Peer, head: &RequestHead) -> Self {
        clock.busy();
        core.meter.in_flight.increment(1.0);
        let line = core.meter.logs().then(|| {
            let host = head.fields.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
            Box::new(Line {
                time: jiff::Timestamp::now(),
                client: peer.ip,
                method: head.method.to_string(),
                host: host.to_owned(),
                target: head.target.to_string(),
                status: CLIENT_LEFT,
                bytes: 0,
                duration_us: 0,
                attempts: 0,
                upstream: None,
                request_id: String::new(),
            })
        });
        Self { core: core.clone(), clock: clock.clone(), started: Instant::now(), status: CLIENT_LEFT, bytes: 0, line }
    }

    pub fn named(&mut self, request_id: &HeaderValue) {
        if let Some(line) = &mut self.line {
            line.request_id = request_id.to_str().unwrap_or_default().to_owned();
        }
    }

    pub fn attempt(&mut self, app: &App, target: &Target) {
        if let Some(line) = &mut self.line {
            line.attempts += 1;
            let instance = target.instance.id.to_string();
            line.upstream = Some(Upstream { app: app.name.clone(), release: target.release, instance });
        }
    }

    pub fn add_bytes(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        self.clock.idle();
        self.core.meter.in_flight.decrement(1.0);
        self.core.meter.request(self.status, took);
        if let Some(mut line) = self.line.take() {
            line.status = self.status;
            line.bytes = self.bytes;
            line.duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            self.core.meter.log(&line);
        }
    }
}
