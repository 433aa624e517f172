//! One entry of the journal as a sentence for a person. Pure.
//!
//! A record often refers to earlier ones: a settlement to its intent, a phase to the one before, a
//! lifted hold to the hold. What was told so far is remembered; what lies before the first record
//! that was read is not known, and the sentence does without.

use std::collections::BTreeMap;
use std::fmt::Display;

use cloud::{InstanceId, Mutation};
use uuid::Uuid;

use super::page::{EntryLine, Folds};
use crate::execute::Outcome;
use crate::journal::store::Scope;
use crate::journal::{Entry, Said};
use crate::model::{
    AccountEvent, Action, Adoption, Alert, Decided, Event, FleetId, Hold, HookCall, HookEnd,
    Instruction, IntentId, OperatorEvent, Phase, Settlement, TakenBecause, Takeover, Ticked,
    clock_time, number, plural,
};

/// Digits of an id that a person can tell apart, and type.
const ID_DIGITS: usize = 8;
/// More instances than this are counted, not named, in one sentence.
const NAMED: usize = 4;

/// Tells entries in their order.
#[derive(Debug, Default)]
pub(super) struct EntryLines {
    intents: BTreeMap<IntentId, Action>,
    phases: BTreeMap<(FleetId, InstanceId), Phase>,
    holds: BTreeMap<Uuid, Hold>,
}

impl EntryLines {
    /// The line for `entry`.
    pub(super) fn tell(&mut self, entry: &Entry) -> EntryLine {
        let (whose, text) = match (&entry.said, &entry.scope) {
            (Ok(Said::Fleet(event)), Scope::Fleet(fleet)) => {
                (fleet.to_string(), self.fleet(fleet, event))
            }
            (Ok(Said::Account(event)), scope) => (name(scope), account(event)),
            (Ok(Said::Operator(event)), _) => self.operator(event),
            (Ok(Said::Fleet(_)), scope) => (name(scope), "a record in the wrong place".to_owned()),
            (Err(why), scope) => {
                let text = format!("record {} ({}) cannot be read: {why}", entry.seq, entry.kind);
                (name(scope), text)
            }
        };
        let folds = match &entry.said {
            Ok(Said::Account(AccountEvent::Booted { zone, instance_type, secs, .. })) => {
                let (zone, instance_type) = (zone.clone(), instance_type.clone());
                Folds::Boot { instance_type, zone, secs: *secs }
            }
            _ => Folds::Same,
        };
        EntryLine { at: entry.at, whose, text, folds }
    }

    fn fleet(&mut self, fleet: &FleetId, event: &Event) -> String {
        match event {
            Event::Ticked(ticked) => self.ticked(fleet, ticked),
            Event::Decided(decided) => decision(decided),
            Event::Intended(intent) => {
                let action = &intent.action;
                self.intents.insert(action.intent, action.clone());
                format!("intent {}: {action}", short(action.intent))
            }
            Event::Resent { intent, .. } => {
                format!("resent {}: {} (same token)", short(intent), self.action(*intent))
            }
            Event::Settled { intent, settlement, .. } => self.settled(fleet, *intent, settlement),
            Event::Adopted { takeover, .. } => self.takeover(fleet, takeover),
            Event::Stepped { millis, .. } => stepped(*millis),
            Event::HookCalled { call, .. } => {
                let HookCall { id, instance, hook, on } = call;
                format!("hook {}: calls `{hook}` on {on} of {instance}", short(id))
            }
            Event::HookEnded { end, .. } => hook_ended(end),
            Event::Leased { replica, fence, .. } => {
                // Host and process; the rest only makes the name the only one of its kind.
                let name = replica.0.rsplit_once('-').map_or(replica.0.as_str(), |(name, _)| name);
                format!("lease: replica {name} acts from here on (fence {fence})")
            }
            Event::Alerted { alert: Alert { key, message }, .. } => {
                format!("ALERT {}: {message}", key.code)
            }
            Event::Cleared { key, .. } if key.about.is_empty() => {
                format!("alert over: {}", key.code)
            }
            Event::Cleared { key, .. } => format!("alert over: {} {}", key.code, key.about),
            Event::Shadowed { differs: true, live, shadow, why, .. } => {
                format!("shadow: wants {shadow}, the live rules want {live}: {why}")
            }
            Event::Shadowed { differs: false, live, .. } => {
                format!("shadow: wants {live} as the live rules do")
            }
        }
    }

