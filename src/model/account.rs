//! The facts that all fleets of an account share: places that are sold out or refused, a stop of launches, how
//! long boots take. A fold of facts that any fleet may add.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud::{Class, InstanceId, Timestamp, clock};
use serde::{Deserialize, Serialize};

use super::{Place, Ring, Scope};

/// A place that was sold out is left alone for 5 minutes, doubling to 30; the strikes are forgotten
/// after 3 hours. Cluster Autoscaler's figures, proven over years.
const COLD_FIRST: Duration = Duration::from_secs(5 * 60);
const COLD_LONGEST: Duration = Duration::from_secs(30 * 60);
const COLD_FORGOTTEN: Duration = Duration::from_secs(3 * 60 * 60);

/// A code that nobody has described stops the account when two specs meet it within an hour: what
/// both of them have is the account.
const MET_ELSEWHERE: Duration = Duration::from_secs(60 * 60);
/// A boot that timed out counts until so many have ended in time since.
const SLOW_FORGOTTEN: u32 = 20;

/// A fact about an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum AccountEvent {
    /// A place had nothing, or too little.
    SoldOut { at: Timestamp, place: Place, why: String },
    /// A place that was sold out has stock again.
    Available { at: Timestamp, place: Place },
    /// Launches of this scope are refused, with this code of the provider's.
    Refused { at: Timestamp, scope: Scope, code: String, why: String },
    /// And are accepted again.
    Accepted { at: Timestamp, scope: Scope },
    /// Quota, balance or credentials: no place would help.
    Stopped {
        at: Timestamp,
        class: Class,
        message: String,
        /// The provider's code, where it gave one.
        #[serde(default)]
        code: String,
    },
    /// A launch succeeded again.
    Resumed { at: Timestamp },
    /// How long an instance took from the accepted launch to Running.
    Booted { at: Timestamp, zone: String, instance_type: String, secs: f64 },
    /// An instance was not Running after this time, and was given up: a boot takes at least so long.
    TimedOut { at: Timestamp, zone: String, instance_type: String, secs: f64 },
    /// An instance of ours that no fleet wants was found for the first time.
    StrayFound { at: Timestamp, id: InstanceId, fleet: String },
    /// It is not there any more, or wanted again.
    StrayGone { at: Timestamp, id: InstanceId },
    /// The daemon acts in this account of the provider's. The first one that is recorded counts.
    Identified { at: Timestamp, account: String },
    /// Another key signs: what was refused for the old one's sake is tried again.
    KeyChanged { at: Timestamp, key: String },
    /// An audit was made.
    Audited { at: Timestamp, findings: u32 },
}

/// The fold of an account's events.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    #[serde(with = "pairs")]
    pub cold: BTreeMap<Place, Cold>,
    /// Refusals for another reason than that a place is sold out.
    #[serde(with = "pairs", skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<Scope, Cold>,
    pub stop: Option<LaunchStop>,
    /// How often launches were stopped, by what they were refused for. A stop that ended because
    /// some launch succeeded does not make the next one a first one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub strikes: BTreeMap<String, Strikes>,
    /// Boot times by `zone/type`.
    pub boots: BTreeMap<String, Ring>,
    /// Boots that took too long, likewise.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub slow: BTreeMap<String, Slow>,
    /// Since when each stray has been known.
    pub strays: BTreeMap<InstanceId, Timestamp>,
    pub audited: Option<Timestamp>,
    /// The provider's id of the account, as it was first recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Tells the newest key from others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Whether another key may be answered otherwise than with this code.
fn is_about_permission(code: &str) -> bool {
    ["Forbidden", "NoPermission", "Unauthorized"].iter().any(|about| code.starts_with(about))
}

/// A place that was sold out, or what else is left alone for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cold {
    pub until: Timestamp,
    /// How often in a row.
    pub strikes: u32,
    pub last: Timestamp,
    pub why: String,
    /// The provider's code, where it matters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
}

/// How often in a row, and when last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strikes {
    pub count: u32,
    pub last: Timestamp,
}

/// Boots of one type in one zone that timed out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slow {
    /// Seconds: the longest that a boot was waited for in vain.
    pub at_least: f64,
    pub times: u32,
    pub last: Timestamp,
    /// Boots that ended in time since.
    pub boots_since: u32,
}

