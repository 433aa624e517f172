//! `[[fleet.NAME.rule]]`: when a fleet grows and when it shrinks.

use std::collections::BTreeSet;

use super::problem::shown;
use super::schedule;
use super::size::instances;
use super::sizes;
use super::suggest;
use super::table::{NAME_CHARS_MAX, Table};
use super::value::{Value, count, duration, finite, flag, number, word};
use crate::model::{
    Adaptive, Cooldown, Estimate, Fixed, Rule, RuleKind, RuleName, SAMPLES_KEPT, ScaleIn, ScaleOut,
    SignalName, Span, Step, Target, TargetOf, Threshold, Tolerance,
};

#[derive(Debug, Clone, Copy)]
enum Kind {
    Threshold,
    Adaptive,
    Target,
    Step,
    Queue,
    External,
    Schedule,
    Fixed,
}

const KINDS: [(&str, Kind); 8] = [
    ("threshold", Kind::Threshold),
    ("adaptive", Kind::Adaptive),
    ("target", Kind::Target),
    ("step", Kind::Step),
    ("queue", Kind::Queue),
    ("external", Kind::External),
    ("schedule", Kind::Schedule),
    ("fixed", Kind::Fixed),
];

/// Growing late costs requests, shrinking early costs them too: 2 samples out, 3 in.
const SAMPLES_OUT: u32 = 2;
const SAMPLES_IN: u32 = 3;
/// The gentlest step.
const BY: Step = Step::Count(1);
/// Out 3 min, until it has been learned how long it takes: an instance boots and warms up in about that time, and only then shows its effect.
/// In 5 min: long enough for the load that remains to spread.
const COOLDOWN: Cooldown =
    Cooldown { out: Span::secs(180), learned_out: true, in_: Span::secs(300) };
/// A day: longer is a hold, not a cool-down.
const COOLDOWNS: std::ops::RangeInclusive<Span> = Span::secs(0)..=Span::secs(24 * 3600);
/// A minute, until it has been learned: the vendor's Linux images boot in about that.
const BOOT: Span = Span::secs(60);
const BOOTS: std::ops::RangeInclusive<Span> = Span::secs(0)..=Span::secs(20 * 60);
/// Half a minute: a scrape interval of 15 s to 30 s, and the tick that waits for it.
const LAG: Span = Span::secs(30);
/// A rate over a minute is what dashboards show.
const WINDOW: Span = Span::secs(60);
/// A signal that is older than ten minutes tells nothing of now.
const LAGS: std::ops::RangeInclusive<Span> = Span::secs(0)..=Span::secs(10 * 60);
/// At 1 a missing instance costs no more than an idle one, and the best fleet is an empty one; at a
/// thousand the best fleet is one that never shrinks.
const PRICES: std::ops::RangeInclusive<f64> = 1.5..=1000.0;
const TARGETS_OF: [(&str, TargetOf); 2] =
    [("average", TargetOf::Average), ("total", TargetOf::Total)];
/// A tenth: the figure of the Kubernetes horizontal autoscaler.
const TOLERANCE: f64 = 0.1;
/// Without any tolerance a fleet swings with each sample; at half the target it hardly moves.
const TOLERANCES: std::ops::RangeInclusive<f64> = 0.0..=0.5;
/// Eleven times the fleet in one step is no step.
const PERCENT_MAX_OUT: f64 = 1000.0;
const PERCENT_MAX_IN: f64 = 100.0;

/// Reads one rule of a fleet whose signals are `signals`. `taken` are the names of the rules before it.
pub(super) fn read(
    table: &Table<'_>,
    signals: &[SignalName],
    taken: &mut BTreeSet<RuleName>,
) -> Option<Rule> {
    let name = table.optional("name", |value| name(value, taken));
    let kind = table.variant("kind", None, &KINDS, |kind, table| match kind {
        Kind::Threshold => threshold(table, signals).map(RuleKind::Threshold),
        Kind::Adaptive => adaptive(table, signals).map(RuleKind::Adaptive),
        Kind::Target => target(table, signals).map(RuleKind::Target),
        Kind::Step => sizes::step(table, signals).map(RuleKind::Step),
        Kind::Queue => sizes::queue(table, signals).map(RuleKind::Queue),
        Kind::External => sizes::external(table, signals).map(RuleKind::External),
        Kind::Schedule => schedule::read(table).map(RuleKind::Schedule),
        Kind::Fixed => fixed(table).map(RuleKind::Fixed),
    })?;
    let name = match name {
        Some(name) => name,
        None if table.has("name") => return None,
        None => free_name(&kind, taken),
    };
    taken.insert(name.clone());
    Some(Rule { name, kind })
}

