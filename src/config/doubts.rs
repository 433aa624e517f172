//! What a configuration may say, and probably does not mean: warnings.
//!
//! A doubt never stops the daemon. So only what is almost certainly a slip is told: the vendor has
//! ids of old forms and opens new regions, and a warning that is wrong teaches to overlook the
//! others.

use super::problem::shown;
use super::regions;
use super::table::{Step, Table};
use super::{AliyunConfig, Daemon, FleetConfig, Provider, ids};
use crate::model::{Rule, RuleKind, SignalName, Span, TargetOf};
use crate::signals::SourceSpec;

/// Tells every doubt about a configuration that has no problem.
pub(super) fn tell<'p>(
    document: &Table<'_>,
    daemon: &Daemon,
    providers: impl IntoIterator<Item = (&'p String, &'p Provider)>,
    fleets: &[FleetConfig],
) {
    for (name, Provider::Aliyun(provider)) in providers {
        region(document, name, provider);
    }
    for fleet in fleets {
        let doubted = Doubted { document, name: &fleet.fleet.id.0 };
        document.cx.begin(doubted.name);
        doubted.launch(fleet);
        doubted.ages(fleet, fleet.interval.unwrap_or(daemon.interval));
        doubted.rules(&fleet.fleet.rules);
    }
    document.cx.begin("");
}

/// A region behind an endpoint of one's own (a private cloud, an emulator) has any name.
fn region(document: &Table<'_>, name: &str, provider: &AliyunConfig) {
    if provider.endpoint.is_some() {
        return;
    }
    if let Some(hint) = regions::doubt(&provider.region) {
        let place = [Step::Key("provider"), Step::Key(name), Step::Key("region")];
        document.warn_at(&place, format!("`{}` is no known region", provider.region), hint);
    }
}

/// One fleet.
struct Doubted<'a> {
    document: &'a Table<'a>,
    name: &'a str,
}

impl Doubted<'_> {
    fn warn(&self, within: &[Step<'_>], problem: String, hint: impl Into<String>) {
        let place = [&[Step::Key("fleet"), Step::Key(self.name)], within].concat();
        self.document.warn_at(&place, problem, hint.into());
    }

    /// Ids that have no form in which the vendor gives them. Images, groups and instances may have
    /// old ones; vSwitches and types have none.
    fn launch(&self, fleet: &FleetConfig) {
        let launch = &fleet.fleet.launch;
        for (n, id) in launch.vswitches.iter().enumerate() {
            let place = [Step::Key("launch"), Step::Key("vswitches"), Step::Nth(n)];
            let id = shown(id);
            if regions::of_zone(&id).is_some() {
                self.warn(
                    &place,
                    format!("`{id}` in `vswitches` is a zone"),
                    "name a vSwitch that lies in it: ids of vSwitches begin with `vsw-`",
                );
            } else if !id.starts_with("vsw-") {
                self.warn(
                    &place,
                    format!("`{id}` in `vswitches` is not the id of a vSwitch"),
                    "ids of vSwitches begin with `vsw-`; a name is not taken",
                );
            }
        }
        for (n, kind) in launch.instance_types.iter().enumerate() {
            if !kind.starts_with("ecs.") {
                let kind = shown(kind);
                self.warn(
                    &[Step::Key("launch"), Step::Key("instance_types"), Step::Nth(n)],
                    format!("`{kind}` in `instance_types` is not an instance type"),
                    match kind.contains('.') {
                        true => format!("did you mean `ecs.{kind}`?"),
                        false => "instance types begin with `ecs.`, as `ecs.c7.large`".to_owned(),
                    },
                );
            }
        }
        let group = launch.spec.resource_group_id.as_deref();
        if let Some((id, kind)) = group.and_then(|id| Some((id, ids::kind_of(id)?))) {
            self.warn(
                &[Step::Key("launch"), Step::Key("resource_group_id")],
                format!("`{}` in `resource_group_id` is {kind}", shown(id)),
                "ids of resource groups begin with `rg-`",
            );
        }
    }

    /// Signals that are too old before the fleet looks again.
    fn ages(&self, fleet: &FleetConfig, interval: Span) {
        for (signal, spec) in &fleet.fleet.signals {
            // Without a time in it, a document is as old as the question.
            let is_aged = match &fleet.sources[signal] {
                SourceSpec::HttpJson(json) => json.time_pointer.is_some(),
                _ => true,
            };
            if is_aged && spec.max_age < interval {
                self.warn(
                    &[Step::Key("signal"), Step::Key(&signal.0), Step::Key("max_age")],
                    format!(
                        "the signal `{}` has max_age = {}, and the fleet looks every {interval}",
                        shown(&signal.0),
                        spec.max_age
                    ),
                    format!("write {interval} or more, or a shorter `interval`"),
                );
            }
        }
    }

    /// Rules of which one shrinks the fleet at a value at which another one grows it.
    fn rules(&self, rules: &[Rule]) {
        let bounds: Vec<(usize, RuleBounds<'_>)> =
            rules.iter().enumerate().filter_map(|(n, rule)| Some((n, bounds(rule)?))).collect();
        for (n, in_) in &bounds {
            let grows = bounds.iter().find(|(other, out)| other != n && in_.contradicts(out));
            let Some((other, out)) = grows else { continue };
            let (Some(below), Some(above)) = (in_.below, out.above) else { continue };
            self.warn(
                &[Step::Key("rule"), Step::Nth(*n)],
                format!(
                    "the rule `{}` scales in while `{}` is below {below}, and `{}` scales out above \
                     {above}",
                    rules[*n].name, shown(&in_.signal.0), rules[*other].name
                ),
                "let `below` of the one lie under `above` of the other: between the two the rules \
                 want opposite things",
            );
        }
    }
}

/// The values of a signal from which on a rule shrinks and grows a fleet.
struct RuleBounds<'a> {
    signal: &'a SignalName,
    below: Option<f64>,
    above: Option<f64>,
    /// The greater of two targets always wins, so two of them never contradict each other.
    is_target: bool,
}

