//! `fleetscaler journal`: what happened and why, read beside a running daemon.

mod line;
mod page;

use std::collections::{BTreeSet, VecDeque};

use anyhow::Context;
use cloud::{Clock, SystemClock};
use serde_json::{Value, json};
use uuid::Uuid;

pub(super) use self::line::short;

use self::line::EntryLines;
use self::page::EntryLine;
use super::args::JournalArgs;
use super::{Exit, output};
use crate::config::{self, CommandConfig};
use crate::journal::{Entry, Look, Reader, Said};
use crate::model::{Event, FleetId, OperatorEvent};

pub(super) async fn run(args: JournalArgs) -> anyhow::Result<Exit> {
    let config = match output::load_for_command(&args.config, "journal") {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let reader = Reader::open(&config.daemon.state).await.context("the journal cannot be read")?;
    let result = show(&args, &config, &reader).await;
    reader.close().await;
    result
}

async fn show(args: &JournalArgs, config: &CommandConfig, reader: &Reader) -> anyhow::Result<Exit> {
    let fleet = match &args.fleet {
        Some(name) => match fleet(name, config, reader).await? {
            Some(fleet) => Some(fleet),
            None => return Ok(Exit::Usage),
        },
        None => None,
    };
    let now = SystemClock.now();
    let since = args.since.before(now);
    let look = Look { fleet: fleet.clone(), since, ..Look::default() };
    // Said of the fleet, but not by its ticks.
    let said: Vec<Entry> = match &fleet {
        Some(fleet) => {
            let look = Look { since, kinds: vec!["hold".to_owned()], ..Look::default() };
            let mut others = BTreeSet::new();
            reader.look(&look).await?.filter(|entry| concerns(entry, fleet, &mut others)).collect()
        }
        None => Vec::new(),
    };
    let mut wanted = Wanted::of(args);
    let mut teller = EntryLines::default();
    let mut said = said.into_iter().peekable();
    for entry in reader.look(&look).await? {
        while let Some(said) = said.next_if(|said| said.seq < entry.seq) {
            wanted.take(said, &mut teller);
        }
        wanted.take(entry, &mut teller);
    }
    for entry in said {
        wanted.take(entry, &mut teller);
    }
    if args.json {
        wanted.shown.iter().for_each(|shown| output::line(&shown.json));
        return Ok(Exit::Ok);
    }
    let lines: Vec<EntryLine> = wanted.shown.into_iter().map(|shown| shown.line).collect();
    if lines.is_empty() {
        let of = fleet.map(|fleet| format!(" of fleet `{fleet}`")).unwrap_or_default();
        output::line(&format!(
            "nothing{of} {}; --since looks farther back{}",
            args.since.in_words(),
            if args.all { "" } else { ", --all shows quiet ticks" },
        ));
    }
    page::page(&lines).iter().for_each(|line| output::line(line));
    Ok(Exit::Ok)
}

/// The fleet of that name: it is configured, or was. `None`: neither, which has been said.
async fn fleet(
    name: &str,
    config: &CommandConfig,
    reader: &Reader,
) -> anyhow::Result<Option<FleetId>> {
    let mut known: Vec<FleetId> = config.fleets.clone();
    known.extend(reader.fleets().await?);
    known.sort();
    known.dedup();
    match known.iter().find(|fleet| fleet.0 == name) {
        Some(fleet) => Ok(Some(fleet.clone())),
        None => {
            let names = known.iter().map(|fleet| fleet.0.as_str());
            let hint = config::hint(name, names, "there are");
            output::error(&format!("no fleet is called `{name}`: {hint}"));
            Ok(None)
        }
    }
}

/// Whether a person spoke of `fleet`; `others` are the holds of other fleets so far. What cannot be
/// read may concern it.
fn concerns(entry: &Entry, fleet: &FleetId, others: &mut BTreeSet<Uuid>) -> bool {
    match &entry.said {
        Ok(Said::Operator(OperatorEvent::Held { hold, .. })) => {
            let is_ours = hold.fleet.as_ref().is_none_or(|held| held == fleet);
            if !is_ours {
                others.insert(hold.id);
            }
            is_ours
        }
        Ok(Said::Operator(OperatorEvent::Lifted { hold: Some(hold), .. })) => {
            hold.fleet.as_ref().is_none_or(|held| held == fleet)
        }
        Ok(Said::Operator(OperatorEvent::Lifted { id, .. })) => !others.contains(id),
        _ => true,
    }
}

/// The entries to show, in the order of the journal.
struct Wanted<'a> {
    args: &'a JournalArgs,
    kinds: Vec<String>,
    shown: VecDeque<Shown>,
}

struct Shown {
    line: EntryLine,
    json: String,
}

impl Wanted<'_> {
    fn of(args: &JournalArgs) -> Wanted<'_> {
        let kinds = args.kind.iter().map(|kind| kind.name()).collect();
        Wanted { args, kinds, shown: VecDeque::new() }
    }

    /// Shows `entry` if it is asked for. Every entry is told: later ones refer to it.
    fn take(&mut self, entry: Entry, teller: &mut EntryLines) {
        let line = teller.tell(&entry);
        let is_of_kind = self.kinds.is_empty() || self.kinds.contains(&entry.kind);
        if !is_of_kind || (is_quiet(&entry) && !self.args.all) {
            return;
        }
        let json = if self.args.json { json_of(&entry) } else { String::new() };
        self.shown.push_back(Shown { line, json });
        if self.args.newest.is_some_and(|newest| self.shown.len() > newest) {
            self.shown.pop_front();
        }
    }
}

/// A tick after which every instance does what it did before.
fn is_quiet(entry: &Entry) -> bool {
    match &entry.said {
        Ok(Said::Fleet(Event::Ticked(ticked))) => ticked.phases.is_empty() && ticked.up.is_empty(),
        _ => false,
    }
}

fn json_of(entry: &Entry) -> String {
    let body: Value =
        serde_json::from_str(&entry.body).unwrap_or_else(|_| Value::String(entry.body.clone()));
    let mut object = json!({
        "seq": entry.seq,
        "at": entry.at,
        "scope": entry.scope.name(),
        "kind": entry.kind,
        "v": entry.v,
        "body": body,
    });
    if let Err(why) = &entry.said {
        object["unreadable"] = Value::String(why.to_string());
    }
    object.to_string()
}
