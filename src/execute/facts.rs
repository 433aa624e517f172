//! The facts that a settled launch tells all fleets of the account. Pure.

use cloud::{Class, Concerns, Launch, Mutation, Timestamp};

use crate::model::{About, Account, AccountEvent, Intent, Place, Scope, Settlement, fingerprint};

/// The facts in `settlement`; `account` is what was known before.
pub(super) fn of(
    intent: &Intent,
    settlement: &Settlement,
    account: &Account,
    at: Timestamp,
) -> Vec<AccountEvent> {
    let Mutation::Launch(launch) = &intent.action.mutation else { return Vec::new() };
    match settlement {
        Settlement::Launched { ids } => accepted(launch, ids.len(), account, at),
        Settlement::Failed { class, message, about } => {
            let concerns = settlement.concerns().unwrap_or(Concerns::Moment);
            refused(launch, *class, message, (concerns, about.as_ref()), account, at)
        }
        _ => Vec::new(),
    }
}

fn accepted(launch: &Launch, got: usize, account: &Account, at: Timestamp) -> Vec<AccountEvent> {
    let mut facts = Vec::new();
    let place = Place::of(launch);
    if got < launch.amount as usize {
        let why = format!("only {got} of {} were to be had", launch.amount);
        facts.push(AccountEvent::SoldOut { at, place: place.clone(), why });
    } else if account.cold.contains_key(&place) {
        facts.push(AccountEvent::Available { at, place: place.clone() });
    }
    let spec = fingerprint(&launch.spec);
    let refuted = account.refused.keys().filter(|scope| scope.covers(&spec, &place));
    facts.extend(refuted.map(|scope| AccountEvent::Accepted { at, scope: scope.clone() }));
    if account.stop.is_some() {
        facts.push(AccountEvent::Resumed { at });
    }
    facts
}

fn refused(
    launch: &Launch,
    class: Class,
    message: &str,
    (concerns, about): (Concerns, Option<&About>),
    account: &Account,
    at: Timestamp,
) -> Vec<AccountEvent> {
    let place = Place::of(launch);
    let spec = || Some(fingerprint(&launch.spec));
    let code = about.map(|about| about.code.clone()).unwrap_or_default();
    let why = || message.to_owned();
    let stopped = |code: String| AccountEvent::Stopped { at, class, message: why(), code };
    let local = |scope: Scope, code: String| AccountEvent::Refused { at, scope, code, why: why() };
    match concerns {
        Concerns::Place => vec![AccountEvent::SoldOut { at, place, why: why() }],
        Concerns::InstanceType => {
            let instance_type = Some(place.instance_type);
            vec![local(Scope { instance_type, ..Scope::default() }, code)]
        }
        Concerns::VSwitch => {
            vec![local(Scope { vswitch: Some(place.vswitch), ..Scope::default() }, code)]
        }
        Concerns::Fit => vec![local(Scope::of(spec(), place), code)],
        // No place would help: no walk through all of them.
        Concerns::Account => vec![stopped(code)],
        // It may be the place after all: the next try is made in another one.
        Concerns::Unknown if !account.is_met_elsewhere(&code, &fingerprint(&launch.spec), at) => {
            vec![local(Scope::of(spec(), place), code)]
        }
        Concerns::Unknown => vec![stopped(code.clone()), local(Scope::of(spec(), place), code)],
        // The fleet's own history has it.
        Concerns::Spec | Concerns::Moment => Vec::new(),
    }
}
