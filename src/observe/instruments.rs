//! Counts and newest values of every fleet since the start: fed by reports, read by metrics and
//! health.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use cloud::{ErrorKind, Mutation, Timestamp, clock};
use prometheus_client::metrics::histogram::Histogram;

use super::alerts::{Board, Changes, Whose, without_journal};
use super::health::{Alive, Health, Ready};
use super::process::ProcessSeen;
use super::snapshot::{AccountSeen, FleetSeen, Latest, Snapshot};
use crate::control::{self, Findings, TickError, TickReport, UNREADABLE_AFTER, World};
use crate::execute::Outcome;
use crate::journal::JournalError;
use crate::model::{Account, AccountId, Alert, AlertCode, FleetId, Settlement};
use crate::notify::Notifier;

/// Twice the time between audits: then another replica makes them, and tells of them.
const AUDIT_FORGOTTEN: Duration = Duration::from_secs(2 * 60 * 60);

/// The instruments of one daemon.
#[derive(Debug)]
pub struct Instruments {
    world: Arc<World>,
    began: Timestamp,
    state: Mutex<State>,
    /// Who tells people, if somebody does.
    notifier: OnceLock<Arc<Notifier>>,
}

#[derive(Debug, Default)]
struct State {
    /// Shared with who writes them down, so that ticks wait for nobody.
    fleets: BTreeMap<FleetId, Arc<FleetSeen>>,
    /// As the newest tick of one of its fleets knew it.
    accounts: BTreeMap<AccountId, Arc<Account>>,
    audits: BTreeMap<AccountId, Findings>,
    board: Board,
    /// Alerts of the daemon as a whole, by the part that raised them.
    daemon: BTreeMap<AlertCode, Alert>,
    /// When a tick of any fleet last ended.
    ended: Option<Timestamp>,
    /// Ticks that took longer than their fleet's interval.
    overruns: u64,
}

impl State {
    fn fleet(&mut self, id: &FleetId) -> &mut FleetSeen {
        if !self.fleets.contains_key(id) {
            self.fleets.insert(id.clone(), Arc::default());
        }
        Arc::make_mut(self.fleets.get_mut(id).expect("it was put there"))
    }
}

impl Instruments {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(world: Arc<World>) -> Instruments {
        let fleets = world.fleet_ids().into_iter().map(|fleet| (fleet, Arc::default()));
        let state = State { fleets: fleets.collect(), ..State::default() };
        Instruments {
            began: world.clock.now(),
            world,
            state: Mutex::new(state),
            notifier: OnceLock::new(),
        }
    }

    /// Counts the messages of `notifier` as well; the first one is kept to.
    pub fn count_messages(&self, notifier: Arc<Notifier>) {
        self.notifier.get_or_init(|| notifier);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock can panic")
    }

