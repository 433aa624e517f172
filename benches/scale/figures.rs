//! What was measured, as a table.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use cloud::{Clock, Timestamp, clock};

use crate::Failure;
use crate::arguments::Arguments;
use crate::daemon::{Daemon, Usage};
use crate::probes::Probes;

/// What the daemon says of itself, and the kernel of it, at one moment.
#[derive(Debug)]
pub(crate) struct Scrape {
    at: Timestamp,
    usage: Usage,
    /// Fleets that have had a tick which succeeded.
    pub(crate) have_ticked: usize,
    ticks: f64,
    unsuccessful: f64,
    overruns: f64,
    bytes: usize,
    took: Duration,
}

impl Scrape {
    pub(crate) async fn of(daemon: &Daemon, clock: &Arc<dyn Clock>) -> Result<Scrape, Failure> {
        let usage = daemon.usage()?;
        let at = clock.now();
        let (_, text) = daemon.get("/metrics").await?;
        let sum = |name: &str, keep: &dyn Fn(&str) -> bool| -> f64 {
            let of = text.lines().filter(|line| line.starts_with(name) && keep(line));
            of.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
        };
        let good = |line: &str| ["acted", "steady"].iter().any(|good| line.contains(good));
        let ticked = |line: &&str| line.starts_with("fleetscaler_last_tick_timestamp_seconds{");
        Ok(Scrape {
            at,
            usage,
            have_ticked: text.lines().filter(ticked).count(),
            ticks: sum("fleetscaler_ticks_total", &|_| true),
            unsuccessful: sum("fleetscaler_ticks_total", &|line| !good(line)),
            overruns: sum("fleetscaler_overruns_total", &|_| true),
            bytes: text.len(),
            took: clock::age(clock.now(), at),
        })
    }
}

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) all_ticked_after: Duration,
    pub(crate) before: Scrape,
    pub(crate) after: Scrape,
    pub(crate) probes: Probes,
    /// Questions to Prometheus within the window.
    pub(crate) asked: u64,
    pub(crate) state_bytes: Option<u64>,
    pub(crate) stopped_after: Duration,
}

impl Figures {
    pub(crate) fn table(&self, arguments: &Arguments) -> String {
        let Figures { before, after, probes, .. } = self;
        let secs = clock::age(after.at, before.at).as_secs_f64();
        let minutes = secs / 60.0;
        let wanted = arguments.fleets as f64 / arguments.interval.as_secs_f64();
        let ticks = after.ticks - before.ticks;
        let mut text = format!(
            "{} fleets, {} instances, interval {} s, rates {:?}, journal {}, measured for {secs:.0} s\n",
            arguments.fleets,
            arguments.instances,
            arguments.interval.as_secs(),
            arguments.rates,
            match &arguments.state {
                crate::arguments::State::Postgres(_) => "in PostgreSQL".to_owned(),
                other => format!("{other:?}"),
            },
        );
        let mut row = |what: &str, value: String| {
            writeln!(text, "  {what:<36} {value}").expect("a string takes everything");
        };
        row(
            "all fleets have ticked after",
            format!("{:.1} s", self.all_ticked_after.as_secs_f64()),
        );
        row("ticks a second, wanted", format!("{wanted:.1}"));
        row("ticks a second, made", format!("{:.1}", ticks / secs));
        row(
            "ticks that saw no cloud or journal",
            format!("{}", after.unsuccessful - before.unsuccessful),
        );
        row("ticks longer than the interval", format!("{}", after.overruns - before.overruns));
        row("cores", format!("{:.2}", (after.usage.cpu_secs - before.usage.cpu_secs) / secs));
        row("memory at the end, at the peak", {
            let Usage { rss_mib, rss_peak_mib, .. } = after.usage;
            format!("{rss_mib:.0} MB, {rss_peak_mib:.0} MB")
        });
        for (action, calls) in &probes.calls {
            row(&format!("{action} a minute"), format!("{:.1}", *calls as f64 / minutes));
        }
        row("questions to Prometheus a minute", format!("{:.0}", self.asked as f64 / minutes));
        let millis = |part: f64| {
            probes
                .quantile(part)
                .map_or("none".to_owned(), |took| format!("{:.2} s", took.as_secs_f64()))
        };
        row("breach to RunInstances, p50, p99, max", {
            format!("{}, {}, {} of {}", millis(0.5), millis(0.99), millis(1.0), probes.took.len())
        });
        row("breaches without a launch", probes.unanswered().to_string());
        row("metrics page", {
            let mib = after.bytes as f64 / 1024.0 / 1024.0;
            format!("{mib:.1} MB in {:.2} s", after.took.as_secs_f64())
        });
        if let Some(bytes) = self.state_bytes {
            row("journal on the disk", format!("{:.1} MB", bytes as f64 / 1024.0 / 1024.0));
        }
        row("stopped after", format!("{:.1} s", self.stopped_after.as_secs_f64()));
        text
    }
}
