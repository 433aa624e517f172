//! Rate limits: asking less often than the provider would refuse.
//!
//! A call passes up to four token buckets, all or none: its action's, the account's, for launches
//! and tags the part of the account's that is theirs, and for launches the one that counts
//! instances. So a burst of launches never takes the room that listing and deleting need.
//!
//! Calls of one action wait in a line: those that somebody acts on before those that only look, and
//! among these the earlier before the later. So a listing of a thousand pages delays nothing that is
//! to be done by more than one page.
//!
//! A provider that throttles anyway closes that action until its next minute begins: that is the
//! vendor's rule, and to knock earlier only prolongs it. Other actions go on.

mod bucket;
mod line;
mod rates;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::Urgency;
use crate::clock::{self, Clock, Timestamp};
use bucket::Bucket;
use line::{Queue, QueuePlace};
pub use rates::Rates;

/// No provider's wish to come back later is honoured beyond this: a broken header must not stop an
/// action for an hour. The vendor's own command line caps it at 60 s too.
const RETRY_AFTER_CAP: Duration = Duration::from_secs(60);
/// After the minute has turned, callers come back within 5 s of each other, not all at once.
const SPREAD: Duration = Duration::from_secs(5);
/// Launches and tags take at most this share of the account's calls. A fifth is enough to list
/// (a page of 100 a call) and delete (100 a call) whatever the other four fifths launched.
const SPENDING_SHARE: f64 = 0.8;
/// The share that may be asked for at once, of the instances of a minute: bucket and refill together then
/// never exceed the minute's figure, whichever minute is looked at. A fifth is ten full launches.
const INSTANCES_AT_ONCE: f64 = 0.2;

/// Actions that create instances: these are counted per instance, too.
const LAUNCHES: &[&str] = &["RunInstances", "CreateInstance"];
/// Actions beside launches that can wait while instances are listed and deleted.
const TAGGING: &[&str] = &["TagResources", "UntagResources"];

/// The limits of one account in one region.
#[derive(Debug)]
pub struct Limits {
    clock: Arc<dyn Clock>,
    rates: Rates,
    gates: Mutex<Gates>,
}

/// How long a call waits to be let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    pub urgency: Urgency,
    /// For its turn.
    pub turn: Duration,
    /// For an action that the provider has closed to open again.
    pub closed: Duration,
}

impl Patience {
    /// Of a call that is needed at once: `patience` for either.
    #[must_use]
    pub fn of(patience: Duration) -> Patience {
        Patience { urgency: Urgency::Act, turn: patience, closed: patience }
    }

    /// The same, no longer than `most`.
    #[must_use]
    pub fn within(self, most: Duration) -> Patience {
        Patience { turn: self.turn.min(most), closed: self.closed.min(most), ..self }
    }
}

/// An action that was not let through within the caller's patience. Nothing was consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the rate limit lets nothing through before {until}")]
pub struct NotBefore {
    /// When it would be let through, if nobody else asks.
    pub until: Timestamp,
}

/// How much of its budget an action has used.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionBudget {
    /// The provider's name of the action; `*` is the account, all actions together.
    pub action: String,
    /// Calls per second that it may take.
    pub per_second: f64,
    /// Calls that would be let through now, one after the other without a wait.
    pub headroom: f64,
    /// How long calls have waited before they were let through, all together.
    pub waited_total: Duration,
    /// How many calls had to wait before they were let through.
    pub waits: u64,
    /// How many calls were let through.
    pub calls: u64,
    /// How many were not, because the wait was longer than the caller's patience.
    pub refused: u64,
    /// How many the provider throttled all the same.
    pub throttled: u64,
    /// Until then the action is closed, because the provider throttled it.
    pub closed_until: Option<Timestamp>,
}

impl Limits {
    #[must_use]
    pub fn new(rates: Rates, clock: Arc<dyn Clock>) -> Self {
        let gates = Mutex::new(Gates::new(&rates, clock.now()));
        Limits { clock, rates, gates }
    }

