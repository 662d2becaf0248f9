//! Runs many seeds of the simulation, or one again with all that happens in it.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use dinp_planner::promises::Breach;
use dinp_tests::sim::{Clock, Detail, Outcome, Planted, Setting, run, run_in};

const USAGE: &str = "\
sim: simulates whole clusters, with faults drawn from a seed

  sim --seeds N [--from S] [--jobs J] [--hours H]   N seeds, from S on
  sim --seed S [--trace] [--hours H]                one seed; with --trace, everything that happens in it
  sim --planted [NAME] [--seeds N]                  every planted bug, or one, within N seeds (500)
  sim --planted NAME --seed S [--trace]             one seed with one planted bug
  sim --figures                                     how fast it is: 5 nodes, 20 apps, faults on, one core
  sim --figures --seed S [--trace]                  one seed of those
";
/// One seed in this many is run twice and compared.
const TWICE_ONE_IN: u64 = 20;
/// Lines of a failing seed's timeline.
const TIMELINE: usize = 150;
/// Seeds within which a planted bug must be found.
const PLANTED_SEEDS: u64 = 500;
/// Runs that the figures are the mean of, and hours of each.
const MEASURED: u64 = 5;
const MEASURED_HOURS: f64 = 1.0;

#[derive(Debug, Default)]
struct Args {
    seeds: Option<u64>,
    from: u64,
    seed: Option<u64>,
    trace: bool,
    planted: Option<Option<Planted>>,
    hours: Option<f64>,
    jobs: Option<usize>,
    figures: bool,
}

fn main() -> ExitCode {
    let args = match parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(why) => {
            eprintln!("{why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let good = match (args.seed, args.planted) {
        (Some(seed), planted) => one(seed, &args, planted.flatten()),
        (None, Some(planted)) => all_planted(&args, planted),
        (None, None) if args.figures => figures(),
        (None, None) => many(&args),
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(given: impl Iterator<Item = String>) -> Result<Args, String> {
    let mut args = Args::default();
    let mut given = given.peekable();
    while let Some(name) = given.next() {
        let mut number = |what: &str| {
            let text = given.next().ok_or_else(|| format!("{name} needs {what}"))?;
            text.parse::<f64>().map_err(|_| format!("{name} {text}: it needs {what}"))
        };
        match name.as_str() {
            "--seeds" => args.seeds = Some(number("a number")? as u64),
            "--from" => args.from = number("a seed")? as u64,
            "--seed" => args.seed = Some(number("a seed")? as u64),
            "--hours" => args.hours = Some(number("hours")?),
            "--jobs" => args.jobs = Some(number("a number")? as usize),
            "--trace" => args.trace = true,
            "--figures" => args.figures = true,
            "--planted" => {
                let bug = given.next_if(|next| !next.starts_with("--"));
                let bug =
                    bug.map(|name| Planted::parse(&name).ok_or_else(|| format!("{name} is not a planted bug"))).transpose()?;
                args.planted = Some(bug);
            }
            other => return Err(format!("{other} is not an option")),
        }
    }
    Ok(args)
}

/// One seed again, with its timeline.
fn one(seed: u64, args: &Args, planted: Option<Planted>) -> bool {
    let detail = if args.trace { Detail::Print } else { Detail::Last(TIMELINE) };
    let began = Instant::now();
    let outcome = match args.figures {
        true => run_in(Setting::measured(seed, MEASURED_HOURS), planted, detail),
        false => run(seed, args.hours, planted, detail),
    };
    if let Some(violation) = &outcome.violation {
        outcome.lines.iter().for_each(|line| println!("{line}"));
        println!("\nseed {seed} breaks promise {}\n  {}", violation.promise, violation.what);
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "seed {seed}: {} simulated in {seconds:.1} s, {} steps, {:?}, hash {:016x}",
        Clock(outcome.at),
        outcome.steps,
        outcome.counts,
        outcome.hash
    );
    outcome.violation.is_none()
}

/// The speed on one core, as simulated seconds in one second.
fn figures() -> bool {
    let (mut speeds, mut good) = (Vec::new(), true);
    for seed in 0..MEASURED {
        let began = Instant::now();
        let outcome = run_in(Setting::measured(seed, MEASURED_HOURS), None, Detail::Count);
        let seconds = began.elapsed().as_secs_f64();
        let speed = outcome.at as f64 / 1_000.0 / seconds;
        let found =
            outcome.violation.map_or_else(String::new, |found| format!("; breaks promise {}: {}", found.promise, found.what));
        println!(
            "seed {seed}: {} simulated in {seconds:.1} s: {speed:.0} s a second, {} steps{found}",
            Clock(outcome.at),
            outcome.steps
        );
        good &= found.is_empty();
        speeds.push(speed);
    }
    let mean = speeds.iter().sum::<f64>() / speeds.len() as f64;
    println!("5 nodes, 20 apps, 3 servers, 2 routers, faults on: {mean:.0} simulated seconds a second on one core");
    good
}

#[derive(Debug, Default)]
struct Sums {
    simulated_ms: u64,
    steps: u64,
    deploys: u64,
    commits: u64,
    visits: u64,
    slowest_rest_ms: u64,
    failed: Vec<u64>,
}

/// All seeds, on all cores.
fn many(args: &Args) -> bool {
    let seeds = args.seeds.unwrap_or(100);
    let jobs = args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let (next, sums, began) = (AtomicU64::new(args.from), Mutex::new(Sums::default()), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= args.from + seeds {
                        return;
                    }
                    let outcome = checked(seed, args);
                    if let Ok(mut sums) = sums.lock() {
                        sums.add(seed, &outcome);
                    }
                }
            });
        }
    });
    let mut sums = sums.into_inner().unwrap_or_default();
    sums.failed.sort_unstable();
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{seeds} seeds, {:.1} simulated hours in {seconds:.1} s: {:.0} simulated seconds a second; {} steps, {} commits, {} deploys \
         ended, {} visits; slowest rest {}",
        sums.simulated_ms as f64 / 3_600_000.0,
        sums.simulated_ms as f64 / 1_000.0 / seconds,
        sums.steps,
        sums.commits,
        sums.deploys,
        sums.visits,
        Clock(sums.slowest_rest_ms)
    );
    println!("{} passed, {} failed{}", seeds - sums.failed.len() as u64, sums.failed.len(), listed(&sums.failed));
    sums.failed.is_empty()
}

