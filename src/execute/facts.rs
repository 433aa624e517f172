//! What a settled launch says to all fleets of the account. Pure.

use cloud::{Class, Mutation, Timestamp};

use crate::model::{Account, AccountEvent, Intent, Place, Settlement};

/// The facts in `settlement`; `account` is what was known before.
pub(super) fn of(
    intent: &Intent,
    settlement: &Settlement,
    account: &Account,
    at: Timestamp,
) -> Vec<AccountEvent> {
    let Mutation::Launch(launch) = &intent.action.mutation else { return Vec::new() };
    let place = Place::of(launch);
    match settlement {
        Settlement::Launched { ids } => {
            let mut facts = Vec::new();
            if ids.len() < launch.amount as usize {
                let why = format!("only {} of {} were to be had", ids.len(), launch.amount);
                facts.push(AccountEvent::SoldOut { at, place, why });
            } else if account.cold.contains_key(&place) {
                facts.push(AccountEvent::Available { at, place });
            }
            if account.stop.is_some() {
                facts.push(AccountEvent::Resumed { at });
            }
            facts
        }
        Settlement::Failed { class: Class::NoCapacity, message } => {
            vec![AccountEvent::SoldOut { at, place, why: message.clone() }]
        }
        // They would be refused in every zone: no walk through all of them.
        Settlement::Failed { class: class @ (Class::Quota | Class::Auth), message } => {
            vec![AccountEvent::Stopped { at, class: *class, message: message.clone() }]
        }
        _ => Vec::new(),
    }
}