    /// Returns when `action` may be sent, and how long that took. Waits on the clock, at most as
    /// `patience` says; where it would take longer, it says so at once and consumes nothing.
    /// `weight` is the number of instances that a launch asks for; other actions weigh the same
    /// whatever they do.
    pub async fn admit(
        &self,
        action: &str,
        weight: u32,
        patience: Patience,
    ) -> Result<Duration, NotBefore> {
        let began = self.clock.now();
        let place = self.stand_in_line(action, patience.urgency, began);
        loop {
            let now = self.clock.now();
            let until = {
                let mut gates = self.gates(now);
                let blocked = match gates.pass(&self.rates, &place, weight, now) {
                    Ok(()) => {
                        let waited = clock::age(now, began);
                        gates.actions.entry(action.to_owned()).and_modify(|a| a.passed(waited));
                        return Ok(waited);
                    }
                    Err(blocked) => blocked,
                };
                let most = if blocked.closed { patience.closed } else { patience.turn };
                if blocked.until > clock::after(began, most) {
                    gates.actions.entry(action.to_owned()).and_modify(|a| a.refused += 1);
                    return Err(NotBefore { until: blocked.until });
                }
                blocked.until
            };
            self.clock.sleep(clock::age(until, now)).await;
        }
    }

    fn stand_in_line(&self, action: &str, urgency: Urgency, now: Timestamp) -> QueuePlace<'_> {
        let ticket = self.gates(now).action(&self.rates, action, now).line.join(urgency);
        QueuePlace { limits: self, action: action.to_owned(), ticket }
    }

    /// Calls per second of `action`, as far as the account's own limit lets it have them.
    #[must_use]
    pub fn per_second(&self, action: &str) -> f64 {
        self.rates.of(action).min(self.rates.account)
    }

    /// The provider throttled `action`: it is closed until the next minute begins (or for
    /// `retry_after`, if that is longer), plus up to 5 s by `jitter` (`0.0..=1.0`).
    pub fn throttled(&self, action: &str, retry_after: Option<Duration>, jitter: f64) {
        let now = self.clock.now();
        let into_minute = now.timestamp().rem_euclid(60);
        let to_minute = Duration::from_secs(60 - u64::try_from(into_minute).expect("0 to 59"));
        let wished = retry_after.unwrap_or_default().min(RETRY_AFTER_CAP);
        let until =
            clock::after(now, to_minute.max(wished) + SPREAD.mul_f64(jitter.clamp(0.0, 1.0)));
        let mut gates = self.gates(now);
        let action = gates.action(&self.rates, action, now);
        action.throttled += 1;
        action.closed_until = action.closed_until.max(Some(until));
    }

    /// Until when `action` is closed because it was throttled, if it is.
    #[must_use]
    pub fn closed_until(&self, action: &str) -> Option<Timestamp> {
        let now = self.clock.now();
        self.gates(now).closed_until(action, now)
    }

    /// The calls that every action asked for so far has used and has left, and those of the whole account.
    #[must_use]
    pub fn budget(&self) -> Vec<ActionBudget> {
        let now = self.clock.now();
        self.gates(now).budget(&self.rates, now)
    }

    fn gates(&self, now: Timestamp) -> MutexGuard<'_, Gates> {
        let mut gates = self.gates.lock().expect("no holder of this lock can panic");
        gates.notice(&self.rates, now);
        gates
    }
}

/// All buckets, under one lock: what passes them passes them together.
#[derive(Debug)]
struct Gates {
    /// The latest moment seen.
    seen: Timestamp,
    account: Bucket,
    /// The share of the account's calls that launches and tags may take.
    spending: Bucket,
    instances: Bucket,
    actions: BTreeMap<String, ActionGate>,
}

/// Why a call is not let through yet.
#[derive(Debug, Clone, Copy)]
struct Blocked {
    /// When it is to ask again.
    until: Timestamp,
    /// The provider closed the action.
    closed: bool,
}

#[derive(Debug)]
struct ActionGate {
    bucket: Bucket,
    /// The calls that wait to be let through.
    line: Queue,
    closed_until: Option<Timestamp>,
    waited_total: Duration,
    waits: u64,
    calls: u64,
    refused: u64,
    throttled: u64,
}

impl Gates {
    fn new(rates: &Rates, now: Timestamp) -> Self {
        let account = rates.account;
        let spending = account * SPENDING_SHARE;
        let per_minute = f64::from(rates.instances_per_minute);
        Gates {
            seen: now,
            account: Bucket::new(account, account, now),
            spending: Bucket::new(spending, spending, now),
            instances: Bucket::new(
                per_minute * (1.0 - INSTANCES_AT_ONCE) / 60.0,
                per_minute * INSTANCES_AT_ONCE,
                now,
            ),
            actions: BTreeMap::new(),
        }
    }

