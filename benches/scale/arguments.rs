//! What is to be measured.

use std::path::{Path, PathBuf};
use std::time::Duration;

const USAGE: &str = "\
scripts/scale FLEETS INSTANCES [OPTION]…

  FLEETS INSTANCES                 so many fleets, and so many instances in all
  --seconds N                      how long is measured once every fleet has ticked (60)
  --interval SECONDS               between two ticks of a fleet (15)
  --rates default|raised           the cloud's quota: as the daemon assumes it, or a hundred times as much (raised)
  --state sqlite|memory|postgres://…   where the journal is (sqlite)
  --queries each|shared            Prometheus is asked for each fleet, or one vector for all (each)
  --daemon PATH                    the release binary (target/release/fleetscaler)
  --log                            keeps the daemon's log as target/scale.log";

/// The arguments of one measurement.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) fleets: usize,
    pub(crate) instances: usize,
    /// How long is measured.
    pub(crate) window: Duration,
    pub(crate) interval: Duration,
    pub(crate) rates: Rates,
    pub(crate) state: State,
    pub(crate) queries: Queries,
    pub(crate) daemon: PathBuf,
    pub(crate) keeps_log: bool,
}

/// The cloud's quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rates {
    Default,
    Raised,
}

/// Where the journal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Sqlite,
    Memory,
    /// At this address.
    Postgres(String),
}

/// How Prometheus is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queries {
    Each,
    Shared,
}

impl Arguments {
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Arguments, String> {
        let mut arguments = Arguments {
            fleets: 0,
            instances: 0,
            window: Duration::from_secs(60),
            interval: Duration::from_secs(15),
            rates: Rates::Raised,
            state: State::Sqlite,
            queries: Queries::Each,
            daemon: "target/release/fleetscaler".into(),
            keeps_log: false,
        };
        let mut counts = Vec::new();
        let mut words = words;
        while let Some(word) = words.next() {
            let mut value =
                || words.next().ok_or_else(|| format!("{word} needs a value\n\n{USAGE}"));
            match word.as_str() {
                "--seconds" => arguments.window = seconds(&value()?)?,
                "--interval" => arguments.interval = seconds(value()?.trim_end_matches('s'))?,
                "--rates" => {
                    arguments.rates = one_of(
                        &value()?,
                        &[("default", Rates::Default), ("raised", Rates::Raised)],
                    )?;
                }
                "--state" => arguments.state = state(&value()?)?,
                "--queries" => {
                    let known = [("each", Queries::Each), ("shared", Queries::Shared)];
                    arguments.queries = one_of(&value()?, &known)?;
                }
                "--daemon" => arguments.daemon = value()?.into(),
                "--log" => arguments.keeps_log = true,
                "--help" | "-h" => return Err(USAGE.to_owned()),
                count => counts.push(number(count)?),
            }
        }
        let [fleets, instances] = counts[..] else { return Err(USAGE.to_owned()) };
        Ok(Arguments { fleets, instances, ..arguments })
    }

    pub(crate) fn name(fleet: usize) -> String {
        format!("fleet-{fleet:05}")
    }

    /// Instances of the fleet of that number.
    pub(crate) fn instances_of(&self, fleet: usize) -> usize {
        self.instances / self.fleets + usize::from(fleet < self.instances % self.fleets)
    }

    /// What the journal takes on the disk, where it is a file.
    pub(crate) fn state_bytes(&self, dir: &Path) -> Option<u64> {
        if self.state != State::Sqlite {
            return None;
        }
        let size = |name: &str| std::fs::metadata(dir.join(name)).map_or(0, |data| data.len());
        Some(size("state.db") + size("state.db-wal"))
    }
}

fn number(word: &str) -> Result<usize, String> {
    match word.replace(['_', ','], "").parse() {
        Ok(number) if (1..=1_000_000).contains(&number) => Ok(number),
        _ => Err(format!("{word:?} is no number from 1 to 1,000,000\n\n{USAGE}")),
    }
}

fn seconds(word: &str) -> Result<Duration, String> {
    let secs = number(word)?;
    Ok(Duration::from_secs(u64::try_from(secs).unwrap_or(u64::MAX)))
}

fn one_of<T: Copy>(word: &str, known: &[(&str, T)]) -> Result<T, String> {
    let found = known.iter().find(|(name, _)| *name == word);
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    found.map(|(_, value)| *value).ok_or_else(|| format!("{word:?} is none of {names:?}"))
}

fn state(word: &str) -> Result<State, String> {
    match word {
        "sqlite" => Ok(State::Sqlite),
        "memory" => Ok(State::Memory),
        url if url.starts_with("postgres") => Ok(State::Postgres(url.to_owned())),
        other => Err(format!("{other:?} is neither sqlite, memory nor the address of a database")),
    }
}
