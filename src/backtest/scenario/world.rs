//! The world of a scenario: instances, one place that may be sold out, and what the hour has spent.
//!
//! It is what the plan and the cloud would do with a decision, in numbers: what boots is not ended,
//! nothing that serves is given up for it, and a place that was sold out is left alone for a while.

use std::collections::VecDeque;
use std::time::Duration;

use cloud::{Timestamp, clock};

use crate::model::{
    Account, AccountEvent, Amounts, Census, Decision, Direction, Gate, History, Place, Span, Spent,
};

/// How far back hourly brakes look.
const HOUR: Duration = Duration::from_secs(60 * 60);

/// The instances of a fleet, and what surrounds them.
#[derive(Debug)]
pub(super) struct World {
    in_service: u32,
    /// When each launch will serve, and how many it has; oldest first.
    booting: VecDeque<(Timestamp, u32)>,
    boot: Span,
    account: Account,
    /// What was launched and removed, and when.
    spent: VecDeque<(Timestamp, Amounts)>,
}

impl World {
    /// `in_service` instances serve, and nothing else was ever done.
    pub(super) fn new(in_service: u32, boot: Span) -> World {
        World {
            in_service,
            booting: VecDeque::new(),
            boot,
            account: Account::default(),
            spent: VecDeque::new(),
        }
    }

    /// Lets the time come to `now`.
    pub(super) fn advance(&mut self, now: Timestamp) {
        while let Some((_, count)) = self.booting.front().copied().filter(|(at, _)| *at <= now) {
            self.booting.pop_front();
            self.in_service = self.in_service.saturating_add(count);
        }
        self.spent.retain(|(at, _)| clock::age(now, *at) < HOUR);
    }

    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    /// The fleet in numbers, for a decision.
    pub(super) fn census(&self) -> Census {
        let booting = self.booting.iter().map(|(_, count)| *count).fold(0, u32::saturating_add);
        let size = self.in_service.saturating_add(booting);
        Census {
            capacity: size,
            live: size,
            in_service: self.in_service,
            unproven: booting,
            account_size: size,
            ..Census::default()
        }
    }

    /// What the last hour has spent: the fleet is alone in its account.
    pub(super) fn spent(&self, now: Timestamp) -> Spent {
        let mut sum = Amounts::default();
        for (_, amounts) in self.spent.iter().filter(|(at, _)| clock::age(now, *at) < HOUR) {
            sum.launches = sum.launches.saturating_add(amounts.launches);
            sum.removals = sum.removals.saturating_add(amounts.removals);
        }
        Spent { fleet: sum, account: sum }
    }

    /// Launches as many of `wanted` instances as there is stock for.
    pub(super) fn launch(
        &mut self,
        wanted: u32,
        is_sold_out: bool,
        history: &mut History,
        now: Timestamp,
    ) {
        let place = Place { instance_type: "any".to_owned(), vswitch: "any".to_owned() };
        let amount = match self.account.place(&place, now) {
            Gate::Closed(_) => return,
            Gate::Probe => 1,
            Gate::Open => wanted,
        };
        if is_sold_out {
            let why = "the scenario says that every place is sold out".to_owned();
            self.account.apply(&AccountEvent::SoldOut { at: now, place, why });
            history.remainder(now);
            return;
        }
        self.account.apply(&AccountEvent::Available { at: now, place });
        self.booting.push_back((clock::after(now, self.boot.get()), amount));
        self.spent.push_back((now, Amounts { launches: amount, removals: 0 }));
        history.acted(Direction::Out, amount, now);
    }

    /// Ends what `decision` wants to be rid of, of those that serve, if the size that was decided is
    /// left of them, and `min`.
    pub(super) fn retire(
        &mut self,
        decision: &Decision,
        min: u32,
        history: &mut History,
        now: Timestamp,
    ) {
        let least = decision.current.saturating_sub(decision.remove).max(decision.desired).max(min);
        let removed = decision.remove.min(self.in_service.saturating_sub(least));
        if removed == 0 {
            return;
        }
        self.in_service -= removed;
        self.spent.push_back((now, Amounts { launches: 0, removals: removed }));
        history.acted(Direction::In, removed, now);
        history.standing = None;
    }
}
