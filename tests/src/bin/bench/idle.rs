//! What our processes take while ten apps with health checks run and nobody asks for anything.

use std::time::{Duration, Instant};

use dinp_tests::lab::Lab;
use dinp_tests::{process, sample};

use crate::ready::settings;
use crate::row::Row;
use crate::{APPS, Asked};

/// How long nothing happens.
const IDLE: Duration = Duration::from_secs(300);
const IDLE_QUICK: Duration = Duration::from_secs(30);
/// Units of `utime` and `stime`, in a second: `USER_HZ`, which is 100 on every Linux that matters.
const TICKS: f64 = 100.0;

pub fn app(n: u32) -> String {
    format!("idle-{n}")
}

pub async fn deploy_apps(lab: &Lab) {
    for n in 0..APPS {
        lab.deploy(&app(n), &sample::binary(), settings()).await;
    }
    for n in 0..APPS {
        lab.settled(&app(n)).await;
    }
}

pub async fn measure(lab: &Lab, asked: &Asked) -> Vec<Row> {
    let pids: Vec<(&str, i32)> = ["control", "router", "keeper"]
        .into_iter()
        .filter_map(|role| Some((role, process::recorded(&lab.run(), role)?)))
        .collect();
    let before: Vec<f64> = pids.iter().map(|(_, pid)| seconds(*pid)).collect();
    let begun = Instant::now();
    tokio::time::sleep(if asked.quick { IDLE_QUICK } else { IDLE }).await;
    let wall = begun.elapsed().as_secs_f64();
    let (mut memory, mut once, mut share, mut told) = (0.0, 0.0, 0.0, Vec::new());
    for ((role, pid), before) in pids.iter().zip(before) {
        let (mib, percent) = (mapped(*pid, "Rss:"), (seconds(*pid) - before) * 100.0 / wall);
        memory += mib;
        once += mapped(*pid, "Pss:");
        share += percent;
        told.push(format!("{role} {mib:.1} MiB {percent:.2} %"));
    }
    let beside = format!("{}; pages they share counted once {once:.1} MiB; {APPS} apps, over {wall:.0} s", told.join(", "));
    let row = |figure, at_least, aim, measured, unit| Row { figure, at_least, aim, measured, unit, beside: beside.clone() };
    vec![row("idle, memory", 80.0, 40.0, memory, "MiB"), row("idle, share of one core", 1.0, 0.2, share, "%")]
}

/// Memory of a process that is in RAM, in MiB: all of it (`Rss:`), or its part of what several share (`Pss:`).
fn mapped(pid: i32, which: &str) -> f64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("it runs");
    let line = rollup.lines().find_map(|line| line.strip_prefix(which)).expect("a sum");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}

/// Processor time of a process, in seconds.
fn seconds(pid: i32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // The name, the second field, may hold spaces; what follows its bracket does not. utime is the 14th field.
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / TICKS
}
