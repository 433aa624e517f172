//! The contract of a provider as a test: every provider passes this suite, against its own
//! emulator.
//!
//! It panics with a sentence where the contract is broken, as tests do.

use std::future::Future;
use std::time::Duration;

use uuid::Uuid;

use crate::{
    Class, ClientToken, Clock, Deadline, ErrorKind, InstanceId, Launch, ManualClock, Mutate,
    Observe, Permit, Status, SystemClock, TagFilter, Tags, Terminate, clock,
};

/// A provider with the cloud that it talks to, on a manual clock.
pub trait Rig: Send + Sync {
    fn observe(&self) -> &dyn Observe;
    fn mutate(&self) -> &dyn Mutate;
    /// The clock of provider and cloud.
    fn clock(&self) -> &ManualClock;
    /// A launch that this cloud can carry out.
    fn launch(&self, token: ClientToken, amount: u32, tags: Tags) -> Launch;
    /// After this long a launched instance is Running.
    fn boot(&self) -> Duration;
    /// The next `times` answers to a launch or a deletion get lost after the effect.
    fn lose_answers(&self, times: u32);
    /// The next `times` launches are refused for this reason, without an effect.
    fn refuse_launches(&self, why: Refusal, times: u32);
    /// The next `times` stops and the next `times` deletions of several instances are refused as a
    /// whole, as because of one of them.
    fn refuse_batches(&self, times: u32);
    /// Calls that have reached the cloud.
    fn calls(&self) -> usize;
}

/// Why a launch is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// For asking too often.
    Throttled,
    /// These credentials may not launch.
    Forbidden,
}

/// Checks everything.
pub async fn keeps_the_contract(rig: &dyn Rig) {
    lists_every_page(rig).await;
    launches_once_per_token(rig).await;
    survives_lost_answers(rig).await;
    stays_in_doubt(rig).await;
    tags_are_read_back(rig).await;
    finds_a_tag_with_any_value(rig).await;
    reports_each_instance(rig).await;
    a_bad_batch_is_undone_one_by_one(rig).await;
    a_run_out_permit_sends_nothing(rig).await;
    a_lease_that_ends_during_a_wait_sends_nothing(rig).await;
    probes_change_nothing(rig).await;
    prices_are_told(rig).await;
}

fn permit(rig: &dyn Rig, valid: Duration) -> Permit {
    leased(rig, &Deadline::fixed(clock::after(rig.clock().now(), valid)))
}

#[expect(clippy::disallowed_methods, reason = "the suite stands in for the journal")]
fn leased(rig: &dyn Rig, lease: &Deadline) -> Permit {
    let latest = clock::after(rig.clock().now(), Duration::from_secs(3_600));
    Permit::after_commit(Uuid::new_v4(), lease.clone(), latest)
}

fn long(rig: &dyn Rig) -> Permit {
    permit(rig, Duration::from_secs(3_600))
}

fn tags(group: &str) -> Tags {
    [("suite".to_owned(), "conformance".to_owned()), ("group".to_owned(), group.to_owned())].into()
}

fn filter(group: &str) -> TagFilter {
    TagFilter::of(("suite", "conformance"), ("group", group), &[])
}

fn token() -> ClientToken {
    Uuid::new_v4().into()
}

/// Waits for `work`; whenever somebody sleeps on the clock meanwhile, a second passes.
pub async fn patiently<T>(rig: &dyn Rig, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = SystemClock.sleep(Duration::from_millis(1)) => {
                if rig.clock().sleepers() > 0 {
                    rig.clock().advance(Duration::from_secs(1));
                }
            }
        }
    }
}

async fn launch(rig: &dyn Rig, amount: u32, group: &str) -> Vec<InstanceId> {
    let launch = rig.launch(token(), amount, tags(group));
    let ids = patiently(rig, rig.mutate().launch(&long(rig), &launch)).await;
    ids.expect("a launch that the cloud can carry out")
}

