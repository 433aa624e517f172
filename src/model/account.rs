//! What all fleets of an account share: places that are sold out, a stop of launches, how long
//! boots take. A fold of facts that any fleet may add.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud::{Class, InstanceId, Timestamp, clock};
use serde::{Deserialize, Serialize};

use super::{Place, Ring};

/// A place that was sold out is left alone for 5 minutes, doubling to 30; the strikes are forgotten
/// after 3 hours. Cluster Autoscaler's figures, proven over years.
const COLD_FIRST: Duration = Duration::from_secs(5 * 60);
const COLD_LONGEST: Duration = Duration::from_secs(30 * 60);
const COLD_FORGOTTEN: Duration = Duration::from_secs(3 * 60 * 60);

/// A fact about an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum AccountEvent {
    /// A place had nothing, or too little.
    SoldOut { at: Timestamp, place: Place, why: String },
    /// A place that was sold out has stock again.
    Available { at: Timestamp, place: Place },
    /// Quota, balance or credentials: no place would help.
    Stopped { at: Timestamp, class: Class, message: String },
    /// A launch succeeded again.
    Resumed { at: Timestamp },
    /// How long an instance took from the accepted launch to Running.
    Booted { at: Timestamp, zone: String, instance_type: String, secs: f64 },
    /// An instance of ours that no fleet wants was found for the first time.
    StrayFound { at: Timestamp, id: InstanceId, fleet: String },
    /// It is not there any more, or wanted again.
    StrayGone { at: Timestamp, id: InstanceId },
    /// An audit was made.
    Audited { at: Timestamp, findings: u32 },
}

/// The fold of an account's events.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    #[serde(with = "pairs")]
    pub cold: BTreeMap<Place, Cold>,
    pub stop: Option<Stop>,
    /// Boot times by `zone/type`.
    pub boots: BTreeMap<String, Ring>,
    /// Since when each stray has been known.
    pub strays: BTreeMap<InstanceId, Timestamp>,
    pub audited: Option<Timestamp>,
}

/// A place that was sold out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cold {
    pub until: Timestamp,
    /// How often in a row.
    pub strikes: u32,
    pub last: Timestamp,
    pub why: String,
}

/// Why nothing is launched in this account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    pub class: Class,
    pub message: String,
    pub since: Timestamp,
    /// Then one instance is tried.
    pub until: Timestamp,
    pub strikes: u32,
}

/// Whether something may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate<'a, T> {
    Open,
    /// With one instance only: it failed before, and the pause is over.
    Probe,
    Closed(&'a T),
}

/// 5 minutes doubling to 30, after so many strikes before this one.
pub(crate) fn pause(strikes_before: u32) -> Duration {
    COLD_FIRST.saturating_mul(1 << strikes_before.min(3)).min(COLD_LONGEST)
}

impl Account {
    pub fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::SoldOut { at, place, why } => self.sold_out(place, *at, why),
            AccountEvent::Available { place, .. } => drop(self.cold.remove(place)),
            AccountEvent::Stopped { at, class, message } => {
                let before = self.stop.as_ref();
                let strikes = before.map_or(0, |stop| stop.strikes);
                self.stop = Some(Stop {
                    class: *class,
                    message: message.clone(),
                    since: before.map_or(*at, |stop| stop.since),
                    until: clock::after(*at, pause(strikes)),
                    strikes: strikes.saturating_add(1),
                });
            }
            AccountEvent::Resumed { .. } => self.stop = None,
            AccountEvent::Booted { zone, instance_type, secs, .. } => {
                self.boots.entry(boot_key(zone, instance_type)).or_default().push(*secs);
            }
            AccountEvent::StrayFound { at, id, .. } => {
                self.strays.entry(id.clone()).or_insert(*at);
            }
            AccountEvent::StrayGone { id, .. } => drop(self.strays.remove(id)),
            AccountEvent::Audited { at, .. } => self.audited = Some(*at),
        }
    }

    fn sold_out(&mut self, place: &Place, at: Timestamp, why: &str) {
        // Strikes of hours ago say nothing about now.
        self.cold.retain(|_, cold| clock::age(at, cold.last) < COLD_FORGOTTEN);
        let strikes = self.cold.get(place).map_or(0, |cold| cold.strikes);
        let until = clock::after(at, pause(strikes));
        let strikes = strikes.saturating_add(1);
        let cold = Cold { until, strikes, last: at, why: why.to_owned() };
        self.cold.insert(place.clone(), cold);
    }

    /// Whether `place` may be tried at `now`.
    #[must_use]
    pub fn place(&self, place: &Place, now: Timestamp) -> Gate<'_, Cold> {
        match self.cold.get(place) {
            Some(cold) if now < cold.until => Gate::Closed(cold),
            Some(cold) if clock::age(now, cold.last) < COLD_FORGOTTEN => Gate::Probe,
            _ => Gate::Open,
        }
    }

    /// Whether anything may be launched at `now`.
    #[must_use]
    pub fn launches(&self, now: Timestamp) -> Gate<'_, Stop> {
        match &self.stop {
            Some(stop) if now < stop.until => Gate::Closed(stop),
            Some(_) => Gate::Probe,
            None => Gate::Open,
        }
    }

    /// The boot time, in seconds, that `part` of the instances of these types stay under: the
    /// slowest zone × type counts. `None` while none of them is known well enough.
    #[must_use]
    pub fn boot_quantile(&self, instance_types: &[String], part: f64) -> Option<f64> {
        let known = self.boots.iter().filter(|(key, _)| {
            key.split_once('/').is_some_and(|(_, kind)| instance_types.iter().any(|t| t == kind))
        });
        known.filter_map(|(_, ring)| ring.quantile(part)).max_by(f64::total_cmp)
    }
}

