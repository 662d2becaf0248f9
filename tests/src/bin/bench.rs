//! `deploy/bench deploy`: how long users wait, and what an idle installation costs.

use std::process::Command;
use std::time::{Duration, Instant};

use dinp_common::api::{DeployRequest, Settings, Source};
use dinp_common::health::HealthCheck;
use dinp_tests::docker::Docker;
use dinp_tests::http;
use dinp_tests::lab::{Lab, name};
use dinp_tests::process::{gone, signal};
use dinp_tests::sample;
use nix::sys::signal::Signal;

/// How long anything measured here may take at all.
const PATIENCE: Duration = Duration::from_secs(60);
/// Apps that stand idle beside each other.
const IDLE_APPS: u32 = 10;
/// How long the installation is left alone before its idle cost is read, and over which it is read.
const IDLE: Duration = Duration::from_secs(300);

/// Durations of one figure, in milliseconds.
struct Figure(Vec<f64>);

impl Figure {
    fn add(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64() * 1_000.0);
    }

    fn print(&mut self, what: &str) {
        self.0.sort_by(f64::total_cmp);
        let at = |share: f64| self.0[((self.0.len() - 1) as f64 * share).round() as usize];
        println!(
            "{what:<58} p50 {:>8.1} ms   p99 {:>8.1} ms   worst of {:<3} {:>8.1} ms",
            at(0.5),
            at(0.99),
            self.0.len(),
            at(1.0)
        );
    }
}

fn healthy() -> Settings {
    Settings { health: Some(HealthCheck::Http { path: "/health".into() }), ..Settings::default() }
}

#[tokio::main]
async fn main() {
    let rounds: u32 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(20);
    let docker = Docker::for_tests();
    let lab = Lab::start_on(docker.clone()).await;
    docker.import(&sample::binary(), "dinp-bench:ready");
    let network = Command::new("sh").arg("-c").arg("ls /sys/class/net | grep ^dinp- | tail -n 1").output().expect("sh");
    println!(
        "{rounds} rounds of each; 2 processes of DINP, {} cores",
        std::thread::available_parallelism().map_or(0, usize::from)
    );
    raw(&docker, String::from_utf8_lossy(&network.stdout).trim(), rounds).await;
    ready_image(&lab, rounds).await;
    crash(&lab, rounds).await;
    upload(&lab, rounds.min(10)).await;
    idle(&lab).await;
    restart(&lab, rounds.min(10)).await;
    let binary = std::fs::metadata(&lab.program).map_or(0, |meta| meta.len());
    println!("{:<58} {:.1} MB", "release binary", binary as f64 / 1e6);
    lab.purge().await;
    docker.run(&["rmi", "-f", "dinp-bench:ready"]);
}

/// Create, start and first answer with Docker alone, on the same network and through no router.
async fn raw(docker: &Docker, network: &str, rounds: u32) {
    let mut figure = Figure(Vec::new());
    for _ in 0..rounds {
        let begun = Instant::now();
        let id = docker.run(&["run", "-d", "--network", network, "--env", "PORT=8080", "dinp-bench:ready"]);
        let address = docker.run(&["inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", &id]);
        let address = format!("{address}:8080").parse().expect("an address");
        answers(async || http::get(address, "x", "/health").await.is_ok_and(|answer| answer.status == 200)).await;
        figure.add(begun.elapsed());
        docker.run(&["rm", "-f", &id]);
    }
    figure.print("raw docker run of a ready image -> first 200");
}

