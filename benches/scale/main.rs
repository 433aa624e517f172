//! How the daemon does with many fleets: `scripts/scale FLEETS INSTANCES`.
//!
//! It serves the cloud (the emulator) and a Prometheus of its own on loopback, runs the daemon's release
//! binary against them, and prints what was measured of the whole process. It ends by itself.

mod arguments;
mod daemon;
mod figures;
mod probes;
mod prometheus;
mod setup;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use cloud::{Clock, SystemClock, clock};
use ecs_emulator::Emulator;

use arguments::Arguments;
use daemon::Daemon;
use figures::{Figures, Scrape};
use probes::Probes;
use prometheus::Prometheus;

type Failure = Box<dyn std::error::Error>;

/// A daemon whose fleets have not all ticked by then is too slow to be measured.
const READY_WITHIN: Duration = Duration::from_secs(5 * 60);
/// How often the cloud's transcript is read: it keeps the newest 100,000 calls, some minutes' worth.
const LOOK_EVERY: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => return failed(&why),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let run = runtime.map_err(Failure::from).and_then(|rt| rt.block_on(measure(&arguments)));
    match run {
        Ok(figures) => {
            say(&figures.table(&arguments));
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error.to_string()),
    }
}

#[expect(clippy::print_stdout, reason = "a program of the command line")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "a program of the command line")]
fn failed(why: &str) -> ExitCode {
    eprintln!("scale: {why}");
    ExitCode::FAILURE
}

async fn measure(arguments: &Arguments) -> Result<Figures, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let dir = tempfile::tempdir()?;
    let cloud = Emulator::on_loopback(setup::world(arguments), clock.clone()).await?;
    setup::place(arguments, &cloud);
    let prometheus = Prometheus::serve(arguments, clock.clone()).await?;
    let config = setup::config(arguments, dir.path(), &cloud.url(), &prometheus.url());
    let began = clock.now();
    let daemon = Daemon::start(arguments, dir.path(), &config)?;

    let deadline = clock::after(began, READY_WITHIN);
    let mut ready = false;
    while !ready && clock.now() < deadline {
        clock.sleep(LOOK_EVERY).await;
        // The page of metrics costs more: it is asked last, and says it for certain.
        ready = daemon.is_ready().await?
            && Scrape::of(&daemon, &clock).await?.have_ticked == arguments.fleets;
    }
    if !ready {
        let log = daemon.log_tail(dir.path());
        return Err(format!("not every fleet ticked within {READY_WITHIN:?}:\n{log}").into());
    }
    let all_ticked_after = clock::age(clock.now(), began);
    // What only the start costs is over an interval later.
    clock.sleep(arguments.interval).await;

    let before = Scrape::of(&daemon, &clock).await?;
    let mut probes = Probes::new(arguments, &cloud);
    let until = clock::after(clock.now(), arguments.window);
    let asked_before = prometheus.asked();
    while clock.now() < until {
        probes.go_on(&cloud, &prometheus, clock.now());
        clock.sleep(LOOK_EVERY).await;
    }
    probes.look(&cloud, &prometheus);
    let after = Scrape::of(&daemon, &clock).await?;
    let asked = prometheus.asked() - asked_before;
    let state_bytes = arguments.state_bytes(dir.path());
    let leaving = clock.now();
    daemon.stop(&clock).await?;
    let figures = Figures {
        all_ticked_after,
        before,
        after,
        probes,
        asked,
        state_bytes,
        stopped_after: clock::age(clock.now(), leaving),
    };
    if arguments.keeps_log {
        let kept = std::path::Path::new("target").join("scale.log");
        std::fs::copy(dir.path().join("log"), kept)?;
    }
    Ok(figures)
}
