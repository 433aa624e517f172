//! Small values for the tests of the stages that decide.

use std::sync::Arc;

use cloud::{Instance, InstanceId, LaunchSpec, Status, Tags, Terminate, Timestamp};

use super::*;

pub(crate) const CPU: &str = "cpu";

pub(crate) fn now() -> Timestamp {
    "2026-01-02T12:00:00Z".parse().expect("a valid time")
}

pub(crate) fn ago(secs: u64) -> Timestamp {
    now() - chrono::TimeDelta::seconds(i64::try_from(secs).expect("small"))
}

pub(crate) fn spec() -> LaunchSpec {
    LaunchSpec {
        image_id: "m-1".into(),
        security_group_ids: vec!["sg-1".into()],
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
        tags: [("team".to_owned(), "shop".to_owned())].into(),
    }
}

/// Two types in two vSwitches, no rules.
pub(crate) fn fleet(min: u32, max: u32) -> Fleet {
    Fleet {
        id: "web".into(),
        owner: Owner::default(),
        account: "aliyun".into(),
        bounds: Bounds { min, max },
        warmup: Span::secs(60),
        boot_timeout: Timeout { span: Span::secs(600), learned: false },
        boot_timeouts: [].into(),
        ready_timeout: None,
        stabilization: Span::secs(0),
        launch_failures: 5,
        brakes: Brakes::default(),
        account_brakes: Brakes::default(),
        scale_out_limits: Vec::new(),
        scale_in_limits: Vec::new(),
        terminate: Terminate::Graceful,
        lifecycle: Lifecycle::default(),
        base: None,
        launch: LaunchTemplate {
            spec: spec(),
            instance_types: vec!["c7".into(), "g7".into()],
            vswitches: vec!["vsw-h".into(), "vsw-i".into()],
            spread: Spread::InOrder,
        },
        signals: [(CPU.into(), signal_spec())].into(),
        rules: Vec::new(),
        shadow: None,
        regret: None,
    }
}

pub(crate) fn signal_spec() -> SignalSpec {
    SignalSpec {
        max_age: Span::secs(90),
        coverage: Coverage::Auto(0.6),
        on_missing: OnMissing::Hold,
        cliff: None,
    }
}

/// A managed, Running, fully tagged instance, created `age` minutes ago.
pub(crate) fn member(id: &str, age: i64) -> Member {
    let tags = [
        (tags::SOURCE, tags::SOURCE_AUTO),
        (tags::FLEET, "web"),
        (tags::INTENT, "x"),
        (tags::TIMESTAMP, "2026-01-01T12:00:00Z"),
    ];
    Member {
        instance: Instance {
            id: id.into(),
            status: Status::Running,
            created_at: now() - chrono::TimeDelta::minutes(age),
            zone: "h".into(),
            instance_type: "c7".into(),
            vswitch: Some("vsw-h".into()),
            private_ip: None,
            tags: tags.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            deletion_protection: false,
            locks: Vec::new(),
        },
        ownership: Ownership::Managed,
        phase: Phase::InService,
        missing_tags: Tags::new(),
        up: None,
        health: None,
        busy: None,
        traffic: None,
        is_fit: false,
        outgoing: false,
        kept: false,
    }
}

pub(crate) fn inventory(members: Vec<Member>) -> Inventory {
    Inventory {
        at: now(),
        account_size: u32::try_from(members.len()).expect("few"),
        members,
        unlisted: Vec::new(),
        in_doubt: 0,
        doubts: Vec::new(),
        lost_zones: [].into(),
        strangers: Vec::new(),
        listed_at: now(),
        groups: Vec::new(),
    }
}

/// `n` instances in service for a day.
pub(crate) fn running(n: u32) -> Inventory {
    inventory((0..n).map(|n| member(&format!("i-{n:04}"), 1_440)).collect())
}

/// The records of an instance that we launched.
pub(crate) fn tracked(phase: Phase, place: (&str, &str)) -> Tracked {
    Tracked {
        phase,
        since: ago(3_600),
        launched_by: Some(IntentId(uuid::Uuid::from_u128(77))),
        launched_at: Some(ago(3_700)),
        place: Some(Place { instance_type: place.0.into(), vswitch: place.1.into() }),
        spec: Some(fingerprint(&spec())),
        served: phase == Phase::InService,
        silent_since: None,
        owner: None,
        owned_at: None,
        adopted_at: None,
        hooks: [].into(),
        quiet_since: None,
        outgoing: false,
    }
}

/// A fleet that has nothing special about it. Whatever managed instances it has, it knows.
pub(crate) fn inputs(fleet: Fleet, inventory: Inventory, mut history: History) -> Inputs {
    for member in inventory.members.iter().filter(|m| m.ownership == Ownership::Managed) {
        let found =
            || Tracked { adopted_at: Some(now()), ..Tracked::found(member.phase, ago(3_600)) };
        history.instances.entry(member.instance.id.clone()).or_insert_with(found);
    }
    Inputs {
        now: now(),
        entropy: Entropy(uuid::Uuid::from_u128(7)),
        fleet,
        inventory,
        signals: [].into(),
        history,
        account: Arc::default(),
        holds: Vec::new(),
        instructions: Vec::new(),
        spent: Spent::default(),
    }
}

pub(crate) fn id(text: &str) -> InstanceId {
    text.into()
}

impl Rule {
    /// The threshold that the rule is.
    pub(crate) fn threshold(&mut self) -> &mut Threshold {
        match &mut self.kind {
            RuleKind::Threshold(rule) => rule,
            _ => panic!("{} is no threshold", self.name),
        }
    }
}