impl RuleBounds<'_> {
    /// Whether this rule shrinks where `other` grows.
    fn contradicts(&self, other: &RuleBounds<'_>) -> bool {
        let overlap = self.below.zip(other.above).is_some_and(|(below, above)| below > above);
        self.signal == other.signal && overlap && !(self.is_target && other.is_target)
    }
}

/// Of the rules that compare the signal itself with a number.
fn bounds(rule: &Rule) -> Option<RuleBounds<'_>> {
    match &rule.kind {
        RuleKind::Threshold(rule) => Some(RuleBounds {
            signal: &rule.signal,
            below: rule.scale_in.as_ref().map(|scale_in| scale_in.below),
            above: rule.scale_out.as_ref().map(|scale_out| scale_out.above),
            is_target: false,
        }),
        RuleKind::Target(rule) if matches!(rule.of, TargetOf::Average) => Some(RuleBounds {
            signal: &rule.signal,
            below: Some(rule.target * (1.0 - rule.tolerance.in_)),
            above: Some(rule.target * (1.0 + rule.tolerance.out)),
            is_target: true,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Env, parse};

    const MINIMAL: &str = include_str!("../../tests/configs/good/minimal.toml");

    /// The warnings about the minimal configuration with `changes`: what stands there, and instead of it.
    fn warnings(changes: &[(&str, &str)]) -> Vec<String> {
        let mut text = MINIMAL.to_owned();
        for (old, new) in changes {
            assert!(text.contains(old), "{old}");
            text = text.replace(old, new);
        }
        let env = Env::given([].into(), [].into());
        let config = parse(&text, Path::new("config.toml"), &env);
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        config.warnings.iter().map(ToString::to_string).collect()
    }

    const VSWITCHES: &str = "[\"vsw-zone-h\", \"vsw-zone-i\"]";
    const TYPES: &str = "[\"ecs.c7.large\", \"ecs.g7.large\"]";
    const ENDPOINT: &str = "endpoint = \"http://127.0.0.1:8089\"";
    const IMAGE: &str = "\"m-bp1example\"";
    const GROUP: &str = "\"sg-bp1example\"";

    #[test]
    fn what_is_right_or_only_old_is_not_doubted() {
        for (name, changes) in [
            ("the minimal configuration", &[][..]),
            ("an image of the vendor", &[(IMAGE, "\"aliyun_3_x64_20G_alibase_20240819.vhd\"")]),
            ("an image that is called so", &[(IMAGE, "\"ubuntu_22_04_x64_20G_alibase.vhd\"")]),
            ("a group of an old form", &[(GROUP, "\"G1157265436871234\"")]),
            ("a region of a private cloud", &[("cn-hangzhou", "cn-qd-gov-d01")]),
            ("a public region", &[(ENDPOINT, ""), ("cn-hangzhou", "ap-southeast-5")]),
            ("a group of resources", &[(IMAGE, "\"m-1\"\nresource_group_id = \"rg-acfm\"")]),
        ] {
            assert_eq!(warnings(changes), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn each_slip_is_told_once_with_its_line_and_its_fix() {
        for (name, changes, expected, hint) in [
            (
                "a zone for a vSwitch",
                &[(VSWITCHES, "[\"vsw-1\", \"cn-hangzhou-h\"]")][..],
                "`cn-hangzhou-h` in `vswitches` is a zone",
                "name a vSwitch that lies in it",
            ),
            (
                "a name for a vSwitch",
                &[(VSWITCHES, "[\"web-h\"]")],
                "`web-h` in `vswitches` is not the id of a vSwitch",
                "begin with `vsw-`",
            ),
            (
                "a type without its prefix",
                &[(TYPES, "[\"c7.large\"]")],
                "`c7.large` in `instance_types` is not an instance type",
                "did you mean `ecs.c7.large`?",
            ),
            (
                "a family for a type",
                &[(TYPES, "[\"c7\"]")],
                "`c7` in `instance_types` is not an instance type",
                "as `ecs.c7.large`",
            ),
            (
                "an id of another kind",
                &[(IMAGE, "\"m-1\"\nresource_group_id = \"sg-1\"")],
                "`sg-1` in `resource_group_id` is a security group",
                "begin with `rg-`",
            ),
            (
                "a misspelt region",
                &[(ENDPOINT, ""), ("\"cn-hangzhou\"", "\"cn-hangzou\"")],
                "`cn-hangzou` is no known region",
                "did you mean `cn-hangzhou`?",
            ),
        ] {
            let told = warnings(changes);
            assert_eq!(told.len(), 1, "{name}: {told:?}");
            assert!(told[0].starts_with("config.toml:"), "{name}: {told:?}");
            assert!(told[0].contains(expected) && told[0].contains(hint), "{name}: {told:?}");
        }
    }

    #[test]
    fn a_value_that_is_too_old_before_the_next_look_is_doubted() {
        let age = "\"90s\"";
        assert_eq!(warnings(&[(age, "\"15s\"")]), Vec::<String>::new());
        let told = warnings(&[(age, "\"14s\"")]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("max_age = 14s, and the fleet looks every 15s"), "{told:?}");
        let quick = ("provider = \"aliyun\"", "provider = \"aliyun\"\ninterval = \"10s\"");
        assert_eq!(warnings(&[(age, "\"14s\""), quick]), Vec::<String>::new());
    }

    /// The warnings about rules that stand beside each other, and a fleet's own.
    fn rules(rules: &str) -> Vec<String> {
        let (head, _) = MINIMAL.split_once("[[fleet.web.rule]]").expect("a rule");
        let env = Env::given([].into(), [].into());
        let more = "[fleet.web.signal.rps]\nsource = \"prometheus\"\nurl = \"http://127.0.0.1:9090\"\n\
                    query = \"avg(rps)\"\n";
        let unused = "[[fleet.web.rule]]\nkind = \"threshold\"\nsignal = \"rps\"\n\
                      scale_out = { above = 1000 }\n";
        let text = format!("{head}{more}{unused}{rules}");
        let config = parse(&text, Path::new("config.toml"), &env);
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        config.warnings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn rules_that_want_opposite_things_at_one_value_are_doubted() {
        let rule = |keys: &str| format!("[[fleet.web.rule]]\n{keys}\n");
        let threshold = |signal: &str, keys: &str| {
            rule(&format!("kind = \"threshold\"\nsignal = \"{signal}\"\n{keys}"))
        };
        let target =
            |target: u32| rule(&format!("kind = \"target\"\nsignal = \"cpu\"\ntarget = {target}"));
        let (out_50, in_60) = ("scale_out = { above = 50 }", "scale_in = { below = 60 }");
        let in_50 = "scale_in = { below = 50 }";
        for (name, first, second, count) in [
            ("in below 60, out above 50", threshold("cpu", out_50), threshold("cpu", in_60), 1),
            ("the other way round", threshold("cpu", in_60), threshold("cpu", out_50), 1),
            ("bounds that touch", threshold("cpu", out_50), threshold("cpu", in_50), 0),
            (
                "two signals",
                threshold("cpu", "scale_out = { above = 50 }"),
                threshold("rps", in_60),
                0,
            ),
            ("in below 60, a target of 50", threshold("cpu", in_60), target(50), 1),
            ("in below 50, a target of 50", threshold("cpu", in_50), target(50), 0),
            ("two targets", target(70), target(50), 0),
        ] {
            let told = rules(&format!("{first}{second}"));
            assert_eq!(told.len(), count, "{name}: {told:?}");
        }
        let told = rules(&format!("{}{}", threshold("cpu", out_50), threshold("cpu", in_60)));
        assert!(
            told[0].contains("`threshold-cpu-2` scales in while `cpu` is below 60"),
            "{told:?}"
        );
        assert!(told[0].contains("`threshold-cpu` scales out above 50"), "{told:?}");
    }

    #[test]
    fn a_slip_of_a_template_is_told_once_for_all_its_fleets() {
        let text = MINIMAL.replace("fleet.web", "template.base").replace(VSWITCHES, "[\"web-h\"]");
        let fleets = "\n[fleet.shop]\nextends = \"base\"\n[fleet.mail]\nextends = \"base\"\n";
        let env = Env::given([].into(), [].into());
        let config = parse(&format!("{text}{fleets}"), Path::new("config.toml"), &env);
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    }
}
