//! Leases: who lives, who holds what, and what a stale holder may not do.

use super::*;

fn scopes(names: &[&str]) -> Vec<Scope> {
    names.iter().map(|name| fleet(name)).collect()
}

fn held_scopes(held: &[Held]) -> Vec<Scope> {
    held.iter().map(|held| held.scope.clone()).collect()
}

pub(crate) async fn the_living_are_listed_until_their_time_is_up(rig: &mut dyn Rig) {
    assert_eq!(lives(rig, "b", LONG).await, ["b"]);
    assert_eq!(lives(rig, "a", LONG).await, ["a", "b"]);
    assert_eq!(lives(rig, "C", LONG).await, ["C", "a", "b"]);
    lives(rig, "a", SHORT).await;
    rig.pass(PAST_SHORT).await;
    assert_eq!(lives(rig, "b", LONG).await, ["C", "b"]);
    assert_eq!(lives(rig, "a", LONG).await, ["C", "a", "b"]);
}

pub(crate) async fn a_claim_takes_what_nobody_holds_in_the_order_of_the_wish(rig: &mut dyn Rig) {
    lives(rig, "a", LONG).await;
    lives(rig, "b", LONG).await;
    let wanted = scopes(&["z", "m", "a", "k"]);
    let taken = claim_some(rig, "a", &wanted, 2, Duration::ZERO).await;
    assert_eq!(held_scopes(&taken), scopes(&["z", "m"]));
    assert!(taken.iter().all(|held| held.fence > 0), "{taken:?}");
    let rest = claim_some(rig, "b", &wanted, 9, Duration::ZERO).await;
    assert_eq!(held_scopes(&rest), scopes(&["a", "k"]));
    assert_eq!(claim(rig, "a", &wanted).await, [], "nobody claims what is held, not even itself");
    assert_eq!(claim_some(rig, "a", &scopes(&["new"]), 0, Duration::ZERO).await, []);
    let twice = claim(rig, "a", &scopes(&["n", "n"])).await;
    assert_eq!(held_scopes(&twice), scopes(&["n"]));
    assert_eq!(held_scopes(&held(rig, "a").await), scopes(&["m", "n", "z"]));
    assert_eq!(held(rig, "b").await, rest);
    // Accounts and operators are scopes like others.
    let others = claim(rig, "a", &[account("acme"), Scope::Operator]).await;
    assert_eq!(held_scopes(&others), [account("acme"), Scope::Operator]);
}

pub(crate) async fn only_the_living_claim_and_hold(rig: &mut dyn Rig) {
    let wanted = scopes(&["web"]);
    assert_eq!(claim(rig, "a", &wanted).await, []);
    lives(rig, "a", LONG).await;
    assert_eq!(claim(rig, "a", &wanted).await.len(), 1);
    lives(rig, "a", SHORT).await;
    rig.pass(PAST_SHORT).await;
    assert_eq!(held(rig, "a").await, []);
    assert_eq!(claim(rig, "a", &scopes(&["web", "api"])).await, []);
}

pub(crate) async fn what_a_dead_replica_held_is_taken_over_under_a_new_fence(rig: &mut dyn Rig) {
    let wanted = scopes(&["web"]);
    lives(rig, "a", LONG).await;
    lives(rig, "b", LONG).await;
    let mut fence = claim(rig, "a", &wanted).await[0].fence;
    for (holder, other) in [("a", "b"), ("b", "a"), ("a", "b")] {
        assert_eq!(claim(rig, other, &wanted).await, [], "{holder} lives");
        lives(rig, holder, SHORT).await;
        rig.pass(PAST_SHORT).await;
        let taken = claim(rig, other, &wanted).await;
        assert!(taken[0].fence > fence, "{taken:?} after {fence}");
        fence = taken[0].fence;
        assert_eq!(lives(rig, holder, LONG).await, ["a", "b"]);
        assert_eq!(held(rig, holder).await, [], "it was taken over meanwhile");
        assert_eq!(held(rig, other).await, taken);
    }
}

pub(crate) async fn a_stale_holder_records_nothing(rig: &mut dyn Rig) {
    let wanted = scopes(&["web"]);
    lives(rig, "a", LONG).await;
    lives(rig, "b", LONG).await;
    let old = claim(rig, "a", &wanted).await.remove(0);
    let written = commit(rig, "a", &[under(&old, "held")]).await;
    assert!(matches!(written[..], [Written::Done(_)]), "{written:?}");
    assert_eq!(commit(rig, "b", &[under(&old, "not b's")]).await, [Written::LeaseLost]);

    lives(rig, "a", SHORT).await;
    rig.pass(PAST_SHORT).await;
    assert_eq!(commit(rig, "a", &[under(&old, "dead")]).await, [Written::LeaseLost]);
    let new = claim(rig, "b", &wanted).await.remove(0);
    lives(rig, "a", LONG).await;
    assert_eq!(commit(rig, "a", &[under(&old, "taken over")]).await, [Written::LeaseLost]);
    assert_eq!(commit(rig, "a", &[under(&new, "b's fence")]).await, [Written::LeaseLost]);
    assert_eq!(commit(rig, "b", &[under(&old, "old fence")]).await, [Written::LeaseLost]);
    let written = commit(rig, "b", &[under(&new, "new holder")]).await;
    assert!(matches!(written[..], [Written::Done(_)]), "{written:?}");
    assert_eq!(bodies(rig, &fleet("web")).await, ["held", "new holder"]);
}

