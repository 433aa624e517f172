//! `fleetscaler ram-policy`: the least that a key must be allowed, written from the configuration.
//!
//! A key that is stolen, and a daemon that is deceived, can do what the policy allows and no more:
//! launch what is configured, with our tags; end what carries them.

use std::collections::BTreeSet;

use cloud::BalancerKind;
use serde_json::{Value, json};

use super::args::RamPolicyArgs;
use super::{Exit, output};
use crate::config::{AliyunConfig, Config, FleetConfig, Provider};
use crate::model::tags;
use crate::signals::SourceSpec;

/// The vendor's limit of a policy that a customer writes, in characters.
const LONGEST: usize = 6144;

pub(super) async fn run(args: RamPolicyArgs) -> anyhow::Result<Exit> {
    let config = match output::load(&args.config, Some("ram-policy")) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let Some((name, provider)) = chosen(&config, args.provider.as_deref()) else {
        let names: Vec<&str> = config.providers.keys().map(String::as_str).collect();
        let names = names.join(", ");
        output::error(&format!("a policy is for one account: name it with --provider ({names})"));
        return Ok(Exit::Usage);
    };
    let fleets: Vec<&FleetConfig> =
        config.fleets.iter().filter(|fleet| fleet.provider == *name).collect();
    let policy = policy(provider, &fleets);
    for line in comments(&fleets) {
        output::note(&line);
    }
    let length = policy.to_string().chars().count();
    if length > LONGEST {
        output::note(&format!(
            "This policy has {length} characters and the vendor takes {LONGEST}: split the fleets \
             over several keys and daemons, or write `*` where the lists are long."
        ));
    }
    output::line(&format!("{policy:#}"));
    Ok(Exit::Ok)
}

/// The provider of that name, or the only one.
fn chosen<'a>(config: &'a Config, name: Option<&str>) -> Option<(&'a String, &'a AliyunConfig)> {
    let mut named = config
        .providers
        .iter()
        .filter(|(known, _)| name.is_none_or(|name| name == *known))
        .map(|(known, Provider::Aliyun(provider))| (known, provider));
    let first = named.next()?;
    named.next().is_none().then_some(first)
}

/// The policy for `fleets`, all of one account and region.
fn policy(provider: &AliyunConfig, fleets: &[&FleetConfig]) -> Value {
    let ecs = |what: &str| format!("acs:ecs:{}:*:{what}", provider.region);
    let vpc = |what: &str| format!("acs:vpc:{}:*:{what}", provider.region);
    let names: BTreeSet<&str> = fleets.iter().map(|fleet| fleet.fleet.id.0.as_str()).collect();
    let ours = |place: &str| {
        json!({ "StringEquals": {
            format!("{place}/{}", tags::SOURCE): tags::SOURCE_AUTO,
            format!("{place}/{}", tags::FLEET): names,
        } })
    };
    let mut parts = BTreeSet::new();
    let mut roles = BTreeSet::new();
    for fleet in fleets {
        let launch = &fleet.fleet.launch;
        parts.insert(ecs(&format!("image/{}", launch.spec.image_id)));
        let groups = launch.spec.security_group_ids.iter();
        parts.extend(groups.map(|id| ecs(&format!("securitygroup/{id}"))));
        parts.extend(launch.spec.key_pair_name.iter().map(|name| ecs(&format!("keypair/{name}"))));
        parts.extend(launch.vswitches.iter().map(|id| vpc(&format!("vswitch/{id}"))));
        roles.extend(launch.spec.ram_role_name.iter());
    }
    // An image's disks and a vSwitch's network are checked against these, too.
    parts.extend([ecs("snapshot/*"), vpc("vpc/*")]);
    let stops = fleets.iter().any(|f| f.fleet.terminate == cloud::Terminate::StopThenDelete);
    let mut ends = vec!["ecs:DeleteInstances"];
    ends.extend(stops.then_some("ecs:StopInstances"));
    let mut statements = vec![
        json!({ "Effect": "Allow", "Resource": "*",
            "Action": ["ecs:DescribeInstances", "ecs:DescribePrice"] }),
        json!({ "Effect": "Allow", "Action": "ecs:RunInstances",
            "Resource": ecs("instance/*"), "Condition": ours("acs:RequestTag") }),
        json!({ "Effect": "Allow", "Action": "ecs:RunInstances", "Resource": parts }),
        json!({ "Effect": "Allow", "Action": "ecs:TagResources", "Resource": ecs("instance/*"),
            "Condition": { "StringEquals": {
                format!("acs:ResourceTag/{}", tags::FLEET): names,
            } } }),
        json!({ "Effect": "Allow", "Action": ends,
            "Resource": ecs("instance/*"), "Condition": ours("acs:ResourceTag") }),
    ];
    let balancers = balancers(fleets);
    if !balancers.is_empty() {
        statements.push(json!({ "Effect": "Allow", "Resource": "*", "Action": balancers }));
    }
    if fleets.iter().any(|fleet| monitors(fleet)) {
        statements.push(json!({ "Effect": "Allow", "Resource": "*",
            "Action": ["cms:DescribeMetricLast", "cms:QueryMetricLast"] }));
    }
    if !roles.is_empty() {
        let roles: Vec<String> =
            roles.iter().map(|role| format!("acs:ram:*:*:role/{role}")).collect();
        statements.push(json!({ "Effect": "Allow", "Action": "ram:PassRole", "Resource": roles,
            "Condition": { "StringEquals": { "acs:Service": "ecs.aliyuncs.com" } } }));
    }
    json!({ "Version": "1", "Statement": statements })
}