/// A name that no other rule of the fleet has. It stands in records and labels, as a fleet's does.
fn name(value: &Value<'_>, taken: &BTreeSet<RuleName>) -> Option<RuleName> {
    let name = word(value)?;
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(safe) {
        return value.problem(
            format!("`{}` cannot be the name of a rule", shown(&name)),
            format!("use 1 to {NAME_CHARS_MAX} of a-z, A-Z, 0-9, `_`, `.` and `-`"),
        );
    }
    if taken.contains(&RuleName(name.clone())) {
        return value.problem(
            format!("two rules of the fleet are named `{name}`"),
            "give each rule a name of its own, or leave `name` out",
        );
    }
    Some(RuleName(name))
}

/// `threshold-cpu`, and `threshold-cpu-2` for the second rule of that kind on that signal.
fn free_name(kind: &RuleKind, taken: &BTreeSet<RuleName>) -> RuleName {
    let base = kind.default_name();
    let numbered = (2..).map(|n: u32| RuleName(format!("{base}-{n}")));
    let mut names = std::iter::once(base.clone()).chain(numbered);
    names.find(|name| !taken.contains(name)).unwrap_or(base.clone())
}

fn threshold(table: &Table<'_>, signals: &[SignalName]) -> Option<Threshold> {
    let signal = table.required("signal", "\"cpu\"", signal(signals));
    let scale_out = table.table("scale_out", scale_out);
    let scale_in = table.table("scale_in", scale_in);
    let cooldown = table.table("cooldown", cooldown);
    if !table.has("scale_out") && !table.has("scale_in") {
        table.problem(
            "the rule has neither `scale_out` nor `scale_in`".to_owned(),
            "add `scale_out = { above = 75 }`, `scale_in = { below = 30 }`, or both",
        );
    }
    if let (Some(out), Some(in_)) = (&scale_out, &scale_in)
        && in_.below >= out.above
    {
        table.problem_at(
            "scale_in",
            format!(
                "the rule scales in below {} and out above {}: nothing lies between",
                in_.below, out.above
            ),
            "keep `below` well under `above` (30 and 75, say), else the fleet swings to and fro",
        );
    }
    Some(Threshold { signal: signal?, scale_out, scale_in, cooldown: cooldown.unwrap_or(COOLDOWN) })
}

fn adaptive(table: &Table<'_>, signals: &[SignalName]) -> Option<Adaptive> {
    let signal = table.required("signal", "\"requests\"", signal(signals));
    let capacity = table.required("capacity", "250", positive);
    let preset = table.optional("preset", |value| value.one_of(&Adaptive::PRESETS));
    let price = table.optional("price", price);
    if table.has("preset") && table.has("price") {
        table.problem_at(
            "price",
            "the rule has both `preset` and `price`".to_owned(),
            "a preset is a price with a name: keep one of them",
        );
    }
    let boot = table.optional("boot", duration(BOOTS));
    let lag = table.or("lag", LAG, duration(LAGS));
    let window = table.or("window", WINDOW, duration(LAGS));
    let saturates = table.or("saturates", false, flag);
    Some(Adaptive {
        signal: signal?,
        capacity: capacity?,
        price: price.or(preset).unwrap_or(Adaptive::BALANCED),
        boot: Estimate { span: boot.unwrap_or(BOOT), learned: boot.is_none() },
        lag,
        window,
        // Filled in when the fleet's interval is known.
        interval: Span::secs(15),
        saturates,
    })
}

