//! The flags of `fleetscaler backtest`.

use std::path::PathBuf;

use crate::backtest::Setup;
use crate::model::Span;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The trace is CSV, `timestamp,value`, with RFC 3339 times or Unix seconds; the
value is load in total, such as requests per second over all instances. Samples
up to a minute apart hold until the next; wider ones are joined by lines.

With --config, --fleet and --since the past of that fleet is the trace, and its
own rules (`fleet`, all together) are run beside adaptive/balanced:
  fleetscaler backtest --config c.toml --fleet web --since 30d

A policy is a preset (adaptive/thrifty, adaptive/balanced, adaptive/safe,
threshold/default, target/default), a rule of --config by its name, or a file
of [[rule]] tables. In a file the signal `load` is the trace, and `utilisation` (or `cpu`)
is how much of the ready instances it fills, in percent.
--compare takes hpa, aws, nomad, gcp, threshold and naive.

J10 and J100 are (instance-hours + 10 or 100 for each missing one) / the ideal,
which knows the load beforehand: 1.00 is the floor. theta is the mean shortage
(U) or surplus (O) beside the demand, tau the share of time with one.

--out writes DIR/POLICY/ready.csv and billed.csv, report.json and report.html.")]
pub(crate) struct BacktestArgs {
    /// The trace
    #[arg(long, value_name = "FILE", required_unless_present = "since", conflicts_with = "since")]
    pub(super) load: Option<PathBuf>,
    /// Instead of a trace: the past of --fleet, so far back, such as 30d
    #[arg(long, value_name = "DURATION", requires = "config")]
    pub(super) since: Option<Span>,
    /// Where the past is read [default: prometheus for a signal of the load in
    /// total, journal for one that says how busy each instance is]
    #[arg(long, value_enum, requires = "since")]
    pub(super) from: Option<HistoryFrom>,
    /// The signal whose past it is [default: the load of an adaptive rule, else
    /// the first rule's signal]
    #[arg(long, value_name = "SIGNAL", requires = "since")]
    pub(super) signal: Option<String>,
    /// Load that one instance carries, in the trace's unit
    #[arg(long, value_name = "C", value_parser = positive)]
    pub(super) capacity: Option<f64>,
    /// From a launch until the instance serves
    #[arg(long, default_value = "60s", value_name = "DURATION", value_parser = on_the_grid)]
    pub(super) boot: Span,
    /// How old the newest value of the signal is
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = on_the_grid)]
    pub(super) lag: Span,
    /// How much time a value of the signal is the mean of
    #[arg(long, default_value = "60s", value_name = "DURATION", value_parser = on_the_grid)]
    pub(super) window: Span,
    /// How often the policy decides
    #[arg(long, default_value = "15s", value_name = "DURATION", value_parser = interval)]
    pub(super) interval: Span,
    /// A policy to run; may be given several times [default: adaptive/balanced]
    #[arg(long, value_name = "POLICY")]
    pub(super) policy: Vec<String>,
    /// Algorithms of others to compare with, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(super) compare: Vec<String>,
    /// Try many settings of the rules and show those that nothing beats
    #[arg(long)]
    pub(super) sweep: bool,
    /// The signal shows no more than the ready instances carry, as CPU does
    #[arg(long)]
    pub(super) saturates: bool,
    /// Price of an instance per hour, to show money too
    #[arg(long, value_name = "PRICE", value_parser = positive)]
    pub(super) hourly_price: Option<f64>,
    /// A configuration whose rules can be run by name
    #[arg(long, value_name = "FILE", requires = "fleet")]
    pub(super) config: Option<PathBuf>,
    /// The fleet of --config
    #[arg(long, value_name = "FLEET", requires = "config")]
    pub(super) fleet: Option<String>,
    /// Where to write curves and reports
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// One JSON object instead of the table
    #[arg(long)]
    pub(super) json: bool,
}

/// Where the past of a fleet is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum HistoryFrom {
    /// The server that the signal comes from.
    Prometheus,
    /// The daemon's own journal.
    Journal,
}

impl BacktestArgs {
    pub(super) fn setup(&self) -> Setup {
        Setup {
            boot_secs: self.boot.get().as_secs(),
            lag_secs: self.lag.get().as_secs(),
            window_secs: self.window.get().as_secs(),
            saturates: self.saturates,
        }
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("write a number above 0".to_owned()),
    }
}

/// The simulation has one point each 5 s, and no instance boots for more than an hour.
fn on_the_grid(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    let secs = span.get().as_secs();
    if span != Span::secs(secs) || !secs.is_multiple_of(crate::backtest::GRID_SECS) || secs > 3_600
    {
        return Err("write a multiple of 5s, an hour at most".to_owned());
    }
    Ok(span)
}

fn interval(text: &str) -> Result<Span, String> {
    match on_the_grid(text)? {
        span if span.get().is_zero() => Err("write 5s or more".to_owned()),
        span => Ok(span),
    }
}