pub(crate) async fn one_that_lives_again_has_what_nobody_took(rig: &mut dyn Rig) {
    lives(rig, "a", LONG).await;
    let taken = claim(rig, "a", &scopes(&["api", "web"])).await;
    lives(rig, "a", SHORT).await;
    rig.pass(PAST_SHORT).await;
    lives(rig, "b", LONG).await;
    assert_eq!(claim(rig, "b", &scopes(&["api"])).await.len(), 1);
    lives(rig, "a", LONG).await;
    assert_eq!(held(rig, "a").await, taken[1..]);
    assert_eq!(claim(rig, "b", &scopes(&["web"])).await, []);
}

pub(crate) async fn a_scope_is_taken_only_when_it_has_been_free_for_long_enough(rig: &mut dyn Rig) {
    let wanted = scopes(&["web"]);
    lives(rig, "a", LONG).await;
    lives(rig, "b", LONG).await;
    let taken = claim_some(rig, "a", &wanted, 1, LONG).await;
    assert_eq!(taken.len(), 1, "what was never held has been free for ever");
    // Given up:
    rig.store().release(&replica("a"), &wanted, rig.now()).await.expect("released");
    assert_eq!(claim_some(rig, "b", &wanted, 1, LONG).await, []);
    rig.pass(PAST_SHORT).await;
    assert_eq!(claim_some(rig, "b", &wanted, 1, LONG).await, []);
    assert_eq!(claim_some(rig, "b", &wanted, 1, SHORT).await.len(), 1);
    // Left by death:
    lives(rig, "b", SHORT).await;
    rig.pass(PAST_SHORT).await;
    assert_eq!(claim_some(rig, "a", &wanted, 1, LONG).await, []);
    rig.pass(PAST_SHORT).await;
    // Giving up what was free already does not make it younger.
    rig.store().release(&replica("b"), &wanted, rig.now()).await.expect("released");
    assert_eq!(claim_some(rig, "a", &wanted, 1, SHORT).await.len(), 1);
}

pub(crate) async fn what_is_released_is_free_and_only_the_holder_releases(rig: &mut dyn Rig) {
    lives(rig, "a", LONG).await;
    lives(rig, "b", LONG).await;
    let taken = claim(rig, "a", &scopes(&["api", "web"])).await;
    let release = |me: &'static str, names: &[&str]| {
        let (store, scopes, now) = (rig.store(), scopes(names), rig.now());
        async move { store.release(&replica(me), &scopes, now).await.expect("released") }
    };
    release("b", &["api", "web"]).await;
    assert_eq!(held(rig, "a").await, taken);
    release("a", &["web", "unknown"]).await;
    assert_eq!(held(rig, "a").await, taken[..1]);
    assert_eq!(commit(rig, "a", &[under(&taken[1], "given up")]).await, [Written::LeaseLost]);
    let again = claim(rig, "a", &scopes(&["web"])).await;
    assert!(again[0].fence > taken[1].fence, "a fence is for one holding");
    assert_eq!(commit(rig, "a", &[under(&taken[1], "old fence")]).await, [Written::LeaseLost]);
}

pub(crate) async fn one_that_departs_leaves_everything_at_once(rig: &mut dyn Rig) {
    lives(rig, "a", LONG).await;
    lives(rig, "b", LONG).await;
    let taken = claim(rig, "a", &scopes(&["api", "web"])).await;
    rig.store().depart(&replica("a"), rig.now()).await.expect("departed");
    assert_eq!(held(rig, "a").await, []);
    assert_eq!(commit(rig, "a", &[under(&taken[0], "gone")]).await, [Written::LeaseLost]);
    assert_eq!(lives(rig, "b", LONG).await, ["b"]);
    assert_eq!(claim(rig, "b", &scopes(&["api"])).await.len(), 1);
    lives(rig, "a", LONG).await;
    assert_eq!(held(rig, "a").await, [], "departing is not dying");
}

pub(crate) async fn replicas_that_claim_at_once_get_each_scope_once(rig: &mut dyn Rig) {
    const SCOPES: usize = 24;
    let wanted: Vec<Scope> = (0..SCOPES).map(|n| fleet(&format!("fleet-{n}"))).collect();
    let names = ["a", "b", "c"];
    for name in names {
        lives(rig, name, LONG).await;
    }
    let claimants: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(n, name)| {
            let (store, me, now) = (rig.store(), replica(name), rig.now());
            let mut wanted = wanted.clone();
            wanted.rotate_left(n * 3);
            tokio::spawn(async move {
                for _ in 0..SCOPES {
                    store.claim(&me, &wanted, 3, Duration::ZERO, now).await.expect("a claim");
                }
            })
        })
        .collect();
    for claimant in claimants {
        claimant.await.expect("no panic");
    }
    let mut all = Vec::new();
    for name in names {
        let held = held(rig, name).await;
        assert!(held.iter().all(|held| held.fence == 1), "{held:?}");
        all.extend(held_scopes(&held));
    }
    let mut wanted = wanted;
    wanted.sort_unstable();
    all.sort_unstable();
    assert_eq!(all, wanted);
}
