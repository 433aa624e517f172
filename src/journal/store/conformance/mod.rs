//! The duties of every store: one suite, which each of them passes.
//!
//! `conforms!` makes a test of every function of the suite, over one kind of store.

pub(super) mod agreement;
pub(super) mod commits;
pub(super) mod leases;
pub(super) mod prune;
pub(super) mod reading;
pub(super) mod spend;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloud::{Timestamp, clock};

use super::{Durability, Fence, Held, NewRecord, Record, Scope, Seq, Store, Write, Written};
use crate::model::ReplicaId;

/// A store to be tested, and the time that passes for it.
#[async_trait]
pub(super) trait Rig: Send {
    fn store(&self) -> Arc<dyn Store>;

    /// The time on this side.
    fn now(&self) -> Timestamp;

    /// Closes the store, and opens the same records anew as another process would.
    async fn reopen(&mut self);

    /// Lets so much time pass for the store.
    async fn pass(&mut self, time: Duration);
}

/// A life that nothing in a test outlasts.
pub(super) const LONG: Duration = Duration::from_secs(3600);
/// A life that is waited out, in real time where the store has a clock of its own.
pub(super) const SHORT: Duration = Duration::from_millis(400);
/// And a little more, for whoever reads another clock.
pub(super) const PAST_SHORT: Duration = Duration::from_millis(500);

/// When the tests begin, where the time is theirs to say.
pub(super) fn start() -> Timestamp {
    "2026-01-02T12:00:00Z".parse().expect("a valid time")
}

pub(super) fn secs_after_start(secs: u64) -> Timestamp {
    clock::after(start(), Duration::from_secs(secs))
}

pub(super) fn replica(name: &str) -> ReplicaId {
    name.into()
}

/// The scope of a fleet of that name.
pub(super) fn fleet(name: &str) -> Scope {
    Scope::Fleet(name.into())
}

/// The scope of an account of that name.
pub(super) fn account(name: &str) -> Scope {
    Scope::Account(name.into())
}

pub(super) fn record(scope: &Scope, body: &str) -> NewRecord {
    let scope = scope.clone();
    NewRecord { scope, at: start(), kind: "note", v: 1, body: body.to_owned() }
}

/// A write of records, by scope and body, that needs no lease.
pub(super) fn append(records: &[(&Scope, &str)]) -> Write {
    let records = records.iter().map(|(scope, body)| record(scope, body)).collect();
    Write { records, ..Write::default() }
}

/// A write of one record under a lease.
pub(super) fn under(held: &Held, body: &str) -> Write {
    Write { lease: Some(held.clone()), ..append(&[(&held.scope, body)]) }
}

pub(super) async fn commit(rig: &dyn Rig, me: &str, writes: &[Write]) -> Vec<Written> {
    let me = replica(me);
    rig.store().commit(&me, writes, Durability::Durable, rig.now()).await.expect("committed")
}

/// Commits one write that must be accepted, and returns the places of its records.
pub(super) async fn committed(rig: &dyn Rig, write: Write) -> Vec<Seq> {
    match commit(rig, "a", &[write]).await.as_slice() {
        [Written::Done(places)] => places.clone(),
        other => panic!("not accepted: {other:?}"),
    }
}

pub(super) async fn lives(rig: &dyn Rig, me: &str, ttl: Duration) -> Vec<String> {
    let living = rig.store().heartbeat(&replica(me), ttl, rig.now()).await.expect("a heartbeat");
    living.into_iter().map(|replica| replica.0).collect()
}

pub(super) async fn claim(rig: &dyn Rig, me: &str, wanted: &[Scope]) -> Vec<Held> {
    claim_some(rig, me, wanted, usize::MAX, Duration::ZERO).await
}

pub(super) async fn claim_some(
    rig: &dyn Rig,
    me: &str,
    wanted: &[Scope],
    most: usize,
    free_for: Duration,
) -> Vec<Held> {
    let (store, me) = (rig.store(), replica(me));
    store.claim(&me, wanted, most, free_for, rig.now()).await.expect("a claim")
}

pub(super) async fn held(rig: &dyn Rig, me: &str) -> Vec<Held> {
    rig.store().held(&replica(me), rig.now()).await.expect("known")
}

/// The bodies of a scope's records, in order.
pub(super) async fn bodies(rig: &dyn Rig, scope: &Scope) -> Vec<String> {
    texts(rig.store().since(scope, 0).await.expect("read"))
}

pub(super) fn texts(records: Vec<Record>) -> Vec<String> {
    records.into_iter().map(|record| record.body).collect()
}

/// Makes a test of every function of the suite over the rig that `$rig` makes.
macro_rules! conforms {
    ($rig:expr) => {
        $crate::journal::store::conformance::conforms! { $rig;
            commits:
                records_come_back_in_the_order_of_their_places,
                a_refused_write_records_nothing_and_holds_up_no_other,
                an_empty_write_is_done,
                what_was_recorded_is_there_after_a_restart,
                places_become_visible_in_their_order,
                a_store_that_is_closed_refuses_everything;
            leases:
                the_living_are_listed_until_their_time_is_up,
                a_claim_takes_what_nobody_holds_in_the_order_of_the_wish,
                only_the_living_claim_and_hold,
                what_a_dead_replica_held_is_taken_over_under_a_new_fence,
                a_stale_holder_records_nothing,
                one_that_lives_again_has_what_nobody_took,
                a_scope_is_taken_only_when_it_has_been_free_for_long_enough,
                what_is_released_is_free_and_only_the_holder_releases,
                one_that_departs_leaves_everything_at_once,
                replicas_that_claim_at_once_get_each_scope_once;
            spend:
                a_limit_holds_for_the_fleet_and_for_the_account,
                a_limit_counts_what_is_later_than_its_since,
                a_correction_replaces_what_the_intent_took,
                writes_of_one_commit_count_for_each_other,
                what_is_spent_is_told_by_fleet,
                a_limit_is_kept_however_many_ask_at_once;
            reading:
                a_snapshot_stands_for_the_records_that_it_covers,
                an_older_snapshot_does_not_replace_a_newer_one,
                records_are_found_by_scope_time_and_kind,
                scopes_are_those_with_a_record_or_a_snapshot,
                inputs_are_kept_by_decision;
            prune:
                what_is_too_old_goes_and_ticks_go_first,
                what_is_too_much_goes_the_oldest_first,
                what_goes_for_its_age_makes_room,
                what_no_snapshot_covers_stays,
                what_goes_in_several_parts_goes_completely;
        }
    };
    ($rig:expr; $($group:ident: $($test:ident),+;)+) => {$($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            let mut rig = $rig.await;
            $crate::journal::store::conformance::$group::$test(&mut rig).await;
        }
    )+)+};
}
pub(super) use conforms;