    fn ticked(&mut self, fleet: &FleetId, ticked: &Ticked) -> String {
        let mut moves: BTreeMap<(Option<Phase>, Phase), Vec<&InstanceId>> = BTreeMap::new();
        for (id, phase) in &ticked.phases {
            let before = self.phases.insert((fleet.clone(), id.clone()), *phase);
            moves.entry((before.filter(|before| before != phase), *phase)).or_default().push(id);
        }
        let mut parts: Vec<String> = moves
            .into_iter()
            .map(|((before, phase), ids)| match before {
                Some(before) => format!("{}: {before} → {phase}", named(&ids)),
                None => format!("{}: {phase}", named(&ids)),
            })
            .collect();
        for (up, what) in [(false, "not heard of any more"), (true, "heard of again")] {
            let ids: Vec<&InstanceId> =
                ticked.up.iter().filter(|(_, is)| **is == up).map(|(id, _)| id).collect();
            if !ids.is_empty() {
                parts.push(format!("{}: {what}", named(&ids)));
            }
        }
        for (outgoing, what) in [(true, "to be replaced"), (false, "to stay")] {
            let of = ticked.outgoing.iter().filter(|(_, is)| **is == outgoing);
            let ids: Vec<&InstanceId> = of.map(|(id, _)| id).collect();
            if !ids.is_empty() {
                parts.push(format!("{}: {what}", named(&ids)));
            }
        }
        if parts.is_empty() { quiet(ticked) } else { parts.join("; ") }
    }

    fn settled(&mut self, fleet: &FleetId, intent: IntentId, settlement: &Settlement) -> String {
        let action = self.action(intent);
        let mutation = self.intents.get(&intent).map(|action| &action.mutation);
        let (ids, phase) = match (settlement, mutation) {
            (Settlement::Launched { ids }, _) => (ids.as_slice(), Phase::Requested),
            (Settlement::Done { done, .. }, Some(Mutation::Stop { .. })) => {
                (done.as_slice(), Phase::Stopping)
            }
            (Settlement::Done { done, .. }, Some(Mutation::Delete { .. })) => {
                (done.as_slice(), Phase::Terminating)
            }
            _ => (&[][..], Phase::Requested),
        };
        for id in ids {
            self.phases.insert((fleet.clone(), id.clone()), phase);
        }
        let outcome = Outcome::Sent { action, settlement: settlement.clone() };
        format!("settled {}: {}", short(intent), outcome.line())
    }

    fn action(&self, intent: IntentId) -> String {
        self.intents.get(&intent).map_or_else(|| "an earlier intent".to_owned(), Action::to_string)
    }

    fn takeover(&mut self, fleet: &FleetId, takeover: &Takeover) -> String {
        for (id, adopted) in &takeover.adopted {
            self.phases.insert((fleet.clone(), id.clone()), adopted.phase);
        }
        let ids: Vec<&InstanceId> = takeover.adopted.keys().collect();
        let what = if ids.is_empty() { "nothing".to_owned() } else { named(&ids) };
        match &takeover.why {
            TakenBecause::FirstListing => format!("takes over {what}: its first listing"),
            TakenBecause::Intent => format!("takes over {what}: launched by an intent of ours"),
            TakenBecause::Asked { author, reason, .. } => {
                format!("takes over {what}: asked by {author}: {reason}")
            }
        }
    }

    fn operator(&mut self, event: &OperatorEvent) -> (String, String) {
        match event {
            OperatorEvent::Held { hold, .. } => {
                self.holds.insert(hold.id, hold.clone());
                (whose(hold), format!("hold {}: {}", short(hold.id), held(hold)))
            }
            OperatorEvent::Lifted { id, author, hold, .. } => {
                let hold = hold.as_ref().or_else(|| self.holds.get(id));
                let of = hold.map(|hold| format!(": {}", held(hold))).unwrap_or_default();
                let whose = hold.map_or_else(|| "operator".to_owned(), whose);
                (whose, format!("hold {} lifted by {author}{of}", short(id)))
            }
            OperatorEvent::Opened { id, .. } => {
                ("journal".to_owned(), format!("opened for the first time as {id}"))
            }
            OperatorEvent::AccountAccepted { provider, account, author, reason, .. } => {
                (format!("({provider})"), format!("{author} accepts account {account}: {reason}"))
            }
            OperatorEvent::Instructed { instruction, .. } => {
                let line = format!("instruction {}: {instruction}", short(instruction.id));
                (instructed(instruction), line)
            }
            OperatorEvent::Withdrawn { id, author, instruction, .. } => {
                let of = instruction.as_ref().map(|one| format!(": {one}")).unwrap_or_default();
                let whose = instruction.as_ref().map_or_else(|| "operator".to_owned(), instructed);
                (whose, format!("instruction {} withdrawn by {author}{of}", short(id)))
            }
            OperatorEvent::Reloaded { author, changes, .. } => {
                ("configuration".to_owned(), format!("taken by {author}: {changes}"))
            }
            OperatorEvent::Asked { adoption } => {
                let ids: Vec<&InstanceId> = adoption.ids.iter().collect();
                let what = match ids.as_slice() {
                    [] => "all instances with its tags".to_owned(),
                    ids => named(ids),
                };
                let Adoption { fleet, author, reason, .. } = adoption;
                (fleet.to_string(), format!("{author} asks to take over {what}: {reason}"))
            }
        }
    }
}

