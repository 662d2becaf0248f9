//! Runs named tests one after the other, and says how it went in libtest's words.
//!
//! `--long` adds the heavier repetitions, words choose tests by a part of their name, `--list` only names them.

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::lab::Lab;
use tokio::sync::OnceCell;

/// The longest a single test may take: beyond it something hangs, and the others still get their turn.
const TEST_DEADLINE: Duration = Duration::from_secs(600);

/// What all tests share.
#[derive(Debug)]
pub struct World {
    /// Repeat more.
    pub long: bool,
    shared: OnceCell<Lab>,
}

impl World {
    /// An installation several tests share, each with apps of its own names. Nobody breaks it.
    pub async fn lab(&self) -> &Lab {
        self.shared.get_or_init(Lab::start).await
    }

    /// `few` in the normal run, `many` with `--long`.
    pub fn times(&self, few: u32, many: u32) -> u32 {
        if self.long { many } else { few }
    }
}

pub type Body = Pin<Box<dyn Future<Output = ()>>>;

pub struct Test {
    /// As the macro sees it, with spaces and line breaks around the colons.
    pub path: &'static str,
    pub run: fn(Rc<World>) -> Body,
}

impl Test {
    fn name(&self) -> String {
        self.path.split_whitespace().collect()
    }
}

/// `tests![module::function, ...]`: a list for [`run`].
#[macro_export]
macro_rules! tests {
    ($($($part:ident)::+),+ $(,)?) => {
        &[$($crate::runner::Test {
            path: stringify!($($part)::+),
            run: |world| Box::pin(async move { $($part)::+(&world).await }),
        }),+]
    };
}

pub fn run(tests: &[Test]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let flag = |name: &str| arguments.iter().any(|argument| argument == name);
    let words: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let chosen: Vec<&Test> =
        tests.iter().filter(|test| words.is_empty() || words.iter().any(|word| test.name().contains(word.as_str()))).collect();
    if flag("--list") {
        chosen.iter().for_each(|test| println!("{}: test", test.name()));
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let world = Rc::new(World { long: flag("--long"), shared: OnceCell::new() });
    let failed = tokio::task::LocalSet::new().block_on(&runtime, all(&chosen, &world));
    runtime.block_on(async {
        if let Some(lab) = Rc::into_inner(world).and_then(|world| world.shared.into_inner()) {
            lab.purge().await;
        }
    });
    failed.iter().for_each(|name| println!("failed: {name}"));
    let word = if failed.is_empty() { "ok" } else { "FAILED" };
    let skipped = tests.len() - chosen.len();
    println!("\ntest result: {word}. {} passed; {} failed; {skipped} filtered out", chosen.len() - failed.len(), failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn all(tests: &[&Test], world: &Rc<World>) -> Vec<String> {
    let mut failed = Vec::new();
    for test in tests {
        let begun = Instant::now();
        // A task of its own: a panic ends the test and nothing else.
        let end = tokio::time::timeout(TEST_DEADLINE, tokio::task::spawn_local((test.run)(world.clone()))).await;
        let ok = matches!(end, Ok(Ok(())));
        println!("test {} ... {} ({:.1} s)", test.name(), if ok { "ok" } else { "FAILED" }, begun.elapsed().as_secs_f64());
        if !ok {
            failed.push(test.name());
        }
    }
    failed
}
