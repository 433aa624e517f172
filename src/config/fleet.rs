//! `[fleet.NAME]`: bounds, and what belongs to the fleet as a whole.

use std::collections::BTreeSet;

use cloud::{InstanceId, Terminate};

use super::FleetConfig;
use super::daemon::INTERVAL_RANGE;
use super::problem::shown;
use super::signal::{self, Signal};
use super::size::instances;
use super::table::Table;
use super::value::{count, duration, word};
use super::{brakes, ids, launch, lifecycle, rule, shadow, suggest, tags};
use crate::model::{
    AccountId, Base, Bounds, Brakes, Fleet, FleetId, LaunchTemplate, Owner, RECOMMENDED_KEPT,
    Regret, Rule, RuleKind, SignalName, Span, Timeout,
};

/// 60 s: a service of a virtual machine is usually up in less.
const WARMUP: Span = Span::secs(60);
/// 10 min, until it has been learned how long boots take: the vendor's Linux images boot in one,
/// Windows images in up to five.
const BOOT_TIMEOUT: Span = Span::secs(600);
/// A warm-up may be nothing at all; a boot takes some seconds at least. A day bounds both.
const WARMUPS: std::ops::RangeInclusive<Span> = Span::secs(0)..=Span::secs(24 * 3600);
const BOOT_TIMEOUTS: std::ops::RangeInclusive<Span> = Span::secs(10)..=Span::secs(24 * 3600);

/// 10 min, where health checks tell: a service that is not up by then will not come up.
const READY_TIMEOUT: Span = Span::secs(600);

/// 5 min: the figure of the Kubernetes horizontal autoscaler, proven over years.
const STABILIZATION: Span = Span::secs(300);
pub(super) const STABILIZATIONS: std::ops::RangeInclusive<Span> =
    Span::secs(0)..=Span::secs(RECOMMENDED_KEPT.as_secs());
/// 5: one bad instance happens, five bad launches in a row are a bad image.
const LAUNCH_FAILURES: u32 = 5;
const LAUNCH_FAILURES_MAX: u32 = 100;

const TERMINATES: [(&str, Terminate); 3] = [
    ("graceful", Terminate::Graceful),
    ("stop-then-delete", Terminate::StopThenDelete),
    ("force", Terminate::Force),
];

/// The fleet's provider, if it is one of `providers`.
pub(super) fn provider(table: &Table<'_>, providers: &[String]) -> Option<String> {
    table.required("provider", "\"aliyun\"", |value| {
        let name = word(value)?;
        if providers.contains(&name) {
            return Some(name);
        }
        let hint = if providers.is_empty() {
            "define it in a table, such as [provider.aliyun]".to_owned()
        } else {
            let names = providers.iter().map(String::as_str);
            suggest::hint(&name, names, "the providers are")
        };
        value.problem(format!("there is no provider `{}`", shown(&name)), hint)
    })
}