/// Why nothing is launched in this account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchStop {
    pub class: Class,
    pub message: String,
    pub since: Timestamp,
    /// Then one instance is tried.
    pub until: Timestamp,
    pub strikes: u32,
}

/// Whether something may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate<T> {
    Open,
    /// With one instance only: it failed before, and the pause is over.
    Probe,
    Closed(T),
}

/// 5 minutes doubling to 30, after so many strikes before this one.
pub(crate) fn pause(strikes_before: u32) -> Duration {
    COLD_FIRST.saturating_mul(1 << strikes_before.min(3)).min(COLD_LONGEST)
}

impl Account {
    pub fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::SoldOut { at, place, why } => {
                // Strikes of hours ago say nothing about now.
                self.cold.retain(|_, cold| clock::age(*at, cold.last) < COLD_FORGOTTEN);
                let cold = Cold::again(self.cold.get(place), *at, why, "");
                self.cold.insert(place.clone(), cold);
            }
            AccountEvent::Available { place, .. } => drop(self.cold.remove(place)),
            AccountEvent::Refused { at, scope, code, why } => {
                self.refused.retain(|_, cold| clock::age(*at, cold.last) < COLD_FORGOTTEN);
                let cold = Cold::again(self.refused.get(scope), *at, why, code);
                self.refused.insert(scope.clone(), cold);
            }
            AccountEvent::Accepted { scope, .. } => drop(self.refused.remove(scope)),
            AccountEvent::Stopped { at, class, message, code } => {
                self.stopped(*at, *class, message, code);
            }
            AccountEvent::Resumed { .. } => self.stop = None,
            AccountEvent::Booted { zone, instance_type, secs, .. } => {
                let key = boot_key(zone, instance_type);
                if let Some(slow) = self.slow.get_mut(&key) {
                    slow.boots_since += 1;
                    if slow.boots_since >= SLOW_FORGOTTEN {
                        self.slow.remove(&key);
                    }
                }
                self.boots.entry(key).or_default().push(*secs);
            }
            AccountEvent::TimedOut { at, zone, instance_type, secs } => {
                let key = boot_key(zone, instance_type);
                let before = self.slow.get(&key);
                let slow = Slow {
                    at_least: before.map_or(*secs, |slow| slow.at_least.max(*secs)),
                    times: before.map_or(1, |slow| slow.times.saturating_add(1)),
                    last: *at,
                    boots_since: 0,
                };
                self.slow.insert(key, slow);
            }
            AccountEvent::StrayFound { at, id, .. } => {
                self.strays.entry(id.clone()).or_insert(*at);
            }
            AccountEvent::StrayGone { id, .. } => drop(self.strays.remove(id)),
            AccountEvent::Identified { account, .. } => {
                self.identity.get_or_insert_with(|| account.clone());
            }
            AccountEvent::KeyChanged { key, .. } => {
                let before = self.key.replace(key.clone());
                if before.as_ref() != Some(key) {
                    self.stop = self.stop.take().filter(|stop| stop.class != Class::Auth);
                    self.refused.retain(|_, cold| !is_about_permission(&cold.code));
                }
            }
            AccountEvent::Audited { at, .. } => self.audited = Some(*at),
        }
    }

    /// Whether launches wait for another key or another permission.
    #[must_use]
    pub fn waits_for_a_key(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.class == Class::Auth)
            || self.refused.values().any(|cold| is_about_permission(&cold.code))
    }

    fn stopped(&mut self, at: Timestamp, class: Class, message: &str, code: &str) {
        self.strikes.retain(|_, strikes| clock::age(at, strikes.last) < COLD_FORGOTTEN);
        let before = self.stop.as_ref();
        let what = if code.is_empty() { class.name() } else { code };
        // Records of earlier versions have their strikes in the stop alone.
        let stopped = before.filter(|stop| stop.class == class).map_or(0, |stop| stop.strikes);
        let strikes = self.strikes.get(what).map_or(stopped, |strikes| strikes.count);
        let until = clock::after(at, pause(strikes));
        let count = strikes.saturating_add(1);
        self.strikes.insert(what.to_owned(), Strikes { count, last: at });
        self.stop = Some(LaunchStop {
            class,
            message: message.to_owned(),
            since: before.map_or(at, |stop| stop.since),
            until,
            strikes: count,
        });
    }

    /// Whether `place` may be tried at `now`.
    #[must_use]
    pub fn place(&self, place: &Place, now: Timestamp) -> Gate<&Cold> {
        self.cold.get(place).map_or(Gate::Open, |cold| cold.gate(now))
    }

    /// Whether `code`, which nobody has described, was met with another spec a short while ago.
    #[must_use]
    pub fn is_met_elsewhere(&self, code: &str, spec: &str, now: Timestamp) -> bool {
        self.refused.iter().any(|(scope, cold)| {
            cold.code == code
                && scope.spec.as_ref().is_some_and(|other| other != spec)
                && clock::age(now, cold.last) < MET_ELSEWHERE
        })
    }

    /// The longest that a boot of `instance_type` was waited for in vain, in seconds.
    #[must_use]
    pub fn boot_at_least(&self, instance_type: &str) -> Option<f64> {
        let of_type = self.slow.iter().filter(|(key, _)| type_of(key) == Some(instance_type));
        of_type.map(|(_, slow)| slow.at_least).max_by(f64::total_cmp)
    }

    /// Whether anything may be launched at `now`.
    #[must_use]
    pub fn launches(&self, now: Timestamp) -> Gate<&LaunchStop> {
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
            type_of(key).is_some_and(|kind| instance_types.iter().any(|t| t == kind))
        });
        known.filter_map(|(_, ring)| ring.quantile(part)).max_by(f64::total_cmp)
    }
}

