//! An account at a URL, and a launch with every parameter that we ever send.

use std::sync::Arc;
use std::time::Duration;

use aliyun::credentials::KeyPair;
use aliyun::{Ecs, Settings, Signature, Timeouts};
use cloud::{
    Deadline, Launch, LaunchSpec, ManualClock, Permit, Spot, SystemDisk, Tags, Timestamp, UserData,
    clock,
};

pub(crate) fn now() -> Timestamp {
    "2026-01-02T12:00:00Z".parse().expect("a valid time")
}

pub(crate) fn settings(url: &str) -> Settings {
    Settings {
        region: "cn-hangzhou".to_owned(),
        endpoint: Some(url.to_owned()),
        vpc_endpoint: false,
        sts_endpoint: None,
        allow_plain_http: false,
        signature: Signature::V1,
        timeouts: Timeouts { read: Duration::from_millis(200), write: Duration::from_millis(200) },
        retry: cloud::retry::Policy::default(),
        rates: cloud::limit::Rates {
            reads: 1e4,
            writes: 1e4,
            account: 1e4,
            by_action: [].into(),
            ..Default::default()
        },
        credentials: Arc::new(KeyPair::new("testid", "hush")),
    }
}

/// An account whose first failed attempt is its last: the deadline is over at once.
pub(crate) fn account(url: &str, clock: &ManualClock) -> Ecs {
    let once = cloud::retry::Policy { deadline: Duration::ZERO, ..Default::default() };
    let settings = Settings { retry: once, ..settings(url) };
    Ecs::new(settings, Arc::new(clock.clone())).expect("settings that work")
}

pub(crate) fn permit() -> Permit {
    leased(&Deadline::fixed(clock::after(now(), Duration::from_secs(600))))
}

#[expect(clippy::disallowed_methods, reason = "these tests stand in for the journal")]
pub(crate) fn leased(lease: &Deadline) -> Permit {
    let latest = clock::after(now(), Duration::from_secs(600));
    Permit::after_commit(uuid::Uuid::nil(), lease.clone(), latest)
}

pub(crate) fn launch() -> Launch {
    let some = |text: &str| Some(text.to_owned());
    let tags: Tags = [("scale-fleet".to_owned(), "web".to_owned())].into();
    Launch {
        token: uuid::Uuid::nil().into(),
        spec: LaunchSpec {
            image_id: "m-1".to_owned(),
            security_group_ids: vec!["sg-1".to_owned(), "sg-2".to_owned()],
            instance_name: some("web"),
            host_name: some("web"),
            key_pair_name: some("ops"),
            ram_role_name: some("web"),
            resource_group_id: some("rg-1"),
            user_data: Some(UserData::new("#!/bin/sh\nexport TOKEN=hush".to_owned())),
            system_disk: Some(SystemDisk {
                category: "cloud_essd".to_owned(),
                size_gib: Some(40),
                performance_level: some("PL1"),
            }),
            internet_max_bandwidth_out: Some(5),
            spot: Some(Spot::PriceLimit(0.35)),
            deletion_protection: true,
            tags: tags.clone(),
        },
        instance_type: "ecs.c7.large".to_owned(),
        vswitch: "vsw-1".to_owned(),
        amount: 2,
        min_amount: 1,
        tags,
    }
}
