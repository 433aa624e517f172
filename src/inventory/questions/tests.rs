//! Questions by id, of a cloud that answers when the test says so.

use async_trait::async_trait;
use cloud::{Launch, ManualClock, Offer, Pages, Price, Status, TagFilter, Tags, Urgency};
use tokio::sync::Semaphore;

use super::*;

/// Knows every id, and answers one call for each permit.
#[derive(Debug)]
struct Oracle {
    asked: Mutex<Vec<usize>>,
    answers: Semaphore,
    refuses: bool,
}

#[async_trait]
impl Observe for Oracle {
    async fn instances_by_ids(&self, ids: &[InstanceId]) -> Result<Vec<Instance>, Error> {
        self.asked.lock().expect("no panic").push(ids.len());
        self.answers.acquire().await.expect("never closed").forget();
        if self.refuses {
            return Err(died());
        }
        Ok(ids.iter().map(instance).collect())
    }

    async fn listing(&self, _: &TagFilter, _: Urgency, _: &Pages) -> Result<Vec<Instance>, Error> {
        unreachable!("nobody lists")
    }

    fn pages_per_second(&self) -> f64 {
        5.0
    }

    async fn probe_list(&self) -> Result<(), Error> {
        unreachable!("nobody probes")
    }

    async fn probe_launch(&self, _: &Launch) -> Result<(), Error> {
        unreachable!("nobody probes")
    }

    async fn probe_end(&self, _: &InstanceId, _: cloud::Terminate) -> Result<(), Error> {
        unreachable!("nobody probes")
    }

    async fn excess(&self) -> Result<Vec<&'static str>, Error> {
        unreachable!("nobody probes")
    }

    async fn backends(&self, _: &cloud::BackendGroup) -> Result<cloud::Backends, Error> {
        unreachable!("nobody asks for backends")
    }

    async fn offers(&self, _: &str) -> Result<Vec<Offer>, Error> {
        unreachable!("nobody buys")
    }

    async fn price_per_hour(&self, _: &str, _: &str) -> Result<Price, Error> {
        unreachable!("nobody buys")
    }
}

fn instance(id: &InstanceId) -> Instance {
    Instance {
        id: id.clone(),
        status: Status::Running,
        created_at: Timestamp::MIN_UTC,
        zone: String::new(),
        instance_type: String::new(),
        vswitch: None,
        private_ip: None,
        tags: Tags::new(),
        deletion_protection: false,
        locks: Vec::new(),
    }
}

struct Rig {
    clock: ManualClock,
    oracle: Arc<Oracle>,
    questions: Arc<Questions>,
}

impl Rig {
    fn new(apart: Duration, refuses: bool) -> Rig {
        let clock = ManualClock::at("2026-01-02T12:00:00Z".parse().expect("a valid time"));
        let answers = Semaphore::new(0);
        let oracle = Arc::new(Oracle { asked: Mutex::default(), answers, refuses });
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let questions = Arc::new(Questions::new(oracle.clone(), shared, apart));
        Rig { clock, oracle, questions }
    }

    /// Fleet `n` asks for two ids; returns the ids that it was told of.
    async fn asks(&self, n: usize) -> tokio::task::JoinHandle<Result<Vec<String>, Error>> {
        let questions = self.questions.clone();
        let task = tokio::spawn(async move {
            let ids = [format!("i-{n}a"), format!("i-{n}b")].map(InstanceId);
            let found = questions.ask(&ids).await?;
            Ok(found.into_iter().map(|instance| instance.id.0).collect())
        });
        self.settle().await;
        task
    }

    async fn settle(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    fn asked(&self) -> Vec<usize> {
        self.oracle.asked.lock().expect("no panic").clone()
    }
}

#[tokio::test]
async fn what_is_asked_while_a_call_is_under_way_goes_out_with_the_next_one() {
    let rig = Rig::new(Duration::ZERO, false);
    let mut fleets = Vec::new();
    for n in 0..50 {
        fleets.push(rig.asks(n).await);
    }
    assert_eq!(rig.asked(), [2], "the first does not wait for company");
    rig.oracle.answers.add_permits(2);
    for (n, fleet) in fleets.into_iter().enumerate() {
        let told = fleet.await.expect("it ends").expect("answered");
        assert_eq!(told, [format!("i-{n}a"), format!("i-{n}b")], "its own and no others");
    }
    assert_eq!(rig.asked(), [2, 98]);
}

#[tokio::test]
async fn a_failure_is_told_to_all_who_asked_and_the_next_call_is_made_all_the_same() {
    let rig = Rig::new(Duration::ZERO, true);
    let fleets = [rig.asks(1).await, rig.asks(2).await, rig.asks(3).await];
    rig.oracle.answers.add_permits(2);
    for fleet in fleets {
        fleet.await.expect("it ends").expect_err("refused");
    }
    assert_eq!(rig.asked(), [2, 4]);
}

#[tokio::test]
async fn a_question_that_is_given_up_takes_no_other_with_it() {
    let rig = Rig::new(Duration::ZERO, false);
    let (first, second) = (rig.asks(1).await, rig.asks(2).await);
    first.abort();
    drop(first.await);
    rig.oracle.answers.add_permits(2);
    assert_eq!(second.await.expect("it ends").expect("answered"), ["i-2a", "i-2b"]);
}

#[tokio::test]
async fn questions_of_those_who_look_are_apart() {
    let rig = Rig::new(Duration::from_secs(3), false);
    rig.oracle.answers.add_permits(9);
    rig.asks(1).await.await.expect("it ends").expect("answered");
    let fleets = [rig.asks(2).await, rig.asks(3).await];
    assert_eq!(rig.asked(), [2], "not within 3 s");
    rig.clock.advance(Duration::from_secs(3));
    for fleet in fleets {
        fleet.await.expect("it ends").expect("answered");
    }
    assert_eq!(rig.asked(), [2, 4], "and then together");
}
