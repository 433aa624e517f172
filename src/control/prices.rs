//! What the fleets cost in an hour, at the vendor's pay-as-you-go price of each type in each zone.
//!
//! Prices are asked for beside the ticks and kept for hours: no decision waits for one, and none depends on
//! one. Base instances are left out, since they are as a rule paid by the month.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloud::{Class, Observe, Price, Timestamp, clock};

use super::fleets::FleetInWorld;
use super::instances::InstanceSeen;
use super::world::World;
use crate::model::{AccountId, Ownership};

/// Prices change by the month. What was refused, or not answered, is asked again as late: a policy without
/// DescribePrice must not cost a refused call a minute.
const KEPT: Duration = Duration::from_secs(6 * 60 * 60);
/// A fleet that has a new type shows what it costs within this; most rounds ask for nothing.
const LOOKED_EVERY: Duration = Duration::from_secs(15);
/// A round asks for so many at most: a new account with a hundred types leaves the budget of reads to others.
const ASKED_AT_ONCE: usize = 10;

/// An instance type in a zone.
type Priced = (String, String);

/// The prices of one account.
#[derive(Debug, Default)]
pub struct PriceBoard {
    known: Mutex<BTreeMap<Priced, PriceKnown>>,
}

#[derive(Debug, Clone)]
struct PriceKnown {
    asked: Timestamp,
    /// `None`: the vendor did not say.
    price: Option<Price>,
}

/// The cost of a fleet's instances in an hour.
#[derive(Debug, Clone, PartialEq)]
pub struct HourlyCost {
    pub amount: f64,
    pub currency: String,
    /// Instances whose price is in it.
    pub priced: u32,
    /// Instances whose price is not known.
    pub unpriced: u32,
}

impl PriceBoard {
    /// The cost of `instances`; `None` while no price of them is known.
    #[must_use]
    pub fn cost(&self, instances: &[InstanceSeen]) -> Option<HourlyCost> {
        let known = self.known.lock().expect("no holder of this lock can panic");
        let mut cost: Option<HourlyCost> = None;
        let mut unpriced = 0;
        for priced in billed(instances) {
            let price = known.get(&priced).and_then(|known| known.price.as_ref());
            match (price, &mut cost) {
                (Some(price), None) => {
                    let currency = price.currency.clone();
                    cost =
                        Some(HourlyCost { amount: price.amount, currency, priced: 1, unpriced: 0 });
                }
                (Some(price), Some(cost)) if cost.currency == price.currency => {
                    cost.amount += price.amount;
                    cost.priced += 1;
                }
                _ => unpriced += 1,
            }
        }
        cost.map(|cost| HourlyCost { unpriced, ..cost })
    }

    /// Of `wanted`, what is to be asked for at `now`.
    fn due(&self, wanted: &BTreeSet<Priced>, now: Timestamp) -> Vec<Priced> {
        let known = self.known.lock().expect("no holder of this lock can panic");
        let is_due = |priced: &&Priced| {
            let known = known.get(*priced);
            known.is_none_or(|known| known.asked > now || clock::age(now, known.asked) >= KEPT)
        };
        wanted.iter().filter(is_due).take(ASKED_AT_ONCE).cloned().collect()
    }

    /// Keeps an answer; a price that was known before outlives a failure.
    fn keep(&self, priced: Priced, price: Option<Price>, now: Timestamp) {
        let mut known = self.known.lock().expect("no holder of this lock can panic");
        let entry = known.entry(priced).or_insert(PriceKnown { asked: now, price: None });
        entry.asked = now;
        if price.is_some() {
            entry.price = price;
        }
    }

    async fn refresh(&self, cloud: &dyn Observe, wanted: &BTreeSet<Priced>, now: Timestamp) {
        let due = self.due(wanted, now);
        for (n, (instance_type, zone)) in due.iter().enumerate() {
            let answer = cloud.price_per_hour(instance_type, zone).await;
            if let Err(error) = &answer {
                tracing::debug!("no price of {instance_type} in {zone}: {error}");
                if error.class == Class::Auth {
                    // It would be refused for the others as well.
                    due[n..].iter().for_each(|priced| self.keep(priced.clone(), None, now));
                    return;
                }
            }
            self.keep((instance_type.clone(), zone.clone()), answer.ok(), now);
        }
    }
}

impl World {
    /// The cost of a fleet's instances; `None` while no price of them is known.
    #[must_use]
    pub fn cost(&self, member: &FleetInWorld) -> Option<HourlyCost> {
        let prices = &self.accounts.get(&member.fleet.account)?.prices;
        prices.cost(&member.shown.newest().report.as_deref()?.instances)
    }
}

