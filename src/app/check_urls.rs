//! `stead check URL...` and `stead check --all`: one attempt at each, side by side, with no stead running; a line each,
//! the failures first, because Docker keeps no more than the first 4096 bytes.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{Failure, configure, print, read_file};
use crate::check::monitor::attempt;
use crate::check::registry::Check;
use crate::check::{Detail, Fact, Pass, ProbeError, Progress, Stage};
use crate::config::value::Wrong;
use crate::config::{Mistake, Role, checks_of_urls};
use crate::exit::Exit;
use crate::signal::Signal;
use crate::supervisor::hold::{Meaning, attend};
use crate::sys::signals::SignalFd;
use crate::sys::{descriptors, names, process};

/// For the farewells to all servers together.
const CLOSING: Duration = Duration::from_millis(500);
/// How much of an error's text is shown.
const LONGEST_TEXT: usize = 200;

/// What came of one attempt.
struct Outcome {
    name: String,
    result: Result<Pass, ProbeError>,
    stage: Stage,
    took: Duration,
}

/// `stead check URL...`.
pub(super) fn run(urls: Vec<OsString>, quiet: bool) -> Result<Exit, Failure> {
    check_once(checks_of_urls("check", urls, &read_file)?, &[], quiet)
}

/// `stead check --all`: the checks of the configuration, the app's own too.
pub(super) fn run_all(quiet: bool) -> Result<Exit, Failure> {
    let config = configure(Role::Wrapper, &[])?;
    let checks: Vec<Check> = config.app_checks.into_iter().chain(config.checks).collect();
    if checks.is_empty() {
        return Err(Mistake::at("check --all", "no check is configured").into());
    }
    check_once(checks, &config.ignored, quiet)
}

/// Tries each once; success if none is down. What is `ignored` of the environment is told behind the rest.
fn check_once(
    checks: Vec<Check>,
    ignored: &[(String, Wrong)],
    quiet: bool,
) -> Result<Exit, Failure> {
    descriptors::close_at_exec(&descriptors::beyond_standard(), true);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::system("start the checks"))?;
    names::use_files_and_dns_only();
    let queue = SignalFd::open().map_err(Failure::system("open the queue of signals"))?;
    runtime.spawn(end_when_told(queue));
    let mut outcomes = runtime.block_on(try_all(checks));
    // A look-up that is stuck must not hold up the end.
    runtime.shutdown_background();
    outcomes.sort_by_key(Outcome::rank);
    if !quiet {
        let ignored =
            ignored.iter().map(|(variable, wrong)| format!("{variable} ignored: {wrong}\n"));
        print(&outcomes.iter().map(Outcome::line).chain(ignored).collect::<String>());
    }
    let ok = outcomes.iter().all(|outcome| outcome.result.is_ok());
    Ok(if ok { Exit::OK } else { Exit::FAILURE })
}

/// Ends this process at once when a signal asks for it. The code is still one of the two that a health check may have.
async fn end_when_told(queue: SignalFd) {
    let Ok(queue) = queue.into_async() else { return };
    let mut meaning = |signal| match signal {
        Signal::TERM | Signal::INT => Meaning::End(Exit::FAILURE),
        _ => Meaning::Default,
    };
    while let Ok(mut ready) = queue.readable().await {
        if let Some(exit) = attend(queue.get_ref(), &mut meaning) {
            process::exit_now(exit);
        }
        ready.clear_ready();
    }
}

/// All attempts at once; what came of them in the order of the checks.
async fn try_all(checks: Vec<Check>) -> Vec<Outcome> {
    let attempts: Vec<_> = checks.into_iter().map(|check| tokio::spawn(try_one(check))).collect();
    let mut outcomes = Vec::new();
    for attempt in attempts {
        // It cannot have panicked: the probe and the farewell are tasks of their own.
        outcomes.extend(attempt.await);
    }
    outcomes
}

async fn try_one(check: Check) -> Outcome {
    let Check { name, recipe, schedule, .. } = check;
    let recipe = Arc::new(recipe);
    let progress = Progress::new(true);
    let (asked, told) = (recipe.clone(), progress.clone());
    let began = Instant::now();
    let probe = async move { asked.target().await?.probe(&told).await };
    let result = attempt(schedule.timeout, probe).await;
    let took = began.elapsed();
    // Whether the farewell came through or not, the answer is there.
    let farewell = async move { recipe.made().close().await };
    let _ = timeout(CLOSING, tokio::spawn(farewell)).await;
    Outcome { name, result, stage: progress.stage(), took }
}

impl Outcome {
    /// Failures first, then what only works.
    fn rank(&self) -> u8 {
        match &self.result {
            Err(_) => 0,
            Ok(Pass { concern: Some(_), .. }) => 1,
            Ok(_) => 2,
        }
    }

    fn line(&self) -> String {
        let Self { name, result, stage, took } = self;
        let ms = took.as_secs_f64() * 1e3;
        let trouble = |state: &str, error: &ProbeError| {
            let (class, stage) = (error.class.name(), stage.name());
            format!("{name} {state}: {class} at {stage} after {ms:.1} ms: {}\n", shown(&error.text))
        };
        match result {
            Err(error) => trouble("down", error),
            Ok(Pass { concern: Some(concern), .. }) => trouble("degraded", concern),
            Ok(Pass { detail, .. }) => format!("{name} up in {ms:.1} ms{}\n", facts(detail)),
        }
    }
}

/// `: role primary, connections 5`.
fn facts(detail: &Detail) -> String {
    let facts = detail.iter().map(|(name, fact)| match fact {
        Fact::Text(text) => format!("{name} {}", shown(text)),
        Fact::Count(count) => format!("{name} {count}"),
        Fact::Number(number) => format!("{name} {number:.1}"),
        Fact::Flag(flag) => format!("{name} {}", if *flag { "yes" } else { "no" }),
    });
    let facts: Vec<String> = facts.collect();
    if facts.is_empty() { String::new() } else { format!(": {}", facts.join(", ")) }
}

/// A text from outside, short and on one line.
fn shown(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
