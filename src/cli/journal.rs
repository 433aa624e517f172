//! `fleetscaler journal`: what happened and why, read beside a running daemon.

pub(super) mod args;
mod line;
mod page;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use anyhow::Context;
use cloud::{Clock, Mutation, SystemClock};
use serde_json::{Value, json};
use uuid::Uuid;

pub(super) use self::line::short;

use self::args::JournalArgs;
use self::line::EntryLines;
use self::page::EntryLine;
use super::{Exit, output};
use crate::config::{self, CommandConfig};
use crate::journal::store::Seq;
use crate::journal::{Entry, Look, Reader, Said};
use crate::model::{Event, FleetId, IntentId, OperatorEvent, instance_id};

/// Once a second: a tick that acts writes some records, and a person reads on.
const FOLLOWED_EVERY: Duration = Duration::from_secs(1);

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
    let mut wanted = Wanted::of(args)?;
    let mut teller = EntryLines::default();
    let mut said = said.into_iter().peekable();
    let mut newest = None;
    for entry in reader.look(&look).await? {
        newest = newest.max(Some(entry.seq));
        while let Some(said) = said.next_if(|said| said.seq < entry.seq) {
            wanted.take(said, &mut teller);
        }
        wanted.take(entry, &mut teller);
    }
    for entry in said {
        newest = newest.max(Some(entry.seq));
        wanted.take(entry, &mut teller);
    }
    let shown = wanted.shown();
    if args.follow {
        print(&shown, args);
        return follow(reader, Look { since: None, after: newest, ..look }, wanted, teller).await;
    }
    if shown.is_empty() && !args.json {
        let of = fleet.map(|fleet| format!(" of fleet `{fleet}`")).unwrap_or_default();
        output::line(&format!(
            "nothing{of} {}; --since looks farther back{}",
            args.since.in_words(),
            if args.all { "" } else { ", --all shows quiet ticks" },
        ));
    }
    print(&shown, args);
    Ok(Exit::Ok)
}

/// Entries as a program reads them, or a person.
fn print(shown: &[Shown], args: &JournalArgs) {
    if args.json {
        shown.iter().for_each(|shown| output::line(&shown.json));
        return;
    }
    let lines: Vec<EntryLine> = shown.iter().map(|shown| shown.line.clone()).collect();
    let lines = if args.all || args.follow { lines } else { page::fold(lines) };
    if output::is_terminal() && !args.follow {
        page::page(&lines).iter().for_each(|line| output::line(line));
    } else {
        lines.iter().for_each(|line| output::line(&line.on_one_line()));
    }
}

/// Looks for new entries until the reader of the output goes away, or the process is ended.
async fn follow(
    reader: &Reader,
    mut look: Look,
    mut wanted: Wanted<'_>,
    mut teller: EntryLines,
) -> anyhow::Result<Exit> {
    while !output::is_lost() {
        SystemClock.sleep(FOLLOWED_EVERY).await;
        let mut newest = look.after;
        for entry in reader.look(&look).await? {
            newest = newest.max(Some(entry.seq));
            wanted.take(entry, &mut teller);
        }
        look.after = newest;
        print(&wanted.shown(), wanted.args);
    }
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
    /// The only instance that is asked for, as it stands in a record.
    instance: Option<String>,
    /// Launches whose instances are not known yet.
    launches: BTreeMap<IntentId, Shown>,
    shown: VecDeque<Shown>,
}

struct Shown {
    seq: Seq,
    line: EntryLine,
    json: String,
}

impl Wanted<'_> {
    fn of(args: &JournalArgs) -> anyhow::Result<Wanted<'_>> {
        let kinds = args.kind.iter().map(|kind| kind.name()).collect();
        let instance = args.instance.as_deref().map(instance_id).transpose()?;
        let instance = instance.map(|id| format!("\"{id}\""));
        let (launches, shown) = (BTreeMap::new(), VecDeque::new());
        Ok(Wanted { args, kinds, instance, launches, shown })
    }

    /// The entries to show now, in the order of the journal; they are shown once.
    fn shown(&mut self) -> Vec<Shown> {
        let mut shown: Vec<Shown> = std::mem::take(&mut self.shown).into();
        shown.sort_by_key(|shown| shown.seq);
        shown
    }

    /// Shows `entry` if it is asked for. Every entry is told: later ones refer to it.
    fn take(&mut self, entry: Entry, teller: &mut EntryLines) {
        let line = teller.tell(&entry);
        let is_of_kind = self.kinds.is_empty() || self.kinds.contains(&entry.kind);
        if !is_of_kind || (is_quiet(&entry) && !self.args.all) {
            return;
        }
        let json = if self.args.json { json_of(&entry) } else { String::new() };
        let shown = Shown { seq: entry.seq, line, json };
        if let Some(instance) = &self.instance
            && !entry.body.contains(instance)
        {
            // It may turn out to be the launch of this instance.
            if let Ok(Said::Fleet(Event::Intended(intent))) = &entry.said
                && matches!(intent.action.mutation, Mutation::Launch(_))
            {
                self.launches.insert(intent.action.intent, shown);
            }
            return;
        }
        if let Ok(Said::Fleet(Event::Settled { intent, .. })) = &entry.said {
            self.shown.extend(self.launches.remove(intent));
        }
        self.shown.push_back(shown);
        if self.args.newest.is_some_and(|newest| self.shown.len() > newest) {
            self.shown.pop_front();
        }
    }
}

/// A tick after which every instance does what it did before.
fn is_quiet(entry: &Entry) -> bool {
    match &entry.said {
        Ok(Said::Fleet(Event::Ticked(ticked))) => {
            ticked.phases.is_empty() && ticked.up.is_empty() && ticked.outgoing.is_empty()
        }
        _ => false,
    }
}

/// A record as one JSON object on one line.
pub(super) fn json_of(entry: &Entry) -> String {
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