async fn listed(rig: &dyn Rig, group: &str) -> Vec<crate::Instance> {
    patiently(rig, rig.observe().instances_by_tags(&filter(group))).await.expect("a listing")
}

async fn lists_every_page(rig: &dyn Rig) {
    launch(rig, 100, "many").await;
    launch(rig, 35, "many").await;
    let found = listed(rig, "many").await;
    assert_eq!(found.len(), 135, "every page is read, the last one too");
    let ids: Vec<InstanceId> = found.iter().map(|instance| instance.id.clone()).collect();
    let by_id = patiently(rig, rig.observe().instances_by_ids(&ids)).await.expect("by id");
    assert_eq!(by_id.len(), 135, "ids are asked for in batches");
    let calls = rig.calls();
    let none = rig.observe().instances_by_ids(&[]).await.expect("no ids");
    assert!(none.is_empty() && rig.calls() == calls, "no ids send nothing and mean nothing");
}

async fn launches_once_per_token(rig: &dyn Rig) {
    let launch = rig.launch(token(), 3, tags("once"));
    let permit = long(rig);
    let first = patiently(rig, rig.mutate().launch(&permit, &launch)).await.expect("launched");
    let again = patiently(rig, rig.mutate().launch(&permit, &launch)).await.expect("repeated");
    assert_eq!(first, again, "a repeated token is answered with the first answer");
    assert_eq!(listed(rig, "once").await.len(), 3);
    let other = Launch { amount: 4, ..launch };
    let error = patiently(rig, rig.mutate().launch(&permit, &other)).await.expect_err("a misuse");
    assert_eq!(error.class, Class::Ambiguous, "other parameters under one token: {error}");
    assert!(matches!(error.kind, ErrorKind::TokenMismatch { .. }), "{error}");
    assert_eq!(error.attempts, 1, "it is not repeated: {error}");
    assert_eq!(listed(rig, "once").await.len(), 3);
}

async fn survives_lost_answers(rig: &dyn Rig) {
    rig.lose_answers(2);
    let ids = launch(rig, 2, "lost").await;
    assert_eq!(listed(rig, "lost").await.len(), 2, "a lost answer launches nothing twice");
    rig.clock().advance(rig.boot());
    let results = patiently(rig, rig.mutate().delete(&long(rig), &ids, Terminate::Force)).await;
    let results = results.expect("per instance");
    assert!(results.iter().all(|result| result.result.is_ok()), "{results:?}");
    assert!(listed(rig, "lost").await.is_empty());
}

async fn stays_in_doubt(rig: &dyn Rig) {
    for why in [Refusal::Throttled, Refusal::Forbidden] {
        let group = format!("doubt {why:?}");
        let launch = rig.launch(token(), 2, tags(&group));
        begin_a_minute(rig);
        rig.lose_answers(1);
        rig.refuse_launches(why, 1);
        let permit = long(rig);
        let error = patiently(rig, rig.mutate().launch(&permit, &launch)).await;
        let error = error.expect_err("the answer was lost, and the repeat refused");
        assert_eq!(error.class, Class::Ambiguous, "it may have happened, and did: {error}");
        let found = listed(rig, &group).await;
        assert_eq!(found.len(), 2, "{why:?}");
        // The provider may have closed the action until its minute turns.
        rig.clock().advance(Duration::from_secs(70));
        let permit = long(rig);
        let ids = patiently(rig, rig.mutate().launch(&permit, &launch)).await.expect("repeated");
        assert!(found.iter().all(|instance| ids.contains(&instance.id)), "the first ids: {ids:?}");
        assert_eq!(listed(rig, &group).await.len(), 2, "nothing is bought twice");
        // The loss was announced for deletions, too: spend it.
        let permit = long(rig);
        patiently(rig, rig.mutate().delete(&permit, &ids, Terminate::Force)).await.expect("sent");
    }
}

