//! From names on the command line to what decides.

use std::path::Path;

use anyhow::{Context, bail};

use super::args::BacktestArgs;
use super::history::Subject;
use crate::backtest::{Decider, Load, Meaning, Policy, Reference, Terms, bare_fleet};
use crate::config::{Config, FleetConfig, Problems, default_stabilization, read_rules};
use crate::model::{
    Adaptive, Cooldown, Estimate, Fleet, Rule, RuleKind, ScaleIn, ScaleOut, SignalName, Span, Step,
    Target, TargetOf, Threshold, Tolerance,
};

/// One of those that are compared.
#[derive(Debug)]
pub(super) struct Contender {
    pub(super) name: String,
    /// Another autoscaler's algorithm.
    pub(super) reference: bool,
    pub(super) decider: Decider,
}

/// The fleet's own rules, all together.
const FLEET: &str = "fleet";

/// Signals of a backtest: the trace itself …
const LOAD: &str = "load";
/// … and how much of the ready instances it fills, in percent.
pub(super) const UTILISATION: [&str; 2] = ["utilisation", "cpu"];

/// The fleet that is meant, of the configuration that is given.
pub(super) fn fleet<'a>(
    args: &BacktestArgs,
    config: Option<&'a Config>,
) -> anyhow::Result<Option<&'a FleetConfig>> {
    let (Some(config), Some(name)) = (config, &args.fleet) else { return Ok(None) };
    let fleet = config.fleets.iter().find(|fleet| fleet.fleet.id.0 == *name);
    match fleet {
        Some(fleet) => Ok(Some(fleet)),
        None => bail!("the configuration has no fleet `{name}`"),
    }
}

/// The load that one instance carries: as given, or as an adaptive rule of the fleet says.
pub(super) fn capacity(
    args: &BacktestArgs,
    fleet: Option<&FleetConfig>,
    subject: Option<&Subject>,
) -> anyhow::Result<f64> {
    let of_rule = |rule: &Rule| match &rule.kind {
        RuleKind::Adaptive(rule) => Some(rule.capacity),
        _ => None,
    };
    let known = fleet.and_then(|fleet| fleet.fleet.rules.iter().find_map(of_rule));
    // How busy each instance is, times how many there are, is load in the same unit.
    let known = match subject.map(|subject| subject.meaning) {
        Some(Meaning::Busy { full }) => Some(full),
        _ => known,
    };
    match args.capacity.or(known) {
        Some(capacity) => Ok(capacity),
        None => bail!("--capacity is missing: how much of the load one instance carries"),
    }
}

/// All that are to be compared, or what is wrong with a file of rules.
pub(super) fn contenders(
    args: &BacktestArgs,
    load: &Load,
    fleet: Option<&FleetConfig>,
    subject: Option<&Subject>,
) -> anyhow::Result<Result<Vec<Contender>, Problems>> {
    let mut contenders: Vec<Contender> = Vec::new();
    let default = [FLEET.to_owned(), "adaptive/balanced".to_owned()];
    let usual = if subject.is_some() { &default[..] } else { &default[1..] };
    let names = if args.policy.is_empty() { usual } else { &args.policy };
    for name in names {
        if name == FLEET {
            let (Some(fleet), Some(subject)) = (fleet, subject) else {
                bail!("the policy `{FLEET}` is the rules of a fleet: it needs --since");
            };
            contenders.push(own(args, load, fleet, subject)?);
            continue;
        }
        let of_fleet = match rules(args, load, fleet, name)? {
            Ok(fleet) => fleet,
            Err(problems) => return Ok(Err(problems)),
        };
        contenders.push(contender(args, load, name, of_fleet));
    }
    for name in &args.compare {
        let Some(reference) = Reference::named(name) else {
            let known: Vec<&str> = Reference::names().collect();
            bail!("--compare does not know `{name}`; it takes {}", known.join(", "));
        };
        let decider = Decider::Reference(reference);
        contenders.push(Contender { name: name.clone(), reference: true, decider });
    }
    let mut names: Vec<&str> = contenders.iter().map(|c| c.name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        bail!("`{}` is named twice", pair[0]);
    }
    Ok(Ok(contenders))
}

/// The fleet's own rules together, as far as the signal whose past is known has a part in them.
fn own(
    args: &BacktestArgs,
    load: &Load,
    fleet: &FleetConfig,
    subject: &Subject,
) -> anyhow::Result<Contender> {
    let knows = |rule: &&Rule| rule.signals().into_iter().all(|signal| *signal == subject.signal);
    let rules: Vec<Rule> = fleet.fleet.rules.iter().filter(knows).cloned().collect();
    if rules.is_empty() {
        bail!("no rule of the fleet is about `{}` alone", subject.signal);
    }
    let bare = bare_fleet(rules.into_iter().map(|rule| fitted(args, rule)).collect());
    let own = bounded(bare, &fleet.fleet);
    let terms = terms(args, load);
    let decider = Decider::Policy(Box::new(Policy::new(own, terms, |_| subject.meaning)));
    Ok(Contender { name: FLEET.to_owned(), reference: false, decider })
}