    /// A clock that was set back (by an operator, by NTP) must not keep an action waiting for as
    /// long: buckets begin anew, and what is closed stays so for as long as it had left.
    fn notice(&mut self, rates: &Rates, now: Timestamp) {
        if now < self.seen {
            let back = self.seen - now;
            let old = std::mem::replace(self, Gates::new(rates, now));
            self.actions = old.actions;
            for (name, action) in &mut self.actions {
                action.bucket = ActionGate::bucket(rates, name, now);
                action.closed_until = action.closed_until.map(|until| until - back);
            }
        }
        self.seen = now;
    }

    fn action(&mut self, rates: &Rates, name: &str, now: Timestamp) -> &mut ActionGate {
        self.actions.entry(name.to_owned()).or_insert_with(|| ActionGate {
            bucket: ActionGate::bucket(rates, name, now),
            line: Queue::default(),
            closed_until: None,
            waited_total: Duration::ZERO,
            waits: 0,
            calls: 0,
            refused: 0,
            throttled: 0,
        })
    }

    /// Takes from every bucket on the way of who stands at `place`, or from none: then it says when
    /// all of them will have enough, and whoever is ahead will have passed.
    fn pass(
        &mut self,
        rates: &Rates,
        place: &QueuePlace<'_>,
        weight: u32,
        now: Timestamp,
    ) -> Result<(), Blocked> {
        let name = place.action.as_str();
        self.action(rates, name, now);
        let action = &self.actions[name];
        let ahead = action.bucket.period().saturating_mul(action.line.ahead_of(place.ticket));
        if let Some(closed) = action.closed_until.filter(|until| now < *until) {
            return Err(Blocked { until: clock::after(closed, ahead), closed: true });
        }
        if !ahead.is_zero() {
            return Err(Blocked { until: clock::after(now, ahead), closed: false });
        }
        let mut way = vec![(&action.bucket, 1), (&self.account, 1)];
        if is_spending(name) {
            way.push((&self.spending, 1));
        }
        if LAUNCHES.contains(&name) {
            way.push((&self.instances, weight));
        }
        let mut taken = Vec::with_capacity(way.len());
        let mut wait = Duration::ZERO;
        for (bucket, n) in way {
            match bucket.take(n, now) {
                Ok(token) => taken.push((bucket, token)),
                Err(longer) => wait = wait.max(longer),
            }
        }
        if wait.is_zero() {
            return Ok(());
        }
        for (bucket, token) in taken {
            bucket.give_back(token);
        }
        Err(Blocked { until: clock::after(now, wait), closed: false })
    }

    /// Until when the action is closed, if it is.
    fn closed_until(&self, action: &str, now: Timestamp) -> Option<Timestamp> {
        self.actions.get(action)?.closed_until.filter(|until| now < *until)
    }

    fn budget(&self, rates: &Rates, now: Timestamp) -> Vec<ActionBudget> {
        let account = self.account.tokens(now);
        let mut all = ActionBudget {
            action: "*".to_owned(),
            per_second: rates.account,
            headroom: account,
            waited_total: Duration::ZERO,
            waits: 0,
            calls: 0,
            refused: 0,
            throttled: 0,
            closed_until: None,
        };
        let mut budget = Vec::with_capacity(1 + self.actions.len());
        for (name, action) in &self.actions {
            let closed_until = action.closed_until.filter(|until| now < *until);
            let mut headroom = action.bucket.tokens(now).min(account);
            if is_spending(name) {
                headroom = headroom.min(self.spending.tokens(now));
            }
            if LAUNCHES.contains(&name.as_str()) {
                headroom = headroom.min(self.instances.tokens(now));
            }
            all.waited_total += action.waited_total;
            all.waits += action.waits;
            all.calls += action.calls;
            all.refused += action.refused;
            all.throttled += action.throttled;
            budget.push(ActionBudget {
                action: name.clone(),
                per_second: rates.of(name),
                headroom: if closed_until.is_some() { 0.0 } else { headroom },
                waited_total: action.waited_total,
                waits: action.waits,
                calls: action.calls,
                refused: action.refused,
                throttled: action.throttled,
                closed_until,
            });
        }
        budget.insert(0, all);
        budget
    }
}

impl ActionGate {
    /// As many calls at once as come in a second.
    fn bucket(rates: &Rates, name: &str, now: Timestamp) -> Bucket {
        let per_second = rates.of(name);
        Bucket::new(per_second, per_second, now)
    }

    fn passed(&mut self, waited: Duration) {
        self.calls += 1;
        self.waits += u64::from(!waited.is_zero());
        self.waited_total += waited;
    }
}

/// Whether it can wait while instances are listed and deleted.
fn is_spending(action: &str) -> bool {
    LAUNCHES.contains(&action) || TAGGING.contains(&action)
}
