//! A fleet for worlds that are made up: rules over simulated instances, and nothing to launch.

use cloud::{LaunchSpec, Terminate};

use super::{
    Bounds, Brakes, Coverage, Fleet, LaunchTemplate, Lifecycle, OnMissing, Owner, Rule, SignalName,
    SignalSpec, Span, Spread, Timeout,
};

/// More instances than any load of a backtest demands.
const INSTANCES_MOST: u32 = 1_000_000;

/// A fleet that has these rules and nothing else that would bind it.
#[must_use]
pub fn bare_fleet(rules: Vec<Rule>) -> Fleet {
    let spec = SignalSpec {
        max_age: Span::secs(3_600),
        coverage: Coverage::AtLeast(0.0),
        on_missing: OnMissing::Hold,
        cliff: None,
    };
    let names: Vec<SignalName> = rules.iter().flat_map(Rule::signals).cloned().collect();
    Fleet {
        id: "backtest".into(),
        owner: Owner::default(),
        account: "backtest".into(),
        bounds: Bounds { min: 1, max: INSTANCES_MOST },
        warmup: Span::secs(0),
        boot_timeout: Timeout { span: Span::secs(600), learned: false },
        boot_timeouts: [].into(),
        ready_timeout: None,
        stabilization: Span::secs(0),
        launch_failures: u32::MAX,
        lifecycle: Lifecycle::default(),
        brakes: Brakes::default(),
        account_brakes: Brakes::default(),
        scale_out_limits: Vec::new(),
        scale_in_limits: Vec::new(),
        terminate: Terminate::Graceful,
        base: None,
        launch: LaunchTemplate {
            spec: nothing_to_launch(),
            instance_types: Vec::new(),
            vswitches: Vec::new(),
            spread: Spread::InOrder,
        },
        signals: names.into_iter().map(|name| (name, spec)).collect(),
        rules,
        shadow: None,
        regret: None,
    }
}

/// The policy does not look at it.
fn nothing_to_launch() -> LaunchSpec {
    LaunchSpec {
        image_id: String::new(),
        security_group_ids: Vec::new(),
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
        tags: cloud::Tags::new(),
    }
}