/// `bare` within the bounds of `fleet`, and changing no faster.
fn bounded(bare: Fleet, fleet: &Fleet) -> Fleet {
    Fleet {
        bounds: fleet.bounds,
        stabilization: fleet.stabilization,
        scale_out_limits: fleet.scale_out_limits.clone(),
        scale_in_limits: fleet.scale_in_limits.clone(),
        ..bare
    }
}

fn terms(args: &BacktestArgs, load: &Load) -> Terms {
    Terms {
        start: load.start(),
        interval: args.interval,
        lag: args.lag,
        capacity: load.capacity(),
        keeps_notes: args.out.is_some(),
    }
}

fn contender(args: &BacktestArgs, load: &Load, name: &str, fleet: Fleet) -> Contender {
    let terms = terms(args, load);
    let adaptive: Vec<SignalName> = fleet
        .rules
        .iter()
        .filter_map(|rule| match &rule.kind {
            RuleKind::Adaptive(rule) => Some(rule.signal.clone()),
            _ => None,
        })
        .collect();
    let policy = Policy::new(fleet, terms, |signal| {
        if signal.0 == LOAD || adaptive.contains(signal) {
            Meaning::Load
        } else {
            Meaning::Utilisation
        }
    });
    let decider = Decider::Policy(Box::new(policy));
    Contender { name: name.to_owned(), reference: false, decider }
}

/// The fleet that `name` stands for.
fn rules(
    args: &BacktestArgs,
    load: &Load,
    fleet: Option<&FleetConfig>,
    name: &str,
) -> anyhow::Result<Result<Fleet, Problems>> {
    if let Some(rule) = preset(args, load, name) {
        return Ok(Ok(usual_fleet(vec![rule])));
    }
    if let Some(fleet) = fleet
        && let Some(rule) = fleet.fleet.rules.iter().find(|rule| rule.name.0 == name)
    {
        let bare = bare_fleet(vec![fitted(args, rule.clone())]);
        return Ok(Ok(bounded(bare, &fleet.fleet)));
    }
    let path = Path::new(name);
    if path.extension().is_some_and(|extension| extension == "toml") {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        let signals = [LOAD, UTILISATION[0], UTILISATION[1]].map(SignalName::from);
        let read = read_rules(&text, path, &signals);
        return Ok(read
            .map(|rules| bare_fleet(rules.into_iter().map(|rule| fitted(args, rule)).collect())));
    }
    let of_config = fleet.map(|fleet| {
        fleet.fleet.rules.iter().map(|rule| rule.name.0.as_str()).collect::<Vec<_>>().join(", ")
    });
    let known = match of_config {
        Some(names) => format!("; the fleet's rules are {names}"),
        None => "; the rules of a configuration need --config and --fleet".to_owned(),
    };
    bail!(
        "there is no policy `{name}`: it takes adaptive/thrifty, adaptive/balanced, adaptive/safe, \
         threshold/default, target/default, or a file NAME.toml{known}"
    )
}

/// A fleet with these rules and the default window for scale-ins.
fn usual_fleet(rules: Vec<Rule>) -> Fleet {
    let stabilization = default_stabilization(&rules);
    Fleet { stabilization, ..bare_fleet(rules) }
}

/// The rule with this price.
pub(super) fn adaptive(args: &BacktestArgs, load: &Load, price: f64) -> RuleKind {
    RuleKind::Adaptive(Adaptive {
        signal: LOAD.into(),
        capacity: load.capacity(),
        price,
        boot: Estimate { span: args.boot, learned: false },
        lag: args.lag,
        window: args.window,
        interval: args.interval,
        saturates: args.saturates,
    })
}

/// A fleet with this rule alone.
pub(super) fn of_rule(args: &BacktestArgs, load: &Load, name: &str, kind: RuleKind) -> Contender {
    let rule = Rule { name: kind.default_name(), kind };
    contender(args, load, name, usual_fleet(vec![rule]))
}

fn preset(args: &BacktestArgs, load: &Load, name: &str) -> Option<Rule> {
    let kind = match name.split_once('/').unwrap_or((name, "")) {
        ("adaptive", preset) => {
            let (_, price) = Adaptive::PRESETS.into_iter().find(|(known, _)| *known == preset)?;
            adaptive(args, load, price)
        }
        ("threshold", "default") => RuleKind::Threshold(Threshold {
            signal: UTILISATION[0].into(),
            scale_out: Some(ScaleOut { above: 75.0, samples: 2, by: Step::Count(1) }),
            scale_in: Some(ScaleIn { below: 30.0, samples: 3, by: Step::Count(1) }),
            cooldown: Cooldown { out: Span::secs(180), learned_out: false, in_: Span::secs(300) },
        }),
        ("target", "default") => RuleKind::Target(Target {
            signal: UTILISATION[0].into(),
            target: 70.0,
            of: TargetOf::Average,
            tolerance: Tolerance { out: 0.1, in_: 0.1 },
        }),
        _ => return None,
    };
    Some(Rule { name: kind.default_name(), kind })
}

/// The rule with what the backtest says of boots and of the signal, where the rule would learn it.
fn fitted(args: &BacktestArgs, mut rule: Rule) -> Rule {
    if let RuleKind::Adaptive(rule) = &mut rule.kind {
        if rule.boot.learned {
            rule.boot.span = args.boot;
        }
        rule.lag = args.lag;
        rule.window = args.window;
        rule.interval = args.interval;
    }
    rule
}
