//! The provider against the emulator: the contract that every provider keeps.

use std::sync::Arc;
use std::time::Duration;

use aliyun::credentials::KeyPair;
use aliyun::{Ecs, Settings, Signature, Timeouts};
use cloud::conformance::{self, Rig};
use cloud::{ClientToken, Clock, Launch, LaunchSpec, ManualClock, Tags};
use ecs_emulator::{Emulator, Fault, FaultKind, World};

/// The emulator and a provider account on it.
#[derive(Debug)]
struct EcsRig {
    emulator: Emulator,
    clock: ManualClock,
    ecs: Ecs,
}

impl EcsRig {
    async fn new(signature: Signature) -> EcsRig {
        let clock = ManualClock::at("2026-01-02T12:00:00Z".parse().expect("a valid time"));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let emulator = Emulator::on_loopback(World::default(), shared.clone()).await.expect("up");
        let settings = Settings {
            region: "cn-hangzhou".to_owned(),
            endpoint: Some(emulator.url()),
            vpc_endpoint: false,
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
        };
        let ecs = Ecs::new(settings, shared).expect("settings that work");
        EcsRig { emulator, clock, ecs }
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