/// `hook 1a2b3c4d: `deregister` for i-1 failed (no answer within 30 s): continue`
fn hook_ended(end: &HookEnd) -> String {
    let HookEnd { id, instance, hook, outcome, failure, .. } = end;
    match failure {
        None => format!("hook {}: `{hook}` for {instance} is done: {outcome}", short(id)),
        Some(why) => {
            format!("hook {}: `{hook}` for {instance} failed ({why}): {outcome}", short(id))
        }
    }
}

/// Whom an instruction is for.
fn instructed(instruction: &Instruction) -> String {
    instruction.fleet.as_ref().map_or_else(|| "operator".to_owned(), ToString::to_string)
}

/// The scope's name without its kind, where that is a fleet.
fn name(scope: &Scope) -> String {
    match scope {
        Scope::Fleet(fleet) => fleet.to_string(),
        Scope::Account(account) => format!("({account})"),
        Scope::Operator => "operator".to_owned(),
    }
}

fn whose(hold: &Hold) -> String {
    hold.fleet.as_ref().map_or_else(|| "all fleets".to_owned(), FleetId::to_string)
}

/// With the day, which the time alone does not tell.
fn held(hold: &Hold) -> String {
    let what = hold.direction.map_or_else(|| "scaling".to_owned(), |d| d.to_string());
    let until = hold.until.format("%Y-%m-%d %H:%M:%SZ");
    format!("{what} held by {} until {until}: {}", hold.author, hold.reason)
}

fn decision(decided: &Decided) -> String {
    let mut text = format!("decision {}: {}", short(decided.id), decided.decision);
    // Why it is sold out was told when it was found out.
    for skipped in &decided.plan.skipped {
        let until = clock_time(skipped.until);
        text.push_str(&format!("; {} skipped until {until}", skipped.place));
    }
    for shortfall in &decided.plan.shortfalls {
        text.push_str(&format!("; {shortfall}"));
    }
    text
}

/// A tick that changed nothing: what it saw.
fn quiet(ticked: &Ticked) -> String {
    let Ticked { current, in_service, recommended, desired, .. } = ticked;
    let mut text = format!(
        "tick: {current} there, {in_service} in service, recommended {recommended}, desired \
         {desired}"
    );
    for (signal, sample) in &ticked.samples {
        text.push_str(&format!("; {signal} = {}", number(sample.value)));
    }
    for (signal, gap) in &ticked.gaps {
        text.push_str(&format!("; {signal} is missing ({gap})"));
    }
    text
}

fn account(event: &AccountEvent) -> String {
    match event {
        AccountEvent::SoldOut { place, why, .. } => format!("sold out: {place}: {why}"),
        AccountEvent::Available { place, .. } => format!("to be had again: {place}"),
        AccountEvent::Refused { scope, why, .. } => format!("refused: {scope}: {why}"),
        AccountEvent::Accepted { scope, .. } => format!("accepted again: {scope}"),
        AccountEvent::TimedOut { zone, instance_type, secs, .. } => {
            format!("boot: {instance_type} in {zone} took longer than {} s", number(*secs))
        }
        AccountEvent::Stopped { class, message, .. } => {
            format!("STOP of all launches ({class}): {message}")
        }
        AccountEvent::Resumed { .. } => "launches go on".to_owned(),
        AccountEvent::Booted { zone, instance_type, secs, .. } => {
            format!("boot: {instance_type} in {zone} took {} s", number(*secs))
        }
        AccountEvent::StrayFound { id, fleet, .. } => {
            format!("stray: {id} of fleet `{fleet}`, which is not configured")
        }
        AccountEvent::StrayGone { id, .. } => format!("stray no more: {id}"),
        AccountEvent::Identified { account, .. } => format!("the account is {account}"),
        AccountEvent::KeyChanged { .. } => "another key signs from here on".to_owned(),
        AccountEvent::Audited { findings: 0, .. } => "audit: nothing found".to_owned(),
        AccountEvent::Audited { findings, .. } => {
            format!("audit: {}, `fleetscaler audit` lists them", plural(*findings, "finding"))
        }
    }
}

/// `i-1, i-2`, or `9 instances (i-1, i-2, i-3, i-4, …)`.
fn named(ids: &[&InstanceId]) -> String {
    let first: Vec<&str> = ids.iter().take(NAMED).map(|id| id.0.as_str()).collect();
    let first = first.join(", ");
    if ids.len() <= NAMED { first } else { format!("{} instances ({first}, …)", ids.len()) }
}

pub(in crate::cli) fn short(id: impl Display) -> String {
    id.to_string().chars().take(ID_DIGITS).collect()
}

#[cfg(test)]
mod tests;

/// The host's clock was set while the daemon ran.
fn stepped(millis: i64) -> String {
    let secs = millis.unsigned_abs() / 1_000;
    let direction = if millis < 0 { "back" } else { "ahead" };
    format!("the host's clock went {secs} s {direction}: what was recorded before moves with it")
}
