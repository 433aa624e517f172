//! Setting up the log: text for a person, fields for a machine.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, journald under systemd, JSON elsewhere.
    Auto,
    Text,
    Json,
    Journald,
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("{filter:?} is not a log filter: {why}; use error, warn, info, debug or trace")]
    Filter { filter: String, why: String },
    #[error("journald cannot be reached ({0}); use --log-format json")]
    Journald(#[source] std::io::Error),
    #[error("the log is set up already")]
    Twice,
}

/// Sets the log of this process up. Logs go to stderr or to journald, never to stdout.
pub fn init(format: LogFormat, filter: &str) -> Result<(), LogError> {
    let wrong = |why: String| LogError::Filter { filter: filter.to_owned(), why };
    let filter = EnvFilter::try_new(filter).map_err(|error| wrong(error.to_string()))?;
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match resolve(format) {
        LogFormat::Journald => {
            tracing_journald::layer().map_err(LogError::Journald)?.with_filter(filter).boxed()
        }
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_writer(std::io::stderr)
            .with_filter(filter)
            .boxed(),
        LogFormat::Text | LogFormat::Auto => tracing_subscriber::fmt::layer()
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .with_timer(tracing_subscriber::fmt::time::ChronoUtc::new("%H:%M:%SZ".to_owned()))
            .with_writer(std::io::stderr)
            // A person reads the message; the fields repeat it for machines.
            .fmt_fields(tracing_subscriber::fmt::format::debug_fn(|writer, field, value| {
                if field.name() != "message" {
                    return Ok(());
                }
                write!(writer, "{}", cloud::text::printable(&format!("{value:?}")))
            }))
            .with_filter(filter)
            .boxed(),
    };
    tracing_subscriber::registry().with(layer).try_init().map_err(|_| LogError::Twice)
}

fn resolve(format: LogFormat) -> LogFormat {
    if format != LogFormat::Auto {
        return format;
    }
    // systemd sets it for services whose output goes to the journal.
    if std::env::var_os("JOURNAL_STREAM").is_some() && tracing_journald::layer().is_ok() {
        return LogFormat::Journald;
    }
    if std::io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json }
}
