//! The figures of a deploy on one machine, or of the planner alone (`planner`), each beside what it has to reach and beside Docker alone in the same run.
//!
//! It measures the release binary on a Docker engine of its own, so that nothing else is in the way but the machine's
//! other work; how much of that there was is printed with the figures. `deploy/bench` builds and starts it.

mod crash;
mod first;
mod idle;
mod machine;
mod planner;
mod raw;
mod ready;
mod row;
mod samples;
mod size;
mod start;
mod upload;

use std::process::ExitCode;

use dinp_tests::docker::Docker;
use dinp_tests::engine::Engine;
use dinp_tests::lab::Lab;
use nix::unistd::geteuid;
use row::Row;
use tokio::signal::unix::{SignalKind, signal};

/// Apps beside which the product has to be idle, and which crash afterwards.
const APPS: u32 = 10;

/// What a run is asked for.
pub struct Asked {
    /// Fewer repetitions and a short idle, for somebody who waits.
    quick: bool,
    /// The planner's figures, not a deploy's.
    planner: bool,
    /// Only these figures; all where none is named.
    figures: Vec<String>,
}

impl Asked {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut asked = Self { quick: false, planner: false, figures: Vec::new() };
        for argument in arguments {
            match argument.as_str() {
                "--quick" => asked.quick = true,
                "planner" => asked.planner = true,
                "place" | "pass" | "quality" if asked.planner => asked.figures.push(argument),
                other if asked.planner => {
                    return Err(format!("\"{other}\" is no figure of the planner; there are place, pass and quality"));
                }
                "size" | "ready" | "upload" | "idle" | "start" | "crash" => asked.figures.push(argument),
                other => return Err(format!("\"{other}\" is no figure; there are size, ready, upload, idle, start and crash")),
            }
        }
        Ok(asked)
    }

    fn wants(&self, figure: &str) -> bool {
        self.figures.is_empty() || self.figures.iter().any(|wanted| wanted == figure)
    }

    /// How often something is repeated.
    pub fn times(&self, quick: usize, whole: usize) -> usize {
        if self.quick { quick } else { whole }
    }
}

fn main() -> ExitCode {
    let asked = match Asked::parse(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    if asked.planner {
        row::print(&planner::all(&asked));
        return ExitCode::SUCCESS;
    }
    if !geteuid().is_root() {
        eprintln!("the figures need root, since Docker does");
        return ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    // What was started is ended on the way out of `all`, also where a signal or a panic leads out of it.
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).expect("a signal");
        let mut interrupt = signal(SignalKind::interrupt()).expect("a signal");
        tokio::select! {
            rows = all(&asked) => {
                row::print(&rows);
                ExitCode::SUCCESS
            }
            _ = terminate.recv() => ExitCode::from(143),
            _ = interrupt.recv() => ExitCode::from(130),
        }
    })
}

async fn all(asked: &Asked) -> Vec<Row> {
    let mut engine = Engine::prepare();
    let docker = match std::env::var("DINP_TEST_DOCKER") {
        Ok(socket) => Docker { socket },
        Err(_) => {
            engine.start().await;
            engine.docker()
        }
    };
    println!("{}", machine::sentence());
    println!("{}, {}", docker.run(&["version", "--format", "Docker {{.Server.Version}}"]), docker.socket);
    let mut rows = Vec::new();
    let began = |figure: &str| println!("{figure} (load {})", machine::load());
    if asked.wants("size") {
        rows.extend(size::measure());
    }
    let lab = Lab::start_on(docker.clone()).await;
    let peer = raw::Peer::new(&docker).await;
    if asked.wants("ready") {
        began("ready image to the first answer");
        rows.extend(ready::measure(&lab, &peer, asked).await);
    }
    if asked.wants("upload") {
        began("upload to the first answer");
        rows.extend(upload::measure(&lab, &peer, asked).await);
    }
    if ["idle", "start", "crash"].iter().any(|figure| asked.wants(figure)) {
        began("ten apps");
        idle::deploy_apps(&lab).await;
    }
    if asked.wants("idle") {
        began("idle");
        rows.extend(idle::measure(&lab, asked).await);
    }
    if asked.wants("start") {
        began("ready with existing state");
        rows.extend(start::measure(&lab, asked).await);
    }
    if asked.wants("crash") {
        began("crash to withdrawn and replaced");
        rows.extend(crash::measure(&lab, &peer, asked).await);
    }
    println!("done (load {})", machine::load());
    peer.remove();
    lab.purge().await;
    rows
}