async fn ready_image(lab: &Lab, rounds: u32) {
    let mut figure = Figure(Vec::new());
    for round in 0..rounds {
        let app = format!("ready-{round}");
        let source = Source::Image { reference: "dinp-bench:ready".into() };
        let begun = Instant::now();
        lab.client().deploy_create(&name(&app), &DeployRequest { source, settings: healthy() }).await.expect("taken");
        answers(async || lab.get(&app, "/health").await.is_ok_and(|answer| answer.status == 200)).await;
        figure.add(begun.elapsed());
        lab.client().app_delete(&name(&app)).await.expect("taken");
        while !lab.docker.all(&app).is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    figure.print("ready image -> first 200 through the router");
}

/// Kills the only instance: when does the router stop sending to it, and when does a new one answer?
async fn crash(lab: &Lab, rounds: u32) {
    let (mut withdrawn, mut replaced) = (Figure(Vec::new()), Figure(Vec::new()));
    for round in 0..rounds {
        // An app of its own each time: a second crash would meet the back-off.
        let app = format!("crash-{round}");
        let source = Source::Image { reference: "dinp-bench:ready".into() };
        let begun = lab.client().deploy_create(&name(&app), &DeployRequest { source, settings: healthy() }).await.expect("taken");
        lab.succeeds(&begun).await;
        let container = lab.docker.running(&app).first().cloned().expect("a container");
        let pid: i32 = lab.docker.run(&["inspect", "--format", "{{.State.Pid}}", &container]).parse().expect("a process id");
        let begun = Instant::now();
        signal(pid, Signal::SIGKILL);
        let served_by_nobody = async || {
            let answer = lab.get(&app, "/health").await;
            answer.is_ok_and(|answer| answer.status == 503 || answer.status == 200)
        };
        answers(served_by_nobody).await;
        withdrawn.add(begun.elapsed());
        answers(async || lab.get(&app, "/health").await.is_ok_and(|answer| answer.status == 200)).await;
        replaced.add(begun.elapsed());
        lab.client().app_delete(&name(&app)).await.expect("taken");
    }
    withdrawn.print("crash -> withdrawn");
    replaced.print("crash -> replaced and serving");
}

async fn upload(lab: &Lab, rounds: u32) {
    let mut figure = Figure(Vec::new());
    for round in 0..rounds {
        let file = sample::version(lab.folder(), &format!("bench-{round}"));
        let grown = std::fs::OpenOptions::new().write(true).open(&file).expect("open");
        grown.set_len(5_000_000).expect("grow");
        let path = file.to_str().expect("UTF-8").to_owned();
        let begun = Instant::now();
        let output = lab.dinp(&["deploy", &path, "-a", "upload", "--health", "/health"]).await;
        assert!(output.status.success(), "{}", dinp_tests::lab::said(&output));
        figure.add(begun.elapsed());
    }
    figure.print("5 MB binary: dinp deploy -> live");
}

/// Memory and CPU of both processes together, with apps that are health-checked over HTTP.
async fn idle(lab: &Lab) {
    for app in 0..IDLE_APPS {
        let source = Source::Image { reference: "dinp-bench:ready".into() };
        let request = DeployRequest { source, settings: healthy() };
        let begun = lab.client().deploy_create(&name(&format!("idle-{app}")), &request).await.expect("taken");
        lab.succeeds(&begun).await;
    }
    let pids = ["control", "router", "keeper"].map(|role| lab.pid(role));
    tokio::time::sleep(IDLE).await;
    let before: f64 = pids.iter().map(|pid| cpu_seconds(*pid)).sum();
    tokio::time::sleep(IDLE / 5).await;
    let used = pids.iter().map(|pid| cpu_seconds(*pid)).sum::<f64>() - before;
    let resident: f64 = pids.iter().map(|pid| resident_mib(*pid)).sum();
    let percent = used / (IDLE / 5).as_secs_f64() * 100.0;
    println!("{:<58} {resident:.1} MiB, {percent:.2} % of a core", "idle, all processes together, after 5 minutes, 10 apps");
}

/// Stopped and started again with all its state: when does the API answer?
async fn restart(lab: &Lab, rounds: u32) {
    let keeper = lab.pid("keeper");
    signal(keeper, Signal::SIGTERM);
    gone(keeper).await;
    let control = lab.pid("control");
    signal(control, Signal::SIGTERM);
    gone(control).await;
    let mut figure = Figure(Vec::new());
    for _ in 0..rounds {
        let begun = Instant::now();
        let running = lab.control(None);
        answers(async || lab.client().apps(&Default::default()).await.is_ok()).await;
        figure.add(begun.elapsed());
        running.terminate().await;
    }
    figure.print("ready with existing state");
}

/// Asks again at once until it is so.
async fn answers(mut so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !so().await {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn cpu_seconds(pid: i32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let fields: Vec<f64> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().map(|f| f.parse().unwrap_or(0.0)).collect();
    // utime and stime, in ticks of a hundredth of a second.
    (fields[11] + fields[12]) / 100.0
}

fn resident_mib(pid: i32) -> f64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("a process");
    let kilobytes =
        rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kilobytes.unwrap_or_default() / 1024.0
}
