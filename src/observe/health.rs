//! Whether the daemon is alive (its loop goes round) and ready (it does its job). Pure.

use std::time::Duration;

use cloud::{Timestamp, clock};

use crate::model::{FleetId, Span};

/// A tick may wait for the cloud, and for its rate limits, for most of a minute.
const ALIVE_LEAST: Duration = Duration::from_secs(60);
/// Ticks that may be missed: one may be slow, two are an accident.
const ALIVE_INTERVALS: u32 = 3;
/// Fleets named in an answer: the first few tell where to look.
const NAMED: usize = 5;

/// Two answers, each with its reason where it is a no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    pub alive: Result<(), String>,
    pub ready: Result<(), String>,
}

/// The facts that tell whether the loop goes round.
#[derive(Debug)]
pub(super) struct Alive {
    pub(super) now: Timestamp,
    /// When a tick of any fleet last ended, whatever came of it.
    pub(super) newest_tick: Option<Timestamp>,
    /// When the daemon began.
    pub(super) began: Timestamp,
    /// The shortest interval of any fleet.
    pub(super) intervals: Option<Duration>,
}

/// The facts that tell whether it does its job.
#[derive(Debug)]
pub(super) struct Ready {
    /// Why the journal cannot be used.
    pub(super) journal: Option<String>,
    /// Whether the journal has answered who acts for which fleet.
    pub(super) tended: bool,
    /// Fleets of this replica that have not had a tick yet.
    pub(super) waits_for: Vec<FleetId>,
}

impl Health {
    pub(super) fn of(alive: &Alive, ready: &Ready) -> Health {
        Health { alive: is_alive(alive), ready: is_ready(ready) }
    }
}

fn is_alive(alive: &Alive) -> Result<(), String> {
    let interval = alive.intervals.unwrap_or_default();
    let most = (interval * ALIVE_INTERVALS).max(ALIVE_LEAST);
    let age = clock::age(alive.now, alive.newest_tick.unwrap_or(alive.began));
    if age < most {
        return Ok(());
    }
    let (age, most) = (Span::secs(age.as_secs()), Span::secs(most.as_secs()));
    Err(match alive.newest_tick {
        Some(_) => format!("no fleet has ticked for {age}; one should within {most}"),
        None => format!("no fleet has ticked since the start {age} ago"),
    })
}

fn is_ready(ready: &Ready) -> Result<(), String> {
    if let Some(why) = &ready.journal {
        return Err(format!("the journal cannot be used: {why}"));
    }
    if !ready.tended {
        return Err("the journal has not answered yet".to_owned());
    }
    let waiting = &ready.waits_for;
    if waiting.is_empty() {
        return Ok(());
    }
    let mut names: Vec<String> =
        waiting.iter().take(NAMED).map(|fleet| format!("`{fleet}`")).collect();
    if waiting.len() > NAMED {
        names.push(format!("{} more", waiting.len() - NAMED));
    }
    Err(format!("no tick has succeeded yet of {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_alive_while_any_fleet_ticks_within_three_intervals_or_a_minute() {
        let began: Timestamp = "2026-01-02T12:00:00Z".parse().expect("a valid time");
        let at = |secs| clock::after(began, Duration::from_secs(secs));
        for (name, interval, newest, now, expected) in [
            ("just started", 15, None, 59, true),
            ("never ticked", 15, None, 60, false),
            ("ticks", 15, Some(100), 159, true),
            ("hangs", 15, Some(100), 160, false),
            ("a long interval", 60, Some(100), 279, true),
            ("a long interval, missed three times", 60, Some(100), 280, false),
        ] {
            let alive = Alive {
                now: at(now),
                newest_tick: newest.map(at),
                began,
                intervals: Some(Duration::from_secs(interval)),
            };
            assert_eq!(is_alive(&alive).is_ok(), expected, "{name}: {:?}", is_alive(&alive));
        }
    }

    #[test]
    fn it_is_ready_once_the_journal_answers_and_every_fleet_of_its_own_has_ticked() {
        let fleets = |n: usize| (0..n).map(|n| FleetId(format!("f{n}"))).collect::<Vec<_>>();
        for (journal, tended, waits_for, expected) in [
            (Some("no route"), true, 0, Err("the journal cannot be used: no route")),
            (None, false, 0, Err("the journal has not answered yet")),
            (None, true, 2, Err("no tick has succeeded yet of `f0`, `f1`")),
            (
                None,
                true,
                7,
                Err("no tick has succeeded yet of `f0`, `f1`, `f2`, `f3`, `f4`, 2 more"),
            ),
            (None, true, 0, Ok(())),
        ] {
            let journal = journal.map(str::to_owned);
            let got = is_ready(&Ready { journal, tended, waits_for: fleets(waits_for) });
            assert_eq!(got, expected.map_err(str::to_owned));
        }
    }
}