/// Moves the clock to the first second of a minute.
fn begin_a_minute(rig: &dyn Rig) {
    let into = rig.clock().now().timestamp().rem_euclid(60);
    rig.clock().advance(Duration::from_secs(u64::try_from(61 - into).expect("1 to 61")));
}

async fn tags_are_read_back(rig: &dyn Rig) {
    let ids = launch(rig, 60, "tagged").await;
    let more: Tags = [("colour".to_owned(), "a b+c*~/蓝".to_owned())].into();
    patiently(rig, rig.mutate().tag(&long(rig), &ids, &more)).await.expect("tagged");
    for instance in listed(rig, "tagged").await {
        assert_eq!(instance.tags["colour"], "a b+c*~/蓝", "tags survive every encoding");
        assert_eq!(instance.tags["group"], "tagged", "and do not replace others");
    }
}

async fn finds_a_tag_with_any_value(rig: &dyn Rig) {
    let mut marked = tags("any");
    marked.insert("shade".to_owned(), "light".to_owned());
    let mut ids = Vec::new();
    for shade in ["light", "dark", ""] {
        marked.insert("shade".to_owned(), shade.to_owned());
        let launch = rig.launch(token(), 1, marked.clone());
        let permit = long(rig);
        ids.extend(patiently(rig, rig.mutate().launch(&permit, &launch)).await.expect("launched"));
    }
    launch(rig, 1, "any").await;
    let filter = TagFilter::of_any(("suite", "conformance"), "shade");
    let found = patiently(rig, rig.observe().instances_by_tags(&filter)).await.expect("a listing");
    let mut found: Vec<InstanceId> = found.into_iter().map(|instance| instance.id).collect();
    found.sort();
    ids.sort();
    assert_eq!(found, ids, "every value counts, and the absence of the key does not");
}

async fn a_bad_batch_is_undone_one_by_one(rig: &dyn Rig) {
    let ids = launch(rig, 3, "batch").await;
    rig.clock().advance(rig.boot());
    rig.refuse_batches(1);
    let permit = long(rig);
    let results = patiently(rig, rig.mutate().stop(&permit, &ids)).await.expect("per instance");
    assert!(results.iter().all(|result| result.result.is_ok()), "{results:?}");
    let delete = rig.mutate().delete(&permit, &ids, Terminate::Force);
    let results = patiently(rig, delete).await.expect("per instance");
    assert!(results.iter().all(|result| result.result.is_ok()), "{results:?}");
    assert_eq!(listed(rig, "batch").await, []);
}

async fn reports_each_instance(rig: &dyn Rig) {
    let mut ids = launch(rig, 2, "each").await;
    rig.clock().advance(rig.boot());
    let unknown = InstanceId::from("i-does-not-exist");
    ids.insert(1, unknown.clone());

    let results = patiently(rig, rig.mutate().stop(&long(rig), &ids)).await.expect("per instance");
    let failed: Vec<&InstanceId> =
        results.iter().filter(|r| r.result.is_err()).map(|r| &r.id).collect();
    assert_eq!((results.len(), failed), (3, vec![&unknown]), "a bad id fails alone");

    let permit = long(rig);
    let delete = rig.mutate().delete(&permit, &ids, Terminate::StopThenDelete);
    let results = patiently(rig, delete).await.expect("per instance");
    for result in results.iter().filter(|result| result.id != unknown) {
        let class = result.result.as_ref().map_err(|error| error.class);
        assert!(matches!(class, Ok(()) | Err(Class::Conflict)), "{result:?}");
    }
    rig.clock().advance(Duration::from_secs(60));
    let stopped = listed(rig, "each").await;
    assert!(stopped.iter().all(|instance| instance.status == Status::Stopped), "{stopped:?}");

    let permit = long(rig);
    let results = rig.mutate().delete(&permit, &ids, Terminate::StopThenDelete);
    let results = patiently(rig, results).await.expect("per instance");
    assert_eq!(results.len(), 3);
    for result in &results {
        assert_eq!(result.result, Ok(()), "deleting what is gone has reached its goal");
    }
    assert!(listed(rig, "each").await.is_empty());
}