fn target(table: &Table<'_>, signals: &[SignalName]) -> Option<Target> {
    let signal = table.required("signal", "\"cpu\"", signal(signals));
    let target = table.required("target", "70", positive);
    let of = table.or("of", TargetOf::Average, |value| value.one_of(&TARGETS_OF));
    let tolerance = table.table("tolerance", |table| {
        Some(Tolerance {
            out: table.or("out", TOLERANCE, number(TOLERANCES)),
            in_: table.or("in", TOLERANCE, number(TOLERANCES)),
        })
    });
    let tolerance = tolerance.unwrap_or(Tolerance { out: TOLERANCE, in_: TOLERANCE });
    Some(Target { signal: signal?, target: target?, of, tolerance })
}

fn fixed(table: &Table<'_>) -> Option<Fixed> {
    let size = table.required("size", "6", count(0..=super::size::INSTANCES_MAX));
    Some(Fixed { size: size? })
}

/// The fleet of an adaptive rule ticks so often.
pub(super) fn ticks_every(rule: &mut Rule, every: Span) {
    if let RuleKind::Adaptive(rule) = &mut rule.kind {
        rule.interval = every;
    }
}

pub(super) fn positive(value: &Value<'_>) -> Option<f64> {
    let number = finite(value)?;
    if number > 0.0 {
        return Some(number);
    }
    value.problem(
        format!("`{}` is {number}", value.key),
        "write what one instance carries, a number above 0",
    )
}

fn price(value: &Value<'_>) -> Option<f64> {
    let number = finite(value)?;
    if PRICES.contains(&number) {
        return Some(number);
    }
    value.problem(
        format!("`price` is {number}"),
        format!(
            "write how many idle instances a missing one costs as much as, {} to {}",
            PRICES.start(),
            PRICES.end()
        ),
    )
}

pub(super) fn signal(signals: &[SignalName]) -> impl Fn(&Value<'_>) -> Option<SignalName> {
    move |value| {
        let name = word(value)?;
        let known = signals.iter().map(|signal| signal.0.as_str());
        if signals.iter().any(|signal| signal.0 == name) {
            return Some(SignalName(name));
        }
        value.problem(
            format!("the rule reads the signal `{}`, which is not defined", shown(&name)),
            if signals.is_empty() {
                "define it in a table [fleet.NAME.signal.NAME] (in a scenario: [[series]])"
                    .to_owned()
            } else {
                suggest::hint(&name, known, "the fleet's signals are")
            },
        )
    }
}

fn scale_out(table: &Table<'_>) -> Option<ScaleOut> {
    let above = table.required("above", "75", finite);
    let samples = table.or("samples", SAMPLES_OUT, samples);
    let by = table.or("by", BY, step("by", PERCENT_MAX_OUT));
    Some(ScaleOut { above: above?, samples, by })
}

fn scale_in(table: &Table<'_>) -> Option<ScaleIn> {
    let below = table.required("below", "30", finite);
    let samples = table.or("samples", SAMPLES_IN, samples);
    let by = table.or("by", BY, step("by", PERCENT_MAX_IN));
    Some(ScaleIn { below: below?, samples, by })
}

fn cooldown(table: &Table<'_>) -> Option<Cooldown> {
    let out = table.optional("out", duration(COOLDOWNS));
    Some(Cooldown {
        out: out.unwrap_or(COOLDOWN.out),
        learned_out: out.is_none(),
        in_: table.or("in", COOLDOWN.in_, duration(COOLDOWNS)),
    })
}

/// A run of samples; the daemon keeps no more than [`SAMPLES_KEPT`].
fn samples(value: &Value<'_>) -> Option<u32> {
    let most = u32::try_from(SAMPLES_KEPT).expect("a small constant");
    count(1..=most)(value)
}

/// A number of instances, or a percentage such as `"20%"`, as the value of `key`.
pub(super) fn step(key: &'static str, percent_max: f64) -> impl Fn(&Value<'_>) -> Option<Step> {
    move |value| {
        if !value.is_string() {
            return instances(1)(value).map(Step::Count);
        }
        let text = word(value)?;
        let percent = text.strip_suffix('%').and_then(|number| number.parse().ok());
        match percent.filter(|percent| *percent > 0.0 && *percent <= percent_max) {
            Some(percent) => Some(Step::Percent(percent)),
            None => value.problem(
                format!("`{key}` is {text:?}"),
                format!(
                    "write a number of instances without quotes, or a percentage above \"0%\" and \
                     up to \"{percent_max}%\""
                ),
            ),
        }
    }
}