/// The rest of the fleet, when its provider has been read.
pub(super) fn read(name: &str, table: &Table<'_>, provider: Option<String>) -> Option<FleetConfig> {
    // The table is whole already.
    table.get("extends");
    let bounds = bounds(name, table);
    let interval = table.optional("interval", duration(INTERVAL_RANGE));
    let warmup = table.or("warmup", WARMUP, duration(WARMUPS));
    let boot_timeout = boot_timeout(table);
    let ready_timeout = table.optional("ready_timeout", duration(BOOT_TIMEOUTS));
    let life = lifecycle::read(name, table);
    let tells = life.lifecycle.has_checks || !life.lifecycle.balancers.is_empty();
    let ready_timeout = ready_timeout.or(tells.then_some(READY_TIMEOUT));
    let stabilization = table.optional("stabilization", duration(STABILIZATIONS));
    let launch_failures =
        table.or("launch_failures", LAUNCH_FAILURES, count(1..=LAUNCH_FAILURES_MAX));
    let brakes = brakes::of_fleet(table);
    let scale_out_limits = brakes::rates(table, "scale_out_limits", "100% or 4 per 15s");
    let scale_in_limits = brakes::rates(table, "scale_in_limits", "10 per 20m");
    let up = table.table("up", |table| signal::up(name, table));
    check_ready_timeout(table);
    let terminate = table.or("terminate", Terminate::Graceful, |value| value.one_of(&TERMINATES));
    let base = table.table("base", base);
    let launch = table.required_table("launch", launch::read);

    let signals = table.named("signal", |signal, table| signal::read(name, signal, table));
    // A signal with a problem of its own still exists, for a rule that names it.
    let names: Vec<SignalName> = table.names("signal").into_iter().map(SignalName).collect();
    let mut taken = BTreeSet::new();
    let rules = table.list("rule", |table| rule::read(table, &names, &mut taken));
    check_rules(name, table, &rules);
    let rules = boots_and_warms_up(rules, warmup);
    let shadow = shadow::read(name, table, &names);
    let shadow = boots_and_warms_up(shadow, warmup);
    let regret = table.table("regret", |table| signal::regret(table, &names));
    let unused = unused_signals(table, &names, &rules, &shadow, regret.as_ref());
    if let Some(launch) = &launch {
        check_protection(table, launch, &rules);
    }
    let shadow = shadow::rules(shadow, stabilization);
    let stabilization = stabilization.unwrap_or_else(|| default_stabilization(&rules));

    let (specs, sources) = signals
        .into_iter()
        .filter(|signal| !unused.contains(&signal.name))
        .map(|Signal { name, spec, source }| ((name.clone(), spec), (name, source)))
        .unzip();
    Some(FleetConfig {
        fleet: Fleet {
            id: FleetId::from(name),
            // Known when the journal is.
            owner: Owner::default(),
            account: AccountId(provider.clone()?),
            bounds: bounds?,
            warmup,
            boot_timeout,
            boot_timeouts: [].into(),
            ready_timeout,
            stabilization,
            launch_failures,
            brakes,
            // Filled in when the providers are known.
            account_brakes: Brakes::default(),
            scale_out_limits,
            scale_in_limits,
            terminate,
            lifecycle: life.lifecycle,
            base,
            launch: launch?,
            signals: specs,
            rules,
            shadow,
            regret,
        },
        provider: provider?,
        interval,
        sources,
        up,
        checks: life.checks,
        busy: life.busy,
        hooks: life.hooks,
        renders: life.renders,
    })
}

fn check_ready_timeout(table: &Table<'_>) {
    let tells = ["up", "health", "balancer"].iter().any(|key| table.has(key));
    if table.has("ready_timeout") && !tells {
        table.problem_at(
            "ready_timeout",
            "`ready_timeout` needs to know which instances are up".to_owned(),
            format!(
                "add a check as [{}], or {} with a query such as 'up{{job=\"node\"}}'",
                table.header("health"),
                table.header("up"),
            ),
        );
    }
}

/// A rule that is given no boot time takes the usual one, and the fleet's warm-up after it.
fn boots_and_warms_up(mut rules: Vec<Rule>, warmup: Span) -> Vec<Rule> {
    for rule in &mut rules {
        if let RuleKind::Adaptive(rule) = &mut rule.kind
            && rule.boot.learned
        {
            rule.boot.span = Span(rule.boot.span.get() + warmup.get());
        }
    }
    rules
}

/// The window of a fleet that is given none. Adaptive rules have holds of their own, which they choose
/// by what each would have cost; schedules want no size of their own.
#[must_use]
pub fn default_stabilization(rules: &[Rule]) -> Span {
    let mut sizing = rules.iter().filter(|rule| !matches!(rule.kind, RuleKind::Schedule(_)));
    let adaptive = |rule: &Rule| matches!(rule.kind, RuleKind::Adaptive(_));
    let all_adaptive = sizing.clone().next().is_some() && sizing.all(adaptive);
    if all_adaptive { Span::secs(0) } else { STABILIZATION }
}

fn boot_timeout(table: &Table<'_>) -> Timeout {
    let given = table.optional("boot_timeout", duration(BOOT_TIMEOUTS));
    Timeout { span: given.unwrap_or(BOOT_TIMEOUT), learned: given.is_none() }
}

