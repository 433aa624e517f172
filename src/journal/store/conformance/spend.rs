//! Limits on what is spent.

use uuid::Uuid;

use super::*;
use crate::journal::store::{Spend, SpendLimit, Spent, What, Whose};

fn limit(whose: Whose, what: What, most: u32) -> SpendLimit {
    SpendLimit { whose, what, since: start(), most }
}

/// A spend of the account `acme`, a second after the start.
fn spend(intent: u128, fleet: &str, launches: u32, removals: u32) -> Spend {
    Spend {
        intent: Uuid::from_u128(intent),
        at: secs_after_start(1),
        account: "acme".into(),
        fleet: fleet.into(),
        launches,
        removals,
        limits: Vec::new(),
    }
}

async fn limited(rig: &dyn Rig, spend: Spend, limits: &[SpendLimit]) -> Written {
    let spend = Some(Spend { limits: limits.to_vec(), ..spend });
    commit(rig, "a", &[Write { spend, ..Write::default() }]).await.remove(0)
}

fn done() -> Written {
    Written::Done(Vec::new())
}

fn spent(fleet: &str, launches: u32, removals: u32) -> Spent {
    Spent { fleet: fleet.into(), launches, removals }
}

async fn all_spent(rig: &dyn Rig, since: Timestamp) -> Vec<Spent> {
    rig.store().spent(&"acme".into(), since).await.expect("read")
}

pub(crate) async fn a_limit_holds_for_the_fleet_and_for_the_account(rig: &mut dyn Rig) {
    let fleets = limit(Whose::Fleet, What::Launches, 5);
    let accounts = limit(Whose::Account, What::Launches, 8);
    let both = [fleets.clone(), accounts.clone()];
    assert_eq!(limited(rig, spend(1, "web", 5, 0), &both).await, done(), "up to the limit");
    assert_eq!(limited(rig, spend(2, "web", 1, 0), &both).await, Written::Braked(fleets));
    let braked = limited(rig, spend(3, "api", 4, 0), &both).await;
    assert_eq!(braked, Written::Braked(accounts.clone()));
    assert_eq!(limited(rig, spend(4, "api", 3, 0), &both).await, done());
    let elsewhere = Spend { account: "other".into(), ..spend(5, "db", 4, 0) };
    assert_eq!(limited(rig, elsewhere, &both).await, done(), "another account's allowance");

    let removals = limit(Whose::Account, What::Removals, 2);
    let lowered = limit(Whose::Account, What::Launches, 1);
    assert_eq!(
        limited(rig, spend(6, "web", 0, 2), &[lowered, removals.clone()]).await,
        done(),
        "a removal passes no limit of launches"
    );
    let braked = limited(rig, spend(7, "api", 0, 1), std::slice::from_ref(&removals)).await;
    assert_eq!(braked, Written::Braked(removals));
}

pub(crate) async fn a_limit_counts_what_is_later_than_its_since(rig: &mut dyn Rig) {
    let early = Spend { at: start(), ..spend(1, "web", 9, 0) };
    assert_eq!(limited(rig, early, &[]).await, done());
    let two = limit(Whose::Fleet, What::Launches, 2);
    assert_eq!(limited(rig, spend(2, "web", 2, 0), std::slice::from_ref(&two)).await, done());
    let braked = limited(rig, spend(3, "web", 1, 0), std::slice::from_ref(&two)).await;
    assert_eq!(braked, Written::Braked(two.clone()));
    let later = SpendLimit { since: secs_after_start(1), ..two };
    assert_eq!(limited(rig, spend(4, "web", 2, 0), &[later]).await, done());
}

pub(crate) async fn a_correction_replaces_what_the_intent_took(rig: &mut dyn Rig) {
    let five = [limit(Whose::Account, What::Launches, 5)];
    assert_eq!(limited(rig, spend(1, "web", 5, 0), &five).await, done());
    assert_eq!(limited(rig, spend(1, "web", 2, 0), &[]).await, done(), "two of five were launched");
    assert_eq!(all_spent(rig, start()).await, [spent("web", 2, 0)]);
    assert_eq!(limited(rig, spend(2, "web", 3, 0), &five).await, done());
    // The same intent again is not counted twice.
    assert_eq!(limited(rig, spend(2, "web", 3, 0), &five).await, done());
    assert_eq!(all_spent(rig, start()).await, [spent("web", 5, 0)]);
}

pub(crate) async fn writes_of_one_commit_count_for_each_other(rig: &mut dyn Rig) {
    let three = limit(Whose::Account, What::Launches, 3);
    let write = |intent: u128, fleet: &str| {
        let spend = Spend { limits: vec![three.clone()], ..spend(intent, fleet, 2, 0) };
        Write { spend: Some(spend), ..Write::default() }
    };
    let written = commit(rig, "a", &[write(1, "web"), write(2, "api")]).await;
    assert_eq!(written, [done(), Written::Braked(three.clone())]);
    assert_eq!(all_spent(rig, start()).await, [spent("web", 2, 0)]);
}

pub(crate) async fn what_is_spent_is_told_by_fleet(rig: &mut dyn Rig) {
    for spend in [
        spend(1, "web", 2, 0),
        spend(2, "web", 1, 4),
        spend(3, "api", 0, 1),
        spend(4, "none", 0, 0),
        Spend { at: start(), ..spend(5, "early", 7, 0) },
        Spend { account: "other".into(), ..spend(6, "elsewhere", 1, 0) },
    ] {
        assert_eq!(limited(rig, spend, &[]).await, done());
    }
    assert_eq!(all_spent(rig, start()).await, [spent("api", 0, 1), spent("web", 3, 4)]);
    assert_eq!(all_spent(rig, secs_after_start(1)).await, []);
}

pub(crate) async fn a_limit_is_kept_however_many_ask_at_once(rig: &mut dyn Rig) {
    const MOST: u32 = 7;
    let limits =
        vec![limit(Whose::Account, What::Launches, MOST), limit(Whose::Fleet, What::Launches, 5)];
    let asking: Vec<_> = (0..20)
        .map(|n| {
            let (store, now) = (rig.store(), rig.now());
            let fleet = if n % 2 == 0 { "web" } else { "api" };
            let spend = Some(Spend { limits: limits.clone(), ..spend(n, fleet, 1, 0) });
            tokio::spawn(async move {
                let write = Write { spend, ..append(&[(&account("acme"), "spent")]) };
                let me = replica(&n.to_string());
                let written = store.commit(&me, &[write], Durability::Durable, now).await;
                written.expect("committed").remove(0)
            })
        })
        .collect();
    let mut accepted = 0;
    for asking in asking {
        if matches!(asking.await.expect("no panic"), Written::Done(_)) {
            accepted += 1;
        }
    }
    assert_eq!(accepted, MOST);
    let spent = all_spent(rig, start()).await;
    assert_eq!(spent.iter().map(|spent| spent.launches).sum::<u32>(), MOST);
    assert!(spent.iter().all(|spent| spent.launches <= 5), "{spent:?}");
    assert_eq!(bodies(rig, &account("acme")).await.len(), 7);
}
