//! The load of the past: from the Prometheus that the fleet's signal comes from, or from the daemon's own
//! journal, which also knows how many instances served.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use cloud::{Clock, SystemClock, Timestamp, clock};

use super::args::{BacktestArgs, HistoryFrom};
use crate::backtest::{Meaning, Trace};
use crate::config::{Config, FleetConfig};
use crate::journal::{Look, Reader, Said};
use crate::model::{Event, Rule, RuleKind, SignalName, TargetOf};
use crate::signals::{Clients, Prometheus, SourceSpec};

/// From one value to the next: as fine as most signals are recorded, and 43,200 of them in 30 days.
const STEP: Duration = Duration::from_secs(60);
/// Answers are not shared: nobody else asks.
const NOT_SHARED: Duration = Duration::ZERO;

/// The signal that the history is of, and its meaning.
pub(super) struct Subject {
    pub(super) signal: SignalName,
    /// The load in total, or how busy each instance is.
    pub(super) meaning: Meaning,
}

/// The signal to look at: the one that is named, else the load of an adaptive rule, else the first rule's.
pub(super) fn subject(args: &BacktestArgs, fleet: &FleetConfig) -> anyhow::Result<Subject> {
    let rules = &fleet.fleet.rules;
    let is_load = |signal: &SignalName| {
        rules.iter().any(|rule| match &rule.kind {
            RuleKind::Adaptive(rule) => rule.signal == *signal,
            RuleKind::Target(rule) => rule.signal == *signal && rule.of == TargetOf::Total,
            _ => false,
        })
    };
    let mut signals = rules.iter().flat_map(Rule::signals);
    let signal = match &args.signal {
        Some(name) => {
            let known = fleet.fleet.signals.keys().find(|signal| signal.0 == *name).cloned();
            let all =
                || fleet.fleet.signals.keys().map(|s| s.0.as_str()).collect::<Vec<_>>().join(", ");
            known.with_context(|| format!("the fleet has no signal `{name}`; it has {}", all()))?
        }
        None => {
            let load = fleet.fleet.signals.keys().find(|signal| is_load(signal)).cloned();
            let first = || signals.next().cloned();
            load.or_else(first).context("no rule of the fleet looks at a signal")?
        }
    };
    if is_load(&signal) {
        return Ok(Subject { signal, meaning: Meaning::Load });
    }
    // What a rule lets an instance have before it adds one.
    let bound = rules.iter().find_map(|rule| match &rule.kind {
        RuleKind::Threshold(rule) if rule.signal == signal => {
            rule.scale_out.as_ref().map(|out| out.above)
        }
        RuleKind::Target(rule) if rule.signal == signal => Some(rule.target),
        _ => None,
    });
    Ok(Subject { signal, meaning: Meaning::Busy { full: bound.unwrap_or(100.0) } })
}

/// The recorded load, as far back as is asked for.
pub(super) async fn trace(
    args: &BacktestArgs,
    config: &Config,
    fleet: &FleetConfig,
    subject: &Subject,
) -> anyhow::Result<Trace> {
    let now = SystemClock.now();
    let since = args.since.expect("asked for by who calls").get();
    let from = clock::before(now, since);
    let by_default = match subject.meaning {
        Meaning::Load if is_kept_by_prometheus(fleet, &subject.signal) => HistoryFrom::Prometheus,
        // Other sources keep no history. How busy each instance was says nothing of the load without how many there were.
        Meaning::Load | Meaning::Utilisation | Meaning::Busy { .. } => HistoryFrom::Journal,
    };
    let rows = match args.from.unwrap_or(by_default) {
        HistoryFrom::Prometheus if subject.meaning != Meaning::Load => bail!(
            "`{}` says how busy each instance is, and Prometheus does not know how many there were: use \
             --from journal, or give a signal of the load in total",
            subject.signal
        ),
        HistoryFrom::Prometheus => prometheus(fleet, subject, (from, now)).await?,
        HistoryFrom::Journal => journal(config, fleet, subject, from).await?,
    };
    match Trace::of(&rows) {
        Some(trace) => Ok(trace),
        None => bail!(
            "there is no history of `{}` since {}: {} values",
            subject.signal,
            from.format("%Y-%m-%d %H:%M:%SZ"),
            rows.len()
        ),
    }
}

fn is_kept_by_prometheus(fleet: &FleetConfig, signal: &SignalName) -> bool {
    matches!(fleet.sources.get(signal), Some(SourceSpec::Prometheus(_)) | None)
}

async fn prometheus(
    fleet: &FleetConfig,
    subject: &Subject,
    of: (Timestamp, Timestamp),
) -> anyhow::Result<Vec<(Timestamp, f64)>> {
    let source = fleet.sources.get(&subject.signal).context("the signal has no source")?;
    let SourceSpec::Prometheus(spec) = source else {
        bail!("the source of `{}` keeps no history: use --from journal", subject.signal)
    };
    let clients = Arc::new(Clients::new(Arc::new(SystemClock), NOT_SHARED));
    let values = Prometheus::new(spec, &clients)?.history(&spec.series, of, STEP).await;
    values.map_err(|gap| anyhow::anyhow!("{}: {gap}", spec.url))
}

/// By the samples of the ticks; how busy each instance was is taken times how many served.
async fn journal(
    config: &Config,
    fleet: &FleetConfig,
    subject: &Subject,
    from: Timestamp,
) -> anyhow::Result<Vec<(Timestamp, f64)>> {
    let reader = Reader::open(&config.daemon.state).await.context("the journal cannot be read")?;
    let look = Look {
        fleet: Some(fleet.fleet.id.clone()),
        since: Some(from),
        kinds: vec!["tick".to_owned()],
        ..Look::default()
    };
    let mut rows: Vec<(Timestamp, f64)> = Vec::new();
    for entry in reader.look(&look).await? {
        let Ok(Said::Fleet(Event::Ticked(ticked))) = entry.said else { continue };
        let Some(sample) = ticked.samples.get(&subject.signal) else { continue };
        let load = match subject.meaning {
            Meaning::Load => sample.value,
            Meaning::Utilisation | Meaning::Busy { .. } => {
                sample.value * f64::from(ticked.in_service)
            }
        };
        // Several ticks may read the same value.
        if rows.last().is_none_or(|(at, _)| *at < sample.measured_at) && load >= 0.0 {
            rows.push((sample.measured_at, load));
        }
    }
    reader.close().await;
    Ok(rows)
}