pub(super) fn bounds(name: &str, table: &Table<'_>) -> Option<Bounds> {
    let min = table.required("min", "2", instances(0));
    let max = table.required("max", "20", instances(1));
    let bounds = Bounds { min: min?, max: max? };
    let Bounds { min, max } = bounds;
    if min > max {
        table.problem_at(
            "min",
            format!("fleet `{}` has min = {min} above max = {max}", shown(name)),
            format!("set min to {max} or lower, or raise max to {min}"),
        );
    }
    Some(bounds)
}

/// Instances that are counted and never touched.
fn base(table: &Table<'_>) -> Option<Base> {
    let tags = table.optional("tags", tags::read).unwrap_or_default();
    let ids = table.optional("ids", ids::some("i-")).unwrap_or_default();
    if !table.has("tags") && !table.has("ids") {
        table.problem(format!("{table} selects nothing"), "add `ids = [\"i-...\"]`, or two `tags`");
    }
    if tags.len() == 1 {
        table.problem_at(
            "tags",
            "base instances are selected by a single tag".to_owned(),
            "name two tags or more, so that a tag used elsewhere cannot select a whole account",
        );
    }
    Some(Base { tags, ids: ids.into_iter().map(InstanceId).collect() })
}

fn check_rules(name: &str, table: &Table<'_>, rules: &[Rule]) {
    check_not_only_raised(table, "rule", &format!("fleet `{}`", shown(name)), rules);
    if table.len("rule") == Some(0) {
        table.problem(
            format!("fleet `{}` has no rule", shown(name)),
            format!("add a table [{}]", table.header("rule")),
        );
    }
}

/// `rules` are those under `key`, of `whose`.
pub(super) fn check_not_only_raised(table: &Table<'_>, key: &str, whose: &str, rules: &[Rule]) {
    let raises_only = |rule: &Rule| match &rule.kind {
        RuleKind::Schedule(schedule) => schedule.otherwise.is_none(),
        _ => false,
    };
    if !rules.is_empty() && rules.iter().all(raises_only) && table.len(key) == Some(rules.len()) {
        table.problem_at(
            key,
            format!("{whose} has schedules only, and no size at other times"),
            "add `otherwise = 2` to a schedule, or a rule beside it: a fleet that a schedule raised would \
             stay as it is",
        );
    }
}

/// The signals that no rule reads. One that stands in the fleet itself is more likely a rule that is missing, so
/// it is a problem; one of a template is just not asked for. None is told when a rule has a problem (it may be
/// the one that reads the signal) or when there is none (which is reported already).
fn unused_signals(
    table: &Table<'_>,
    names: &[SignalName],
    rules: &[Rule],
    shadow: &[Rule],
    regret: Option<&Regret>,
) -> Vec<SignalName> {
    let is_whole = |key, rules: &[Rule]| table.len(key) == Some(rules.len());
    if rules.is_empty() || !is_whole("rule", rules) || !is_whole("shadow", shadow) {
        return Vec::new();
    }
    let regretted = regret.map(|regret| &regret.signal);
    let read = rules.iter().chain(shadow).flat_map(Rule::signals);
    let used: BTreeSet<&SignalName> = read.chain(regretted).collect();
    let mut unused = Vec::new();
    for name in names.iter().filter(|name| !used.contains(name)) {
        if !table.is_shared("signal", &name.0) {
            table.problem_at_name(
                "signal",
                &name.0,
                format!("no rule reads the signal `{}`", shown(&name.0)),
                "add a rule for it, or remove it",
            );
        }
        unused.push(name.clone());
    }
    unused
}

/// A protected instance is never removed, so a fleet of them never shrinks.
fn check_protection(table: &Table<'_>, launch: &LaunchTemplate, rules: &[Rule]) {
    let shrinks = rules.iter().any(|rule| rule.kind.shrinks());
    if launch.spec.deletion_protection && shrinks {
        table.problem_at(
            "launch",
            "`deletion_protection` is set, but a rule has a `scale_in`".to_owned(),
            "protected instances are never removed: leave one of the two out",
        );
    }
}
