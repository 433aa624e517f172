//! Everything that metrics are made of, at one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cloud::FreeCalls;
use cloud::limit::ActionBudget;
use cloud::{Timestamp, clock};
use prometheus_client::metrics::histogram::Histogram;

use super::alerts::Whose;
use super::process::ProcessSeen;
use crate::control::{Counts, Findings, HourlyCost, Quantiles, TickReport};
use crate::model::{AccountId, AlertKey, Bounds, FleetId, Sample, SignalName};
use crate::notify::Tally;

/// One moment.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) now: Timestamp,
    pub(super) fleets: BTreeMap<FleetId, Arc<FleetSeen>>,
    /// The fleets that this replica acts for.
    pub(super) mine: BTreeSet<FleetId>,
    pub(super) accounts: BTreeMap<AccountId, AccountSeen>,
    pub(super) journal_up: bool,
    pub(super) leases: usize,
    pub(super) replicas: usize,
    pub(super) alerts: Vec<(Whose, AlertKey)>,
    pub(super) audits: BTreeMap<AccountId, Findings>,
    /// What the instances of each fleet cost, where that is known.
    pub(super) costs: BTreeMap<FleetId, HourlyCost>,
    /// Ticks that took longer than their fleet's interval.
    pub(super) overruns: u64,
    /// When the daemon began.
    pub(super) began: Timestamp,
    pub(super) process: Option<ProcessSeen>,
    /// The numbers of messages, by channel.
    pub(super) messages: BTreeMap<String, Tally>,
}

impl Snapshot {
    /// Nothing seen: what is left is the list of metrics.
    pub(super) fn empty() -> Snapshot {
        Snapshot {
            now: Timestamp::UNIX_EPOCH,
            fleets: BTreeMap::new(),
            mine: BTreeSet::new(),
            accounts: BTreeMap::new(),
            journal_up: true,
            leases: 0,
            replicas: 0,
            alerts: Vec::new(),
            audits: BTreeMap::new(),
            costs: BTreeMap::new(),
            overruns: 0,
            began: Timestamp::UNIX_EPOCH,
            process: None,
            messages: BTreeMap::new(),
        }
    }
}

/// One fleet, and what was counted since the start.
#[derive(Debug, Clone)]
pub(super) struct FleetSeen {
    /// The observations of its newest tick; `None` while another replica acts for it.
    pub(super) latest: Option<Latest>,
    pub(super) ticks: BTreeMap<&'static str, u64>,
    pub(super) took: Histogram,
    pub(super) blocked: BTreeMap<&'static str, u64>,
    pub(super) launches: u64,
    pub(super) removals: u64,
    /// Ticks in which the shadow rules wanted another size; `None` without such rules.
    pub(super) shadow_differs: Option<u64>,
    /// Surveys that failed in a row.
    pub(super) unreadable: u32,
}

/// Of a report, what is shown.
#[derive(Debug, Clone)]
pub(super) struct Latest {
    pub(super) at: Timestamp,
    pub(super) listed_at: Timestamp,
    pub(super) bounds: Bounds,
    pub(super) current: u32,
    pub(super) desired: u32,
    /// If nothing held it back.
    pub(super) recommended: u32,
    /// The size that the shadow rules want, if there are some.
    pub(super) shadow: Option<u32>,
    pub(super) counts: Counts,
    /// `None`: missing.
    pub(super) signals: BTreeMap<SignalName, Option<Sample>>,
    pub(super) account: AccountId,
    pub(super) lags: BTreeMap<SignalName, Quantiles>,
}

/// The calls of one account, and the facts learned of it.
#[derive(Debug, Clone)]
pub(super) struct AccountSeen {
    pub(super) budget: Vec<ActionBudget>,
    pub(super) calls: Vec<(String, &'static str, u64)>,
    /// The calls to metrics of this month, and those that cost nothing.
    pub(super) metric_calls: Option<FreeCalls>,
    /// How old the account's listing may be; `None` before the first.
    pub(super) listing_may_be: Option<Duration>,
    /// From the accepted launch to Running, by zone and type.
    pub(super) boots: BTreeMap<(String, String), Quantiles>,
}

impl Latest {
    pub(super) fn of(report: &TickReport) -> Latest {
        let signals = report.signals.iter();
        Latest {
            at: report.at,
            listed_at: report.at - clock::delta(report.listing_age),
            bounds: report.bounds,
            current: report.decision.current,
            desired: report.decision.desired,
            recommended: report.decision.recommended,
            shadow: report.shadow.as_ref().map(|shadow| shadow.desired),
            counts: report.counts,
            signals: signals
                .map(|(name, reading)| (name.clone(), reading.as_ref().ok().copied()))
                .collect(),
            account: report.account.clone(),
            lags: report.lags.clone(),
        }
    }
}