async fn a_run_out_permit_sends_nothing(rig: &dyn Rig) {
    let permit = permit(rig, Duration::ZERO);
    let calls = rig.calls();
    let launch = rig.launch(token(), 1, tags("late"));
    let error = rig.mutate().launch(&permit, &launch).await.expect_err("too late");
    assert!(matches!(error.kind, ErrorKind::NotSent { .. }), "{error}");
    let error =
        rig.mutate().tag(&permit, &["i-1".into()], &tags("late")).await.expect_err("too late");
    assert_eq!(error.class, Class::Permanent);
    assert_eq!(rig.calls(), calls, "nothing is sent at or after send_before");
}

async fn a_lease_that_ends_during_a_wait_sends_nothing(rig: &dyn Rig) {
    // Near its end the provider's minute turns within anybody's patience: the call waits for it.
    begin_a_minute(rig);
    rig.clock().advance(Duration::from_secs(55));
    rig.refuse_launches(Refusal::Throttled, 1);
    let launch = rig.launch(token(), 1, tags("lease"));
    let lease = Deadline::moving(clock::after(rig.clock().now(), Duration::from_secs(3_600)));
    let permit = leased(rig, &lease);
    let calls = rig.calls();
    let work = rig.mutate().launch(&permit, &launch);
    tokio::pin!(work);
    // It is refused once; whatever it waits for then, its lease is lost meanwhile.
    let early = tokio::select! {
        biased;
        done = &mut work => Some(done),
        () = until(|| rig.calls() > calls && rig.clock().sleepers() > 0) => None,
    };
    assert_eq!(early, None, "it waits");
    lease.end();
    let error = patiently(rig, work).await.expect_err("the lease is lost");
    assert!(matches!(error.kind, ErrorKind::NotSent { .. }), "{error}");
    assert_eq!(rig.calls(), calls + 1, "nothing is sent after the end of the lease");
    rig.clock().advance(Duration::from_secs(70));
    assert_eq!(listed(rig, "lease").await, []);
}

/// Returns once `condition` holds.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        SystemClock.sleep(Duration::from_millis(1)).await;
    }
}

async fn probes_change_nothing(rig: &dyn Rig) {
    patiently(rig, rig.observe().probe_list()).await.expect("listing is permitted");
    let launch = rig.launch(token(), 5, tags("probe"));
    patiently(rig, rig.observe().probe_launch(&launch)).await.expect("it would be accepted");
    assert!(listed(rig, "probe").await.is_empty(), "a probe launches nothing");
    let wrong = Launch { vswitch: "vsw-does-not-exist".to_owned(), ..launch };
    let error =
        patiently(rig, rig.observe().probe_launch(&wrong)).await.expect_err("no such network");
    assert_eq!(error.class, Class::Permanent, "{error}");
    let offers = patiently(rig, rig.observe().offers(&wrong.instance_type)).await.expect("offers");
    assert!(!offers.is_empty());
}

async fn prices_are_told(rig: &dyn Rig) {
    let instance_type = rig.launch(token(), 1, tags("price")).instance_type;
    let offers = patiently(rig, rig.observe().offers(&instance_type)).await.expect("offers");
    for offer in &offers {
        let price = rig.observe().price_per_hour(&offer.instance_type, &offer.zone);
        let price = patiently(rig, price).await.expect("a price");
        assert!(price.amount.is_finite() && price.amount > 0.0, "{price:?}");
        assert!(!price.currency.is_empty(), "{price:?}");
    }
    let nothing = rig.observe().price_per_hour("no.such.type", &offers[0].zone);
    patiently(rig, nothing).await.expect_err("what does not exist has no price");
}
