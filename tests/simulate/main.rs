//! The daemon in a world where everything goes wrong: several replicas, the emulator, a store and a
//! clock in one process, and only a seed decides what happens in which order.
//!
//! `cargo test --test simulate` runs a fixed set of seeds and a few random ones;
//! `scripts/simulate --seeds N [--start S]` runs more, faster. A seed that fails is printed, made
//! smaller, and repeated step by step with `--seed S --verbose`; `--at SECONDS,…`, `--fleets N` and
//! `--no-lag` leave out of it what a smaller script does not have.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it reports to a terminal")]

mod check;
mod door;
mod driver;
mod end;
mod gates;
mod host;
mod kept;
mod replica;
mod script;
mod shrink;
mod store;
mod truth;
mod who;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use script::{Less, Script};

/// Seeds of a run without arguments: the same ones each time, so that a change is what makes the
/// difference …
const FIXED: u64 = 60;
/// … and some that nobody has seen before.
const FRESH: u64 = 2;

struct Args {
    start: u64,
    seeds: u64,
    fresh: u64,
    only: Option<u64>,
    less: Less,
    verbose: bool,
    shrink: bool,
}

fn args() -> Result<Args, String> {
    let mut args = Args {
        start: 0,
        seeds: FIXED,
        fresh: FRESH,
        only: None,
        less: Less::default(),
        verbose: false,
        shrink: true,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut text = || words.next().ok_or(format!("{word} takes a number"));
        let parsed = |text: &str| text.parse::<u64>().map_err(|_| format!("{text:?} is no number"));
        let mut number = || parsed(&text()?);
        match word.as_str() {
            "--start" => args.start = number()?,
            "--seeds" => {
                args.seeds = number()?;
                args.fresh = 0;
            }
            "--seed" => args.only = Some(number()?),
            "--at" => {
                let at: Result<_, _> = text()?.split(',').map(parsed).collect();
                args.less.at = Some(at?);
            }
            "--fleets" => args.less.fleets = usize::try_from(number()?).ok(),
            "--no-lag" => args.less.no_lag = true,
            "--verbose" => args.verbose = true,
            "--no-shrink" => args.shrink = false,
            // The arguments that cargo and its friends hand to every test.
            "--nocapture" | "--quiet" | "-q" => {}
            "--list" => std::process::exit(0),
            other if !other.starts_with('-') => {}
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(args)
}

fn main() -> ExitCode {
    let args = match args() {
        Ok(args) => args,
        Err(wrong) => {
            eprintln!("simulate: {wrong}");
            return ExitCode::from(2);
        }
    };
    silence_simulated_panics();
    if let Some(seed) = args.only {
        let script = Script::of(seed).with(&args.less);
        print!("{script}");
        return match driver::run(&script, args.verbose) {
            Ok(run) => {
                println!("passed: {run:?}");
                ExitCode::SUCCESS
            }
            Err(wrong) => {
                println!("FAILED: {wrong}");
                ExitCode::FAILURE
            }
        };
    }
    let fresh_start = fresh_start();
    let mut seeds: Vec<u64> = (args.start..args.start + args.seeds).collect();
    seeds.extend((0..args.fresh).map(|n| fresh_start + n));
    if args.fresh > 0 {
        println!(
            "simulating seeds {}..{} and {fresh_start}..{}",
            args.start,
            args.start + args.seeds,
            fresh_start + args.fresh
        );
    } else {
        println!("simulating seeds {}..{}", args.start, args.start + args.seeds);
    }
    all(&seeds, args.shrink)
}

/// A panic that belongs to a script is not reported where it happens.
fn silence_simulated_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<&str>() != Some(&truth::PANIC) {
            report(info);
        }
    }));
}

/// Not the same from run to run; printed, so that it can be repeated.
fn fresh_start() -> u64 {
    // Far from the fixed ones, and short enough to be typed.
    1_000_000 + uuid::Uuid::new_v4().as_u64_pair().0 % 1_000_000_000
}

fn all(seeds: &[u64], shrink: bool) -> ExitCode {
    let next = AtomicU64::new(0);
    let failed: Mutex<Vec<(u64, String)>> = Mutex::default();
    let total: Mutex<driver::Run> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let Some(seed) = usize::try_from(n).ok().and_then(|n| seeds.get(n)) else {
                        return;
                    };
                    match driver::run(&Script::of(*seed), false) {
                        Ok(run) => add(&mut total.lock().expect("no panic"), run),
                        Err(wrong) => {
                            println!("seed {seed} FAILED:\n  {wrong}");
                            failed.lock().expect("no panic").push((*seed, wrong));
                        }
                    }
                }
            });
        }
    });
    let total = total.into_inner().expect("no panic");
    println!(
        "{} ticks, {} steps, {} launching and {} deleting calls, {} crashes; at rest after {} s at \
         the longest",
        total.ticks, total.steps, total.launches, total.deletions, total.crashes, total.rest_secs,
    );
    let mut failed = failed.into_inner().expect("no panic");
    failed.sort();
    let Some((seed, _)) = failed.first().cloned() else {
        println!("{} seeds passed", seeds.len());
        return ExitCode::SUCCESS;
    };
    println!("{} of {} seeds failed", failed.len(), seeds.len());
    if !shrink {
        return ExitCode::FAILURE;
    }
    println!("making seed {seed} smaller …");
    let (script, wrong) = shrink::shrink(Script::of(seed));
    println!("{script}  FAILED: {wrong}");
    println!("repeat it with: scripts/simulate --seed {seed} {} --verbose", script.less());
    ExitCode::FAILURE
}

fn add(total: &mut driver::Run, run: driver::Run) {
    total.ticks += run.ticks;
    total.steps += run.steps;
    total.launches += run.launches;
    total.deletions += run.deletions;
    total.crashes += run.crashes;
    total.rest_secs = total.rest_secs.max(run.rest_secs);
}
