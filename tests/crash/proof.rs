//! The truths at the end of every story, by the cloud's own account and by the journal's.

use std::collections::{BTreeMap, BTreeSet};

use cloud::Mutation;
use ecs_emulator::{Emulator, FaultKind, InstanceView};
use fleetscaler::journal::{Look, Reader, Said};
use fleetscaler::model::{Event, Intent, IntentId, Settlement};

use crate::cases::Script;

/// Instances that exist.
pub(crate) fn existing(emulator: &Emulator) -> Vec<InstanceView> {
    emulator.instances().into_iter().filter(|view| view.status != "Gone").collect()
}

/// Whether an answer has been cut off.
pub(crate) fn was_cut(emulator: &Emulator) -> bool {
    emulator.transcript().iter().any(|entry| entry.fault == Some(FaultKind::CutAfter))
}

/// Whether an instance was told to end, and obeys.
pub(crate) fn is_one_ending(emulator: &Emulator) -> bool {
    let views = emulator.instances();
    views.iter().any(|view| matches!(view.status.as_str(), "Stopping" | "Stopped" | "Gone"))
}

/// The right machines, bought once, the oldest removed, and a journal that knows all of it.
pub(crate) async fn check(
    emulator: &Emulator,
    journal: &Reader,
    script: Script,
) -> Result<(), String> {
    let ensure = |fine: bool, what: &str| if fine { Ok(()) } else { Err(what.to_owned()) };
    let views = emulator.instances();
    let gone: Vec<bool> = views.iter().map(|view| view.status == "Gone").collect();
    let wanted: &[bool] = match script {
        Script::Out => &[false, false, false],
        // They stand in the order of their creation.
        Script::In | Script::StopIn | Script::DrainIn => &[true, false, false],
    };
    ensure(gone == wanted, &format!("of {wanted:?} gone there are {gone:?}"))?;

    let mut creations: BTreeMap<String, u32> = BTreeMap::new();
    for entry in emulator.transcript().iter().filter(|entry| !entry.created.is_empty()) {
        let token = entry.parameters.get("ClientToken").cloned().unwrap_or_default();
        *creations.entry(token).or_default() += 1;
    }
    ensure(creations.len() == 2, "there were other launches than the two that were decided")?;
    ensure(creations.values().all(|count| *count == 1), "a token launched twice")?;
    let violations = emulator.violations();
    ensure(violations.is_empty(), &format!("{violations:?}"))?;

    let entries = journal.entries(&Look::default()).await.map_err(|e| e.to_string())?;
    let mut intents: BTreeMap<IntentId, (Intent, Option<Settlement>)> = BTreeMap::new();
    for entry in entries {
        match entry.said.map_err(|why| format!("record {}: {why}", entry.seq))? {
            Said::Fleet(Event::Intended(intent)) => {
                intents.insert(intent.action.intent, (*intent, None));
            }
            Said::Fleet(Event::Settled { intent, settlement, .. }) => {
                let known = intents.get_mut(&intent).ok_or("settled without an intent")?;
                known.1 = Some(settlement);
            }
            _ => {}
        }
    }
    let mut launched = BTreeSet::new();
    let mut ended = BTreeSet::new();
    for (intent, settlement) in intents.into_values() {
        match (intent.action.mutation, settlement) {
            (_, None | Some(Settlement::Open { .. })) => {
                return Err(format!("intent {} was never settled", intent.action.intent));
            }
            (Mutation::Launch(_), Some(Settlement::Launched { ids })) => {
                for id in ids {
                    ensure(launched.insert(id.0.clone()), "two intents claim one instance")?;
                }
            }
            (
                Mutation::Delete { .. } | Mutation::Stop { .. },
                Some(Settlement::Done { done, .. }),
            ) => ended.extend(done.into_iter().map(|id| id.0)),
            _ => {}
        }
    }
    let all: BTreeSet<String> = views.iter().map(|view| view.id.clone()).collect();
    ensure(launched == all, &format!("launched by the journal: {launched:?}, in fact: {all:?}"))?;
    let gone: BTreeSet<String> =
        views.into_iter().filter(|view| view.status == "Gone").map(|view| view.id).collect();
    ensure(ended == gone, &format!("ended by the journal: {ended:?}, in fact: {gone:?}"))
}
