//! Which alerts are on: what began and what ended with each word about it.

use std::collections::BTreeMap;

use crate::model::{AccountId, Alert, AlertCode, AlertKey, FleetId};

/// Whom an alert concerns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// The daemon as a whole.
    Daemon,
    Account(AccountId),
    Fleet(FleetId),
}

/// Everything that a person should know just now.
#[derive(Debug, Clone, Default)]
pub(super) struct Board {
    on: BTreeMap<Whose, BTreeMap<AlertKey, String>>,
}

/// The alerts that are new, and those that are over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    pub raised: Vec<Alert>,
    pub cleared: Vec<AlertKey>,
}

impl Board {
    /// These, and no others, are on for `whose` from now on.
    pub(super) fn set(&mut self, whose: Whose, alerts: &[Alert]) -> Changes {
        let now: BTreeMap<AlertKey, String> =
            alerts.iter().map(|alert| (alert.key.clone(), alert.message.clone())).collect();
        let before = self.on.remove(&whose).unwrap_or_default();
        let raised = now.iter().filter(|(key, _)| !before.contains_key(key));
        let raised = raised
            .map(|(key, message)| Alert { key: key.clone(), message: message.clone() })
            .collect();
        let cleared = before.into_keys().filter(|key| !now.contains_key(key)).collect();
        if !now.is_empty() {
            self.on.insert(whose, now);
        }
        Changes { raised, cleared }
    }

    /// `alert` is on as well.
    pub(super) fn add(&mut self, whose: Whose, alert: Alert) -> Changes {
        let on = self.on.entry(whose).or_default();
        let is_new = on.insert(alert.key.clone(), alert.message.clone()).is_none();
        Changes { raised: if is_new { vec![alert] } else { Vec::new() }, cleared: Vec::new() }
    }

    /// Somebody else speaks for `whose` now: what was on is neither on nor over.
    pub(super) fn forget(&mut self, whose: &Whose) {
        self.on.remove(whose);
    }

    /// All that are on.
    pub(super) fn on(&self) -> impl Iterator<Item = (&Whose, &AlertKey)> {
        self.on.iter().flat_map(|(whose, on)| on.keys().map(move |key| (whose, key)))
    }
}

impl Changes {
    /// Whether nothing began and nothing ended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raised.is_empty() && self.cleared.is_empty()
    }
}

/// The journal concerns all fleets of the daemon: it is said once, not once a fleet.
pub(super) fn without_journal(alerts: &[Alert]) -> Vec<Alert> {
    let others = alerts.iter().filter(|alert| alert.key.code != AlertCode::JournalUnavailable);
    others.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(code: AlertCode, message: &str) -> Alert {
        Alert::new(code, "", message)
    }

    #[test]
    fn an_alert_is_raised_once_and_cleared_once_whatever_its_words() {
        let mut board = Board::default();
        let web = || Whose::Fleet("web".into());
        let doubt = |message| alert(AlertCode::InventoryDoubt, message);
        assert_eq!(board.set(web(), &[doubt("3 missing")]).raised, [doubt("3 missing")]);
        assert!(board.set(web(), &[doubt("4 missing")]).is_empty(), "new words are no new alert");
        let unreadable = alert(AlertCode::CloudUnreadable, "no route");
        assert_eq!(board.add(web(), unreadable.clone()).raised.len(), 1);
        assert!(board.add(web(), unreadable).is_empty());
        assert_eq!(board.on().count(), 2);
        assert_eq!(board.set(Whose::Daemon, &[]), Changes::default(), "others have their own");
        let changes = board.set(web(), &[]);
        let codes: Vec<_> = changes.cleared.iter().map(|key| key.code).collect();
        assert_eq!(codes, [AlertCode::InventoryDoubt, AlertCode::CloudUnreadable]);
        assert!(board.set(web(), &[]).is_empty());
    }

    #[test]
    fn a_fleet_that_another_replica_looks_after_says_nothing_here() {
        let mut board = Board::default();
        let whose = Whose::Fleet("web".into());
        board.set(whose.clone(), &[alert(AlertCode::Brake, "slow down")]);
        board.forget(&whose);
        assert_eq!(board.on().count(), 0);
        let again = board.set(whose, &[alert(AlertCode::Brake, "slow down")]);
        assert_eq!(again.raised.len(), 1, "it is told again when it comes back");
    }
}
