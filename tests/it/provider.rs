//! The provider against the emulator: the contract that every provider keeps.

use std::sync::Arc;
use std::time::Duration;

use aliyun::credentials::KeyPair;
use aliyun::{Ecs, Seams, Settings, Signature, Timeouts};
use cloud::conformance::{self, Refusal, Rig};
use cloud::dice::SeededDice;
use cloud::{
    ClientToken, Clock, Deadline, Launch, LaunchSpec, ManualClock, Mutate, Observe, Permit,
    TagFilter, Tags, clock,
};
use ecs_emulator::{Emulator, Fault, FaultKind, World};
use fleetscaler::rehearse::InProcess;
use uuid::Uuid;

/// The emulator and a provider account on it.
#[derive(Debug)]
struct EcsRig {
    emulator: Arc<Emulator>,
    clock: ManualClock,
    ecs: Ecs,
}

impl EcsRig {
    /// Over a socket.
    async fn new(signature: Signature) -> EcsRig {
        let clock = noon();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let emulator = Emulator::on_loopback(World::default(), shared.clone()).await.expect("up");
        let ecs = Ecs::new(settings(&emulator, signature), shared).expect("settings that work");
        EcsRig { emulator: Arc::new(emulator), clock, ecs }
    }

    /// In this process, with these dice.
    fn embedded(signature: Signature, seed: u64) -> EcsRig {
        let clock = noon();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let emulator = Arc::new(Emulator::embedded(World::default(), shared.clone()));
        let transport = Arc::new(InProcess { emulator: emulator.clone(), clock: clock.clone() });
        let seams = Seams { transport, dice: Arc::new(SeededDice::new(seed)) };
        let settings = settings(&emulator, signature);
        let ecs = Ecs::with_seams(settings, shared, seams).expect("settings that work");
        EcsRig { emulator, clock, ecs }
    }
}

fn noon() -> ManualClock {
    ManualClock::at("2026-01-02T12:00:00Z".parse().expect("a valid time"))
}

pub(crate) fn settings(emulator: &Emulator, signature: Signature) -> Settings {
    Settings {
        region: "cn-hangzhou".to_owned(),
        endpoint: Some(emulator.url()),
        vpc_endpoint: false,
        sts_endpoint: None,
        allow_plain_http: false,
        signature,
        timeouts: Timeouts::default(),
        retry: cloud::retry::Policy::default(),
        rates: cloud::limit::Rates {
            reads: 1e4,
            writes: 1e4,
            account: 1e4,
            by_action: [].into(),
            ..Default::default()
        },
        credentials: Arc::new(KeyPair::new("testid", "testsecret")),
    }
}

impl Rig for EcsRig {
    fn observe(&self) -> &dyn cloud::Observe {
        &self.ecs
    }

    fn mutate(&self) -> &dyn cloud::Mutate {
        &self.ecs
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    fn launch(&self, token: ClientToken, amount: u32, tags: Tags) -> Launch {
        Launch {
            token,
            spec: LaunchSpec {
                image_id: "m-bp1example".to_owned(),
                security_group_ids: vec!["sg-bp1example".to_owned()],
                instance_name: None,
                host_name: None,
                key_pair_name: None,
                ram_role_name: None,
                resource_group_id: None,
                user_data: None,
                system_disk: None,
                internet_max_bandwidth_out: None,
                spot: None,
                deletion_protection: false,
                tags: Tags::new(),
            },
            instance_type: "ecs.c7.large".to_owned(),
            vswitch: "vsw-zone-h".to_owned(),
            amount,
            min_amount: 1,
            tags,
        }
    }

    fn boot(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn lose_answers(&self, times: u32) {
        for action in ["RunInstances", "DeleteInstances"] {
            self.emulator.inject(Fault::on(action, FaultKind::CutAfter).times(times));
        }
    }

    fn refuse_launches(&self, why: Refusal, times: u32) {
        let kind = match why {
            Refusal::Throttled => FaultKind::Throttle,
            Refusal::Forbidden => FaultKind::Forbidden,
        };
        self.emulator.inject(Fault::on("RunInstances", kind).times(times));
    }

    fn refuse_batches(&self, times: u32) {
        for action in ["StopInstances", "DeleteInstances"] {
            self.emulator.inject(Fault::on(action, FaultKind::BadBatch).times(times));
        }
    }

    fn calls(&self) -> usize {
        self.emulator.transcript().len()
    }
}

#[tokio::test]
async fn ecs_keeps_the_contract_of_a_provider_with_v1() {
    conformance::keeps_the_contract(&EcsRig::new(Signature::V1).await).await;
}

#[tokio::test]
async fn ecs_keeps_the_contract_of_a_provider_with_acs3() {
    conformance::keeps_the_contract(&EcsRig::new(Signature::Acs3).await).await;
}

#[tokio::test]
async fn ecs_keeps_the_contract_of_a_provider_without_a_socket() {
    for signature in [Signature::V1, Signature::Acs3] {
        conformance::keeps_the_contract(&EcsRig::embedded(signature, 1)).await;
    }
}

#[tokio::test]
async fn without_a_socket_equal_seeds_give_equal_runs() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let rig = EcsRig::embedded(Signature::V1, 7);
        rig.emulator.inject(Fault::on("RunInstances", FaultKind::ErrorAfter).times(3));
        let launch = rig.launch(Uuid::nil().into(), 5, tags("a", "web"));
        let permit = permit(&rig);
        let ids = conformance::patiently(&rig, rig.ecs.launch(&permit, &launch)).await;
        runs.push((ids.expect("launched"), rig.emulator.transcript(), rig.clock.now()));
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn a_listing_by_tags_is_complete_above_what_filters_cover() {
    let rig = EcsRig::embedded(Signature::V1, 1);
    for n in 0..1_010 {
        let fleet = if n % 100 == 0 { "db" } else { "web" };
        rig.emulator.place(&[("source", "auto"), ("fleet", fleet), ("n", &n.to_string())]);
    }
    rig.emulator.place(&[("fleet", "web")]);
    for (filter, wanted) in [
        (TagFilter::of(("source", "auto"), ("fleet", "web"), &[]), 999),
        (TagFilter::of_any(("source", "auto"), "fleet"), 1_010),
        (TagFilter::of_any(("source", "auto"), "n"), 1_010),
        (TagFilter::of(("source", "auto"), ("fleet", "none"), &[]), 0),
    ] {
        let found = conformance::patiently(&rig, rig.ecs.instances_by_tags(&filter)).await;
        assert_eq!(found.expect("a listing").len(), wanted, "{filter:?}");
    }
    assert_eq!(rig.emulator.violations(), []);
}

fn tags(source: &str, fleet: &str) -> Tags {
    [("source".to_owned(), source.to_owned()), ("fleet".to_owned(), fleet.to_owned())].into()
}

#[expect(clippy::disallowed_methods, reason = "these tests stand in for the journal")]
fn permit(rig: &EcsRig) -> Permit {
    let until = clock::after(rig.clock.now(), Duration::from_secs(600));
    Permit::after_commit(Uuid::nil(), Deadline::fixed(until), until)
}