/// The types and zones of the instances that cost something, one entry an instance.
fn billed(instances: &[InstanceSeen]) -> impl Iterator<Item = Priced> {
    let instances = instances.iter().filter(|one| one.ownership != Ownership::Base);
    let listed = instances.filter_map(|one| one.listed.as_ref());
    listed.map(|listed| (listed.instance_type.clone(), listed.zone.clone()))
}

/// Keeps the prices of what the fleets of this replica have, until it is dropped.
pub async fn keep_prices(world: Arc<World>) {
    loop {
        world.clock.sleep(LOOKED_EVERY).await;
        refresh(&world).await;
    }
}

async fn refresh(world: &World) {
    let mut wanted: BTreeMap<AccountId, BTreeSet<Priced>> = BTreeMap::new();
    for member in world.fleets.all().iter() {
        if let Some(report) = member.shown.newest().report.as_deref() {
            wanted
                .entry(member.fleet.account.clone())
                .or_default()
                .extend(billed(&report.instances));
        }
    }
    for (account, wanted) in wanted {
        if world.stop.is_asked() {
            return;
        }
        if let Some(account) = world.accounts.get(&account) {
            let now = world.clock.now();
            account.prices.refresh(account.region.cloud(), &wanted, now).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use cloud::InstanceId;

    use super::*;
    use crate::control::Listed;
    use crate::model::Phase;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a valid time")
    }

    fn priced(instance_type: &str) -> Priced {
        (instance_type.to_owned(), "cn-hangzhou-h".to_owned())
    }

    /// One instance of each type.
    fn instances(types: &[&str]) -> Vec<InstanceSeen> {
        let seen = |(n, instance_type): (usize, &&str)| InstanceSeen {
            id: InstanceId(format!("i-{n}")),
            phase: Phase::InService,
            ownership: Ownership::Managed,
            since: None,
            launched: None,
            is_outdated: None,
            listed: Some(Listed {
                zone: "cn-hangzhou-h".to_owned(),
                instance_type: (*instance_type).to_owned(),
                private_ip: None,
                is_protected: false,
                is_unreachable: false,
                is_healthy: None,
                traffic: None,
            }),
        };
        types.iter().enumerate().map(seen).collect()
    }

    fn yuan(amount: f64) -> Option<Price> {
        Some(Price { amount, currency: "CNY".to_owned() })
    }

    #[test]
    fn a_price_is_asked_for_again_after_hours_and_outlives_a_failure() {
        let board = PriceBoard::default();
        let wanted: BTreeSet<Priced> = [priced("ecs.c7.large"), priced("ecs.g7.large")].into();
        let (noon, later) = (at("2026-01-02T12:00:00Z"), at("2026-01-02T18:00:00Z"));
        assert_eq!(board.due(&wanted, noon).len(), 2);
        board.keep(priced("ecs.c7.large"), yuan(0.5), noon);
        board.keep(priced("ecs.g7.large"), None, noon);
        assert!(board.due(&wanted, at("2026-01-02T17:59:59Z")).is_empty());
        assert_eq!(board.due(&wanted, later).len(), 2);
        // A clock that was ahead keeps nobody waiting.
        assert_eq!(board.due(&wanted, at("2026-01-02T11:00:00Z")).len(), 2);
        board.keep(priced("ecs.c7.large"), None, later);
        let seen = instances(&["ecs.c7.large", "ecs.g7.large", "ecs.c7.large"]);
        let cost = board.cost(&seen).expect("a price is known");
        let expected =
            HourlyCost { amount: 1.0, currency: "CNY".to_owned(), priced: 2, unpriced: 1 };
        assert_eq!(cost, expected);
    }

    #[test]
    fn base_instances_and_other_currencies_are_in_no_sum() {
        let board = PriceBoard::default();
        let now = at("2026-01-02T12:00:00Z");
        let mut seen = instances(&["ecs.c7.large", "ecs.c7.large", "ecs.g7.large"]);
        assert_eq!(board.cost(&seen), None);
        board.keep(priced("ecs.c7.large"), yuan(0.5), now);
        let dollar = Price { amount: 9.0, currency: "USD".to_owned() };
        board.keep(priced("ecs.g7.large"), Some(dollar), now);
        seen[0].ownership = Ownership::Base;
        let cost = board.cost(&seen).expect("a price is known");
        assert_eq!((cost.amount, cost.priced, cost.unpriced), (0.5, 1, 1));
    }

    #[test]
    fn a_round_asks_for_a_few() {
        let wanted: BTreeSet<Priced> =
            (0..50).map(|n| priced(&format!("ecs.c{n}.large"))).collect();
        let due = PriceBoard::default().due(&wanted, at("2026-01-02T12:00:00Z"));
        assert_eq!(due.len(), ASKED_AT_ONCE);
    }
}