/// How boot times are filed.
fn boot_key(zone: &str, instance_type: &str) -> String {
    format!("{zone}/{instance_type}")
}

impl AccountEvent {
    /// One word, to select records by.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            AccountEvent::SoldOut { .. } | AccountEvent::Available { .. } => "stock",
            AccountEvent::Stopped { .. } | AccountEvent::Resumed { .. } => "stop",
            AccountEvent::Booted { .. } => "boot",
            AccountEvent::StrayFound { .. }
            | AccountEvent::StrayGone { .. }
            | AccountEvent::Audited { .. } => "audit",
        }
    }

    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            AccountEvent::SoldOut { at, .. }
            | AccountEvent::Available { at, .. }
            | AccountEvent::Stopped { at, .. }
            | AccountEvent::Resumed { at }
            | AccountEvent::Booted { at, .. }
            | AccountEvent::StrayFound { at, .. }
            | AccountEvent::StrayGone { at, .. }
            | AccountEvent::Audited { at, .. } => *at,
        }
    }
}

/// Maps whose keys are not texts, as lists of pairs: JSON has no other keys.
pub(super) mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(crate) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        let start: Timestamp = "2026-01-02T12:00:00Z".parse().expect("a valid time");
        clock::after(start, Duration::from_secs(secs))
    }

    fn place() -> Place {
        Place { instance_type: "ecs.c7.large".into(), vswitch: "vsw-h".into() }
    }

    fn sold_out(account: &mut Account, secs: u64) {
        let why = "no stock".to_owned();
        account.apply(&AccountEvent::SoldOut { at: at(secs), place: place(), why });
    }

    #[test]
    fn a_sold_out_place_is_left_alone_for_longer_each_time_then_probed_then_forgotten() {
        let mut account = Account::default();
        assert_eq!(account.place(&place(), at(0)), Gate::Open);
        let mut now = 0;
        for minutes in [5, 10, 20, 30, 30] {
            sold_out(&mut account, now);
            assert!(matches!(account.place(&place(), at(now + minutes * 60 - 1)), Gate::Closed(_)));
            now += minutes * 60;
            assert_eq!(account.place(&place(), at(now)), Gate::Probe, "after {minutes} min");
        }
        assert_eq!(account.place(&place(), at(now + 3 * 3600)), Gate::Open);
        sold_out(&mut account, now);
        account.apply(&AccountEvent::Available { at: at(now), place: place() });
        assert_eq!(account.place(&place(), at(now)), Gate::Open);
    }

    #[test]
    fn a_stop_of_launches_is_probed_after_its_pause_and_ends_with_a_success() {
        let mut account = Account::default();
        let stop = |secs| AccountEvent::Stopped {
            at: at(secs),
            class: Class::Quota,
            message: "the quota is used up".into(),
        };
        account.apply(&stop(0));
        assert!(matches!(account.launches(at(299)), Gate::Closed(_)));
        assert_eq!(account.launches(at(300)), Gate::Probe);
        account.apply(&stop(300));
        assert!(matches!(account.launches(at(899)), Gate::Closed(_)), "twice as long");
        account.apply(&AccountEvent::Resumed { at: at(900) });
        assert_eq!(account.launches(at(900)), Gate::Open);
    }

    #[test]
    fn an_account_survives_being_written_and_read() {
        let mut account = Account::default();
        sold_out(&mut account, 0);
        account.apply(&AccountEvent::Booted {
            at: at(0),
            zone: "h".into(),
            instance_type: "ecs.c7.large".into(),
            secs: 41.5,
        });
        let text = serde_json::to_string(&account).expect("written");
        assert_eq!(serde_json::from_str::<Account>(&text).expect("read"), account);
    }

    #[test]
    fn the_slowest_zone_of_a_fleets_types_counts() {
        let mut account = Account::default();
        for n in 0..20 {
            for (zone, kind, secs) in [("h", "a", 30.0), ("i", "a", 60.0), ("h", "b", 500.0)] {
                account.apply(&AccountEvent::Booted {
                    at: at(n),
                    zone: zone.into(),
                    instance_type: kind.into(),
                    secs,
                });
            }
        }
        assert_eq!(account.boot_quantile(&["a".into()], 0.95), Some(60.0));
        assert_eq!(account.boot_quantile(&["c".into()], 0.95), None);
    }
}