    /// A tick saw, decided and did this. Returns the alerts that began and ended with it.
    pub fn ticked(&self, report: &TickReport) -> Changes {
        let mut state = self.state();
        if self.is_gone(&report.fleet) {
            return Changes::default();
        }
        let fleet = state.fleet(&report.fleet);
        let sent = report.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Sent { .. }));
        fleet.count(match (&report.only_looked, sent) {
            (Some(_), _) => "only_looked",
            (None, true) => "acted",
            (None, false) => "steady",
        });
        if let Some(reason) = &report.decision.blocked_by {
            *fleet.blocked.entry(reason.kind()).or_default() += 1;
        }
        for (action, outcome) in report.plan.actions.iter().zip(&report.outcomes) {
            if let Outcome::Sent { settlement, .. } = outcome {
                fleet.did(&action.mutation, settlement);
            }
        }
        for settled in &report.settled {
            fleet.did(&settled.action.mutation, &settled.settlement);
        }
        if let Some(shadow) = &report.shadow {
            let differs = u64::from(shadow.desired != report.decision.desired);
            *fleet.shadow_differs.get_or_insert(0) += differs;
        }
        fleet.unreadable = 0;
        fleet.latest = Some(Latest::of(report));
        state.accounts.insert(report.account.clone(), report.shared.clone());
        let alerts = without_journal(&report.alerts);
        state.board.set(Whose::Fleet(report.fleet.clone()), &alerts)
    }

    /// A tick ended without a plan carried out.
    pub fn failed(&self, id: &FleetId, error: &TickError) -> Changes {
        let mut state = self.state();
        if self.is_gone(id) {
            return Changes::default();
        }
        let fleet = state.fleet(id);
        fleet.count(match error {
            TickError::Survey(_) => "cloud_unreadable",
            TickError::Journal(_) => "journal_unavailable",
            TickError::Review(_) => "plan_refused",
            TickError::Panicked(_) => "panicked",
            TickError::ClockSet => "clock_set",
            TickError::Elsewhere => "elsewhere",
            TickError::Stopped => "stopped",
        });
        let whose = Whose::Fleet(id.clone());
        match error {
            TickError::Survey(error) => {
                fleet.unreadable += 1;
                if let ErrorKind::OtherAccount { found, expected } = &error.kind {
                    let message = format!(
                        "the key belongs to account {found}, and the instances are in account \
                         {expected}: nothing is called; put the right key back, or run `fleetscaler \
                         accept-account`"
                    );
                    return state
                        .board
                        .add(whose, Alert::new(AlertCode::AccountChanged, "", message));
                }
                if fleet.unreadable >= UNREADABLE_AFTER {
                    let message = format!("the cloud cannot be read: {error}");
                    let alert = Alert::new(AlertCode::CloudUnreadable, "", message);
                    return state.board.add(whose, alert);
                }
            }
            TickError::Elsewhere => {
                // Its numbers are the other replica's to tell.
                fleet.latest = None;
                fleet.unreadable = 0;
                state.board.forget(&whose);
            }
            TickError::Panicked(what) => {
                let message = format!("a tick ended in a bug, the next one tries again: {what}");
                return state.board.add(whose, Alert::new(AlertCode::TickPanicked, "", message));
            }
            TickError::Journal(error @ JournalError::Unreadable { .. }) => {
                let message = format!("the fleet keeps its size: {error}");
                return state.board.add(whose, Alert::new(AlertCode::JournalDamaged, "", message));
            }
            TickError::Journal(_)
            | TickError::Review(_)
            | TickError::ClockSet
            | TickError::Stopped => {}
        }
        Changes::default()
    }

    /// A tick of `fleet` took so long.
    pub fn took(&self, fleet: &FleetId, took: Duration) {
        let now = self.world.clock.now();
        let mut state = self.state();
        state.ended = Some(now);
        let Some(member) = self.world.member(fleet) else { return };
        state.overruns += u64::from(took > member.interval.get());
        state.fleet(fleet).took.observe(took.as_secs_f64());
    }

    /// Whether the journal can be used.
    pub fn journal(&self, trouble: Option<&JournalError>) -> Changes {
        self.daemon(AlertCode::JournalUnavailable, trouble.map(ToString::to_string))
    }

    /// Whether `code` is on for the daemon as a whole, and why.
    pub fn daemon(&self, code: AlertCode, why: Option<String>) -> Changes {
        let mut state = self.state();
        let State { board, daemon, .. } = &mut *state;
        match why {
            Some(why) => drop(daemon.insert(code, Alert::new(code, "", why))),
            None => drop(daemon.remove(&code)),
        }
        let alerts: Vec<Alert> = daemon.values().cloned().collect();
        board.set(Whose::Daemon, &alerts)
    }

    /// Records of the journal that could not be read and were left out.
    #[must_use]
    pub fn left_out(&self) -> Option<String> {
        self.world.journal.left_out()
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    /// An audit found this.
    pub fn audited(&self, account: &AccountId, findings: &Findings) -> Changes {
        let mut state = self.state();
        state.audits.insert(account.clone(), findings.clone());
        state.board.set(Whose::Account(account.clone()), &findings.alerts())
    }

    /// The newest audit of each account that this replica audits.
    #[must_use]
    pub fn audits(&self) -> BTreeMap<AccountId, Findings> {
        self.state().audits.clone()
    }

    /// A tick that was under way when its fleet was removed has nothing more to tell. To be asked with the
    /// state locked: what is told before the lock is taken is forgotten by [`Instruments::reloaded`].
    fn is_gone(&self, fleet: &FleetId) -> bool {
        self.world.member(fleet).is_none()
    }

    /// The fleets may have been replaced: nothing is told any more of those that are gone, and those
    /// that are new are known to have told nothing yet.
    pub fn reloaded(&self) {
        let ids: BTreeSet<FleetId> = self.world.fleet_ids().into_iter().collect();
        let mut state = self.state();
        let State { fleets, board, .. } = &mut *state;
        fleets.retain(|fleet, _| {
            let stays = ids.contains(fleet);
            if !stays {
                board.forget(&Whose::Fleet(fleet.clone()));
            }
            stays
        });
        for id in ids {
            fleets.entry(id).or_default();
        }
    }

    /// When the daemon began.
    #[must_use]
    pub fn began(&self) -> Timestamp {
        self.began
    }

    /// Audits that this replica does not make any more are not told of any more.
    pub fn forget_old_audits(&self) {
        let now = self.world.clock.now();
        let mut state = self.state();
        let State { audits, board, .. } = &mut *state;
        audits.retain(|account, findings| {
            let keeps = clock::age(now, findings.at) < AUDIT_FORGOTTEN;
            if !keeps {
                board.forget(&Whose::Account(account.clone()));
            }
            keeps
        });
    }

    /// Everything that is known now, as metrics.
    #[must_use]
    pub fn metrics(&self) -> String {
        super::metrics::text(self.snapshot())
    }

    fn snapshot(&self) -> Snapshot {
        let journal = &self.world.journal;
        let (leases, replicas) = journal.counts();
        // What ticks wait for is kept short: nothing is computed here.
        let (fleets, known, alerts, audits, overruns) = {
            let state = self.state();
            let alerts =
                state.board.on().map(|(whose, key)| (whose.clone(), key.clone())).collect();
            let (known, audits) = (state.accounts.clone(), state.audits.clone());
            (state.fleets.clone(), known, alerts, audits, state.overruns)
        };
        // Without a fleet of the account, another replica tells of it.
        let ours: BTreeSet<&AccountId> = fleets
            .values()
            .filter_map(|fleet| fleet.latest.as_ref())
            .map(|latest| &latest.account)
            .collect();
        let accounts = self.world.accounts.iter().map(|(id, account)| {
            let known = known.get(id).filter(|_| ours.contains(id));
            let seen = AccountSeen {
                budget: account.meter.budget(),
                calls: account.meter.calls(),
                metric_calls: account.meter.metric_calls(),
                listing_may_be: account.region.view_may_be(),
                boots: known.map(|known| control::boots(known)).unwrap_or_default(),
            };
            (id.clone(), seen)
        });
        let members = self.world.fleets.all();
        let costs = members
            .iter()
            .filter_map(|member| Some((member.fleet.id.clone(), self.world.cost(member)?)));
        Snapshot {
            now: self.world.clock.now(),
            accounts: accounts.collect(),
            mine: journal.mine().into_iter().collect(),
            journal_up: journal.trouble().is_none(),
            leases,
            replicas,
            alerts,
            audits,
            costs: costs.collect(),
            overruns,
            began: self.began,
            process: ProcessSeen::now(),
            messages: self.notifier.get().map(|notifier| notifier.tallies()).unwrap_or_default(),
            fleets,
        }
    }

    /// Whether the loop goes round, and whether it does its job.
    #[must_use]
    pub fn health(&self) -> Health {
        let journal = &self.world.journal;
        let mine = journal.mine();
        let fleets = self.world.fleets.all();
        let intervals = fleets.iter().map(|member| member.interval.get());
        let now = self.world.clock.now();
        let state = self.state();
        let waits_for = mine
            .iter()
            .filter(|fleet| state.fleets.get(*fleet).is_none_or(|fleet| fleet.latest.is_none()));
        Health::of(
            &Alive { now, newest_tick: state.ended, began: self.began, intervals: intervals.min() },
            &Ready {
                journal: journal.trouble().map(|error| error.to_string()),
                tended: journal.tended(),
                waits_for: waits_for.cloned().collect(),
            },
        )
    }
}

impl FleetSeen {
    fn count(&mut self, outcome: &'static str) {
        *self.ticks.entry(outcome).or_default() += 1;
    }

    fn did(&mut self, mutation: &Mutation, settlement: &Settlement) {
        self.launches += u64::from(settlement.launched());
        if let (Mutation::Delete { .. }, Settlement::Done { done, .. }) = (mutation, settlement) {
            self.removals += done.len() as u64;
        }
    }
}

/// Ends of a tick that a person asks for increases of. Their counters are there from the start: one that is
/// born at 1 does not increase.
const FAILURES: [&str; 4] = ["cloud_unreadable", "journal_unavailable", "panicked", "plan_refused"];

/// From a steady tick to one that waits for several rate limits.
const TICK_SECONDS: [f64; 6] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0];

impl Default for FleetSeen {
    fn default() -> FleetSeen {
        FleetSeen {
            latest: None,
            ticks: FAILURES.map(|outcome| (outcome, 0)).into(),
            took: Histogram::new(TICK_SECONDS),
            blocked: BTreeMap::new(),
            launches: 0,
            removals: 0,
            shadow_differs: None,
            unreadable: 0,
        }
    }
}