impl Sums {
    fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.simulated_ms += outcome.at;
        self.steps += outcome.steps;
        self.deploys += outcome.counts.deploys;
        self.commits += outcome.counts.commits;
        self.visits += outcome.counts.visits;
        self.slowest_rest_ms = self.slowest_rest_ms.max(outcome.counts.rest_ms);
        if outcome.violation.is_some() {
            self.failed.push(seed);
        }
    }
}

fn listed(seeds: &[u64]) -> String {
    let words: Vec<String> = seeds.iter().map(u64::to_string).collect();
    if words.is_empty() { String::new() } else { format!(": {}", words.join(" ")) }
}

/// Runs a seed; one that fails is run again for its timeline, and some are run twice to see that a seed is a run.
fn checked(seed: u64, args: &Args) -> Outcome {
    let twice = seed.is_multiple_of(TWICE_ONE_IN);
    let detail = if twice { Detail::Hash } else { Detail::Count };
    let mut outcome = run(seed, args.hours, None, detail);
    if let Some(violation) = &outcome.violation {
        let again = run(seed, args.hours, None, Detail::Last(TIMELINE));
        let hours = args.hours.map_or_else(String::new, |hours| format!(" --hours {hours}"));
        let mut text = again.lines.join("\n");
        text += &format!("\nseed {seed} breaks promise {} at {}\n  {}\n", violation.promise, Clock(outcome.at), violation.what);
        text += &format!("  again: cargo run --release -p dinp-tests --bin sim -- --seed {seed}{hours} --trace\n");
        println!("{text}");
    } else if twice {
        let again = run(seed, args.hours, None, detail);
        if again.hash != outcome.hash {
            println!("seed {seed} is not one run: {:016x} and {:016x}", outcome.hash, again.hash);
            let what = "two runs differ".to_owned();
            outcome.violation = Some(Breach { promise: "one seed is one run", what });
        }
    }
    outcome
}

/// Every planted bug must be found, by the promise that is there for it.
fn all_planted(args: &Args, only: Option<Planted>) -> bool {
    let bugs: Vec<Planted> = Planted::ALL.iter().copied().filter(|bug| only.is_none_or(|only| only == *bug)).collect();
    let jobs = args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let (next, good) = (AtomicU64::new(0), Mutex::new(0));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    let caught = hunt(*bug, args);
                    if let Ok(mut good) = good.lock() {
                        *good += usize::from(caught);
                    }
                }
            });
        }
    });
    let good = good.into_inner().unwrap_or_default();
    println!("{good} of {} planted bugs caught", bugs.len());
    good == bugs.len()
}

fn hunt(bug: Planted, args: &Args) -> bool {
    let began = Instant::now();
    let mut others = Vec::new();
    for seed in args.from..args.from + args.seeds.unwrap_or(PLANTED_SEEDS) {
        let Some(violation) = run(seed, args.hours, Some(bug), Detail::Count).violation else { continue };
        let seconds = began.elapsed().as_secs_f64();
        if bug.is_caught_by(violation.promise) {
            let (name, seeds) = (bug.name(), seed - args.from + 1);
            println!(
                "{name:<22} caught after {seeds} seeds and {seconds:.1} s by promise {}: {}",
                violation.promise, violation.what
            );
            return true;
        }
        others.push(format!("{seed} by {}", violation.promise));
    }
    println!("{:<22} NOT CAUGHT by {}; others: {}", bug.name(), bug.caught_by(), others.join(", "));
    false
}