/// Whether a signal of `fleet` comes from CloudMonitor.
fn monitors(fleet: &FleetConfig) -> bool {
    fleet.sources.values().any(|source| matches!(source, SourceSpec::CloudMonitor(_)))
}

/// The actions on the load balancers of `fleets`. The groups' ids do not narrow them: ALB and NLB do not
/// take every action by resource.
fn balancers(fleets: &[&FleetConfig]) -> BTreeSet<String> {
    let groups = fleets.iter().flat_map(|fleet| &fleet.fleet.lifecycle.balancers);
    let mut actions = BTreeSet::new();
    for group in groups.map(|balancer| &balancer.group) {
        let (prefix, names): (&str, &[&str]) = match (group.kind, group.group.is_some()) {
            (BalancerKind::Clb, true) => ("slb", &CLB_GROUP),
            (BalancerKind::Clb, false) => ("slb", &CLB_DEFAULT),
            (BalancerKind::Alb, _) => ("alb", &SERVER_GROUP),
            (BalancerKind::Nlb, _) => ("nlb", &SERVER_GROUP),
        };
        actions.extend(names.iter().map(|name| format!("{prefix}:{name}")));
    }
    actions
}

const CLB_GROUP: [&str; 5] = [
    "DescribeVServerGroupAttribute",
    "DescribeHealthStatus",
    "AddVServerGroupBackendServers",
    "SetVServerGroupAttribute",
    "RemoveVServerGroupBackendServers",
];
const CLB_DEFAULT: [&str; 5] = [
    "DescribeLoadBalancerAttribute",
    "DescribeHealthStatus",
    "AddBackendServers",
    "SetBackendServers",
    "RemoveBackendServers",
];
const SERVER_GROUP: [&str; 5] = [
    "ListServerGroupServers",
    "GetListenerHealthStatus",
    "AddServersToServerGroup",
    "UpdateServerGroupServersAttribute",
    "RemoveServersFromServerGroup",
];

/// Remarks on it for a person.
fn comments(fleets: &[&FleetConfig]) -> Vec<String> {
    let mut comments = vec![
        "Attach this to the daemon's RAM user or role, as its only policy; then ask: fleetscaler \
         check --online."
            .to_owned(),
        "Reads are not narrowed: a listing that is not permitted answers \"no instances\" instead of \
         an error."
            .to_owned(),
        "Launches need our tags and the configured image, groups and vSwitches; tagging and ending \
         need an instance that has our tags already. Start is never used."
            .to_owned(),
        "A fleet that is taken out of the configuration must stay in the policy until its last \
         instance is gone. An instance that lost its tag scale-fleet is for a person to mend."
            .to_owned(),
        "It follows the vendor's documents and was not tried against the vendor here: a launch that \
         is refused for tagging needs ecs:TagResources with a condition on acs:RequestTag."
            .to_owned(),
    ];
    if fleets.iter().any(|fleet| monitors(fleet)) {
        comments.push(
            "CloudMonitor is not narrowed either: it takes no resource. Its action has two names in \
             the vendor's documents, so both are allowed."
                .to_owned(),
        );
    }
    if fleets.iter().any(|fleet| fleet.fleet.launch.spec.resource_group_id.is_some()) {
        comments.push(
            "The launches name a resource group: attach the policy to that group to narrow it \
             further."
                .to_owned(),
        );
    }
    comments
}