/// How boot times are filed.
fn boot_key(zone: &str, instance_type: &str) -> String {
    format!("{zone}/{instance_type}")
}

/// The instance type that boot times are filed under.
fn type_of(boot_key: &str) -> Option<&str> {
    boot_key.split_once('/').map(|(_, kind)| kind)
}

impl Cold {
    /// After one more refusal.
    fn again(before: Option<&Cold>, at: Timestamp, why: &str, code: &str) -> Cold {
        let strikes = before.map_or(0, |cold| cold.strikes);
        Cold {
            until: clock::after(at, pause(strikes)),
            strikes: strikes.saturating_add(1),
            last: at,
            why: why.to_owned(),
            code: code.to_owned(),
        }
    }

    /// Whether what it stands for may be tried at `now`.
    #[must_use]
    pub fn gate(&self, now: Timestamp) -> Gate<&Cold> {
        if now < self.until {
            Gate::Closed(self)
        } else if clock::age(now, self.last) < COLD_FORGOTTEN {
            Gate::Probe
        } else {
            Gate::Open
        }
    }
}

impl AccountEvent {
    /// One word, to select records by.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            AccountEvent::SoldOut { .. } | AccountEvent::Available { .. } => "stock",
            AccountEvent::Refused { .. } | AccountEvent::Accepted { .. } => "refusal",
            AccountEvent::Stopped { .. } | AccountEvent::Resumed { .. } => "stop",
            AccountEvent::Booted { .. } | AccountEvent::TimedOut { .. } => "boot",
            AccountEvent::Identified { .. } => "account",
            AccountEvent::KeyChanged { .. } => "key",
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
            | AccountEvent::Refused { at, .. }
            | AccountEvent::Accepted { at, .. }
            | AccountEvent::Booted { at, .. }
            | AccountEvent::TimedOut { at, .. }
            | AccountEvent::Identified { at, .. }
            | AccountEvent::KeyChanged { at, .. }
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
            code: "QuotaExceed.AfterpayInstance".into(),
        };
        account.apply(&stop(0));
        assert!(matches!(account.launches(at(299)), Gate::Closed(_)));
        assert_eq!(account.launches(at(300)), Gate::Probe);
        account.apply(&stop(300));
        assert!(matches!(account.launches(at(899)), Gate::Closed(_)), "twice as long");
        account.apply(&AccountEvent::Resumed { at: at(900) });
        assert_eq!(account.launches(at(900)), Gate::Open);
        // Another fleet's launch went through; what was refused is refused again.
        account.apply(&stop(910));
        assert!(matches!(account.launches(at(910 + 20 * 60 - 1)), Gate::Closed(_)), "third strike");
        account.apply(&AccountEvent::Resumed { at: at(2_200) });
        account.apply(&stop(2_200 + 3 * 3_600));
        assert_eq!(account.launches(at(2_200 + 3 * 3_600 + 300)), Gate::Probe, "forgotten by then");
    }

    #[test]
    fn another_key_lifts_what_was_refused_for_the_old_ones_sake_and_nothing_else() {
        let mut account = Account::default();
        let stop = |class| AccountEvent::Stopped {
            at: at(0),
            class,
            message: "no".into(),
            code: String::new(),
        };
        let key = |key: &str| AccountEvent::KeyChanged { at: at(60), key: key.to_owned() };
        let refused = |vswitch: &str, code: &str| AccountEvent::Refused {
            at: at(0),
            scope: Scope { vswitch: Some(vswitch.into()), ..Scope::default() },
            code: code.to_owned(),
            why: "no".to_owned(),
        };
        account.apply(&key("one"));
        account.apply(&stop(Class::Auth));
        account.apply(&refused("h", "Forbidden.RAM"));
        account.apply(&refused("i", "InvalidVSwitchId.NotFound"));
        account.apply(&key("one"));
        assert!(account.waits_for_a_key() && account.stop.is_some(), "the same key");
        account.apply(&key("two"));
        assert!(!account.waits_for_a_key());
        assert_eq!((account.stop.is_some(), account.refused.len()), (false, 1));
        account.apply(&stop(Class::Quota));
        account.apply(&key("three"));
        assert!(account.stop.is_some(), "no key changes a quota");
    }

    #[test]
    fn the_account_that_was_recorded_first_counts() {
        let mut account = Account::default();
        for id in ["111", "222"] {
            account.apply(&AccountEvent::Identified { at: at(0), account: id.to_owned() });
        }
        assert_eq!(account.identity.as_deref(), Some("111"));
    }

    #[test]
    fn what_is_refused_is_left_alone_and_nothing_else_is() {
        let mut account = Account::default();
        let of_type = Scope { instance_type: Some("ecs.c7.large".into()), ..Scope::default() };
        let (code, why) = ("InstanceType.Offline".to_owned(), "withdrawn".to_owned());
        account.apply(&AccountEvent::Refused { at: at(0), scope: of_type.clone(), code, why });
        let closed = |account: &Account, kind: &str, secs| {
            let place = Place { instance_type: kind.into(), vswitch: "vsw-i".into() };
            let covering = account.refused.iter().filter(|(scope, _)| scope.covers("spec", &place));
            covering
                .map(|(_, cold)| matches!(cold.gate(at(secs)), Gate::Closed(_)))
                .collect::<Vec<_>>()
        };
        assert_eq!(closed(&account, "ecs.c7.large", 299), [true]);
        assert_eq!(closed(&account, "ecs.c7.large", 300), [false], "to be probed");
        assert!(closed(&account, "ecs.g7.large", 0).is_empty());
        account.apply(&AccountEvent::Accepted { at: at(300), scope: of_type });
        assert!(account.refused.is_empty());
    }

    #[test]
    fn a_code_that_nobody_has_described_is_met_elsewhere_with_another_spec_within_an_hour() {
        let mut account = Account::default();
        let scope = Scope::of(Some("web".into()), place());
        let (code, why) = ("Brand.New".to_owned(), "no".to_owned());
        account.apply(&AccountEvent::Refused { at: at(0), scope, code, why });
        assert!(account.is_met_elsewhere("Brand.New", "db", at(60)));
        assert!(!account.is_met_elsewhere("Brand.New", "web", at(60)), "the same spec");
        assert!(!account.is_met_elsewhere("Brand.Other", "db", at(60)), "another code");
        assert!(!account.is_met_elsewhere("Brand.New", "db", at(3_600)), "long ago");
    }

    #[test]
    fn a_boot_that_timed_out_counts_until_enough_end_in_time() {
        let mut account = Account::default();
        let (zone, instance_type) = ("h".to_owned(), "c7".to_owned());
        for secs in [300.0, 200.0] {
            let (zone, instance_type) = (zone.clone(), instance_type.clone());
            account.apply(&AccountEvent::TimedOut { at: at(0), zone, instance_type, secs });
        }
        assert_eq!(account.boot_at_least("c7"), Some(300.0));
        assert_eq!(account.boot_at_least("g7"), None);
        for _ in 0..SLOW_FORGOTTEN {
            let (zone, instance_type) = (zone.clone(), instance_type.clone());
            account.apply(&AccountEvent::Booted { at: at(9), zone, instance_type, secs: 400.0 });
        }
        assert_eq!(account.boot_at_least("c7"), None);
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
