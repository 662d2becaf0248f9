//! Counted load: requests at a fixed rate whatever the answers do, each with an id of its own.
//!
//! Open loop: a slow answer delays nobody else's request, so a stall shows as many slow requests and not as few.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::http::{self, CLIENT_TIMEOUT, Sender};
use crate::wait::until;

/// Requests per second.
pub const RATE: u64 = 200;
/// How long each of the slow responses takes; one is always in flight.
const LONG_RESPONSE_MS: u64 = 2_500;
/// Failures that are described; the rest is only counted.
const DESCRIBED: usize = 20;

/// What became of the requests.
#[derive(Debug, Default, Clone)]
pub struct Report {
    pub sent: u64,
    pub right: u64,
    pub long_responses: u64,
    pub failed: u64,
    /// What the first failures were.
    pub failures: Vec<String>,
    pub slowest: Duration,
    /// Right answers by `release instance`.
    pub by_instance: BTreeMap<String, u64>,
}

impl Report {
    /// Panics unless every request got its own app's answer, and there were enough of them to mean something.
    pub fn assert_nothing_lost(&self) {
        assert!(self.sent > RATE / 2, "too few requests to say anything: {self:#?}");
        assert!(self.long_responses > 0, "no long response ended: {self:#?}");
        assert_eq!(self.failed, 0, "{self:#?}");
        assert_eq!(self.sent, self.right, "{self:#?}");
    }
}

/// Load on one app until it is stopped, from a thread of its own.
pub struct Load {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    router: SocketAddr,
    app: String,
    host: String,
    stop: AtomicBool,
    next: AtomicU64,
    report: Mutex<Report>,
    /// Connections nobody uses just now.
    idle: Mutex<Vec<Sender>>,
}

impl Load {
    /// Starts the load; `host` is `<app>.<domain>`.
    pub fn start(router: SocketAddr, app: &str, host: &str) -> Self {
        let shared = Arc::new(Shared {
            router,
            app: app.to_owned(),
            host: host.to_owned(),
            stop: AtomicBool::new(false),
            next: AtomicU64::new(0),
            report: Mutex::default(),
            idle: Mutex::default(),
        });
        let running = shared.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(drive(running));
        });
        Self { shared, thread: Some(thread) }
    }

    /// Waits until enough was sent for the count to mean something.
    pub async fn warm(&self) {
        let enough = |report: &Report| report.sent > RATE && report.long_responses > 0;
        until("the load runs", Duration::from_secs(30), async || self.so_far(), enough).await;
    }

    /// The count so far.
    pub fn so_far(&self) -> Report {
        self.shared.report().clone()
    }

    /// Stops sending once there is enough to count, waits for every answer still due, and reports.
    pub async fn stop(mut self) -> Report {
        self.warm().await;
        self.shared.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("started once");
        tokio::task::spawn_blocking(|| thread.join()).await.expect("joined").expect("the load ends well");
        self.so_far()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

async fn drive(shared: Arc<Shared>) {
    let begun = Instant::now();
    let mut open = tokio::task::JoinSet::new();
    open.spawn(long_responses(shared.clone()));
    while !shared.stop.load(Ordering::Relaxed) {
        let due = RATE * begun.elapsed().as_millis() as u64 / 1_000;
        while shared.next.load(Ordering::Relaxed) <= due {
            let id = shared.next.fetch_add(1, Ordering::Relaxed);
            open.spawn(one(shared.clone(), id));
        }
        while open.try_join_next().is_some() {}
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while open.join_next().await.is_some() {}
}

async fn one(shared: Arc<Shared>, id: u64) {
    let begun = Instant::now();
    let answer = tokio::time::timeout(CLIENT_TIMEOUT, ask(&shared, id)).await;
    let took = begun.elapsed();
    let mut report = shared.report();
    report.sent += 1;
    report.slowest = report.slowest.max(took);
    match answer {
        Ok(Ok(who)) => {
            report.right += 1;
            *report.by_instance.entry(who).or_default() += 1;
        }
        Ok(Err(error)) => report.lost(format!("request {id}, after {took:?}: {error:#}")),
        Err(_) => report.lost(format!("request {id}: no answer within {CLIENT_TIMEOUT:?}")),
    }
}

/// Asks `/whoami` on a kept connection, or a new one where none is free, and checks that the answer is this request's.
async fn ask(shared: &Shared, id: u64) -> anyhow::Result<String> {
    let mut sender = shared.connection().await?;
    let answer = http::send(&mut sender, &shared.host, &format!("/whoami?id={id}")).await?;
    anyhow::ensure!(answer.status.is_success(), "status {}: {}", answer.status, answer.body.trim());
    let me: serde_json::Value = serde_json::from_str(&answer.body)?;
    anyhow::ensure!(me["app"] == shared.app.as_str(), "the answer of another app: {me}");
    anyhow::ensure!(me["id"] == id.to_string().as_str(), "the answer to another request: {me}");
    let who = format!("{} {}", me["release"].as_str().unwrap_or("?"), me["instance"].as_str().unwrap_or("?"));
    shared.idle().push(sender);
    Ok(who)
}

/// Keeps one response in flight that is longer than most drains.
async fn long_responses(shared: Arc<Shared>) {
    while !shared.stop.load(Ordering::Relaxed) {
        let path = format!("/slow?ms={LONG_RESPONSE_MS}");
        let answer = tokio::time::timeout(CLIENT_TIMEOUT, http::get(shared.router, &shared.host, &path)).await;
        let mut report = shared.report();
        match answer {
            Ok(Ok(answer)) if answer.status.is_success() && answer.body.contains(" waited ") => report.long_responses += 1,
            other => report.lost(format!("a long response: {other:?}")),
        }
    }
}

impl Report {
    fn lost(&mut self, what: String) {
        self.failed += 1;
        if self.failures.len() < DESCRIBED {
            self.failures.push(what);
        }
    }
}

impl Shared {
    /// A kept connection the router has not closed meanwhile, as any client's pool checks, or a new one.
    async fn connection(&self) -> anyhow::Result<Sender> {
        loop {
            let kept = self.idle().pop();
            match kept {
                Some(mut sender) => {
                    if sender.ready().await.is_ok() {
                        return Ok(sender);
                    }
                }
                None => return http::connect(self.router).await,
            }
        }
    }

    fn report(&self) -> std::sync::MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Sender>> {
        self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
