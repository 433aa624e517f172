//! A decision in sentences for a terminal. Pure.

use crate::api::shape::{
    ActionTaken, BrakeView, CostView, DecisionView, FleetView, LimitsView, SawView, ShadowNowView,
    SignalView, SizesView,
};
use crate::cli::output::wrap;
use crate::cli::paint::{Paint, Painted, plain};
use crate::model::{number, plural};

/// Room for the word before each sentence.
const LABEL: usize = 9;

/// The decision, with the one before it and the fleet as it is now.
pub(super) fn page(
    decision: &DecisionView,
    before: Option<&DecisionView>,
    now: Option<&FleetView>,
    columns: usize,
) -> Vec<Painted> {
    let at = decision.decided_at.format("%H:%M:%S");
    let day = decision.decided_at.format("%Y-%m-%d");
    let title = format!("{} at {at} (UTC, {day}): {}", decision.fleet, outcome(decision));
    let mut page = vec![plain(title), Vec::new()];
    let mut tell = |paint: Paint, label: &str, text: &str| {
        for (n, line) in wrap(text, columns.saturating_sub(LABEL)).into_iter().enumerate() {
            let label = if n == 0 { label } else { "" };
            page.push(vec![(Paint::Past, format!("{label:<LABEL$}")), (paint, line)]);
        }
    };
    match &decision.saw {
        Some(saw) => tell(Paint::Plain, "It saw", &seen(saw, &decision.signals)),
        None => {
            tell(Paint::Past, "It saw", "what it was made from is not kept any more (two days).")
        }
    }
    for rule in &decision.rules {
        let asks = match rule.asks_instances {
            Some(asks) => format!("{} wants {asks}", rule.rule),
            None => format!("{} has no opinion", rule.rule),
        };
        tell(Paint::Plain, "Rule", &sentence(&asks, rule.because.iter().map(|r| &r.text)));
    }
    // The reasons that no rule gave.
    let told: Vec<&str> =
        decision.rules.iter().flat_map(|r| &r.because).map(|r| r.text.as_str()).collect();
    let others: Vec<&String> = decision
        .reasons
        .iter()
        .map(|reason| &reason.text)
        .filter(|text| !told.contains(&text.as_str()))
        .collect();
    if !others.is_empty() {
        let label = if decision.rules.is_empty() { "Because" } else { "Also" };
        tell(Paint::Plain, label, &format!("{}.", joined(others)));
    }
    if let Some(limits) = &decision.limits {
        tell(Paint::Plain, "Limits", &limited(limits, decision));
    }
    for moved in &decision.moves {
        tell(Paint::Plain, "Did", &format!("{moved}."));
    }
    for action in &decision.actions {
        tell(Paint::Plain, "Did", &done(action));
    }
    for shortfall in &decision.shortfalls {
        tell(Paint::Waits, "Short", &format!("{shortfall}."));
    }
    if !decision.would_change.is_empty() {
        let texts = decision.would_change.iter().map(|would| &would.text);
        tell(Paint::Plain, "Else", &format!("{}.", joined(texts.collect())));
    }
    if let Some(before) = before {
        let at = before.decided_at.format("%H:%M:%S");
        tell(Paint::Past, "Before", &format!("{at} {}.", in_words(&before.summary)));
    }
    if let Some(now) = now
        && let (Some(seen_at), Some(why)) = (now.seen_at, &now.why)
        && seen_at > decision.decided_at
    {
        let mut text = format!("{} {}", seen_at.format("%H:%M:%S"), in_words(why));
        // A decision that says the same is not kept again, and the instances it saw may have booted.
        if let Some(instances) = &now.instances {
            text.push_str(&format!("; {}", sizes(instances)));
        }
        tell(Paint::Plain, "Now", &format!("{text}."));
    }
    if let Some(shadow) = now.and_then(|now| now.shadow.as_ref()) {
        tell(Paint::Plain, "Shadow", &shadowed(shadow));
    }
    if let Some(cost) = now.and_then(|now| now.cost.as_ref()) {
        tell(Paint::Plain, "Costs", &costs(cost));
    }
    if let Some(trouble) = now.and_then(|now| now.trouble.as_ref()) {
        let since = trouble.since.format("%H:%M:%S");
        tell(Paint::Bad, "Trouble", &format!("no tick since {since}: {}.", trouble.message));
    }
    page
}

/// `its shadow rules want 9, the live ones 6, since 12:03:00: load = 1,200 calls for 9.`
fn shadowed(shadow: &ShadowNowView) -> String {
    let ShadowNowView { shadow_desired_instances, live_desired_instances, differs_since, .. } =
        shadow;
    let wants = match differs_since {
        Some(since) => format!(
            "its shadow rules want {shadow_desired_instances}, the live ones {live_desired_instances}, \
             since {}",
            since.format("%H:%M:%S"),
        ),
        None => format!("its shadow rules want {shadow_desired_instances}, too"),
    };
    sentence(&wants, shadow.reasons.iter().map(|reason| &reason.text))
}

/// `2.00 CNY an hour, 48.00 a day, for 4 instances; of 1 the price is not known.`
fn costs(cost: &CostView) -> String {
    let CostView { amount_per_hour, currency, priced_instances, unpriced_instances } = cost;
    let unknown = match unpriced_instances {
        0 => String::new(),
        n => format!("; of {n} more the price is not known"),
    };
    format!(
        "{amount_per_hour:.2} {currency} an hour, {:.2} a day, for {}{unknown}.",
        amount_per_hour * 24.0,
        plural(*priced_instances, "instance"),
    )
}

/// `4 → 6`, or `stays at 4`.
fn outcome(decision: &DecisionView) -> String {
    let current = decision.current_instances;
    let goal = current + decision.launched_instances - decision.removed_instances.min(current);
    if goal == current { format!("stays at {current}") } else { format!("{current} → {goal}") }
}

/// A summary of the past: `stays at 4` becomes `stayed at 4`.
fn in_words(summary: &str) -> String {
    match summary.strip_prefix("stays at") {
        Some(rest) => format!("stayed at{rest}"),
        None => summary.to_owned(),
    }
}

/// `head: one; two.`, or `head.`.
fn sentence<'a>(head: &str, texts: impl Iterator<Item = &'a String>) -> String {
    let texts = joined(texts.collect());
    if texts.is_empty() { format!("{head}.") } else { format!("{head}: {texts}.") }
}

fn joined(texts: Vec<&String>) -> String {
    texts.into_iter().map(String::as_str).collect::<Vec<_>>().join("; ")
}

/// `4 in service, none coming. cpu = 88.1, measured 12 s before, by 4 of 4 instances.`
fn seen(saw: &SawView, signals: &[SignalView]) -> String {
    let mut text = sizes(&saw.instances);
    text.push('.');
    for signal in signals {
        text.push_str(&format!(" {}", measured(signal, saw.instances.serving)));
    }
    for doubt in &saw.doubts {
        text.push_str(&format!(" The listing was not believed: {doubt}."));
    }
    text
}

/// `4 in service, none coming, 1 leaving`
fn sizes(instances: &SizesView) -> String {
    let SizesView {
        serving,
        warming_up,
        booting,
        requested,
        draining,
        leaving,
        standby,
        failed,
        unreachable,
    } = *instances;
    let coming = match warming_up + booting + requested {
        0 => "none coming".to_owned(),
        coming => format!("{coming} coming"),
    };
    let mut text = format!("{serving} in service, {coming}");
    for (count, what) in [
        (draining, "draining"),
        (leaving, "leaving"),
        (standby, "on standby"),
        (failed, "failed"),
        (unreachable, "unreachable"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text
}

fn measured(signal: &SignalView, serving: u32) -> String {
    let name = &signal.signal;
    let Some(value) = signal.value else {
        let why = signal.missing.as_ref().map_or("", |missing| missing.text.as_str());
        return format!("{name} was missing: {why}.");
    };
    let age = signal.age_secs.unwrap_or(0);
    let by = match signal.reporting_instances {
        Some(reporting) if reporting <= serving => {
            format!(", by {reporting} of {}", plural(serving, "instance"))
        }
        // They served when it was measured.
        Some(reporting) => format!(", by {}", plural(reporting, "instance")),
        None => String::new(),
    };
    format!("{name} = {}, measured {age} s before{by}.", number(value))
}

/// `bounds 2..20, brake 2 of 60 launches this hour: none applied.`
fn limited(limits: &LimitsView, decision: &DecisionView) -> String {
    let bounds = limits.bounds;
    let mut parts = vec![format!("bounds {}..{}", bounds.min_instances, bounds.max_instances)];
    parts.extend(brake("brake", &limits.fleet));
    parts.extend(brake("the account's brake", &limits.account));
    parts.extend(limits.holds.iter().map(|hold| {
        let what = hold.holds.replace('_', "-");
        let until = hold.until.format("%H:%M:%SZ");
        format!("{what} held by {} until {until}", hold.author)
    }));
    let applied = match &decision.blocked_by {
        None => "none applied".to_owned(),
        Some(blocked) => format!("blocked, because {}", blocked.text),
    };
    format!("{}: {applied}.", parts.join(", "))
}

fn brake(whose: &str, brake: &BrakeView) -> Option<String> {
    let mut used = Vec::new();
    if let Some(most) = brake.launches_per_hour_max {
        used.push(format!("{} of {most} launches", brake.launches_last_hour));
    }
    if let Some(most) = brake.removals_per_hour_max {
        used.push(format!("{} of {most} removals", brake.removals_last_hour));
    }
    (!used.is_empty()).then(|| format!("{whose} {} this hour", used.join(" and ")))
}

/// `launch 2 × … in …: accepted as i-1, i-2 after 1.2 s; both served after 74 s.`
fn done(action: &ActionTaken) -> String {
    let Some(outcome) = &action.outcome else {
        return format!("{}: nothing is recorded of what came of it.", action.action);
    };
    let mut text = outcome.clone();
    if let Some(after) = action.answered_after_secs {
        text.push_str(&format!(", after {} s", number(after)));
    }
    let who = match action.launched.len() {
        0 => return format!("{text}."),
        1 => "it".to_owned(),
        2 => "both".to_owned(),
        more => format!("all {more}"),
    };
    match action.served_after_secs {
        Some(after) => text.push_str(&format!("; {who} served after {after} s")),
        None => text.push_str("; not all of it serves yet"),
    }
    format!("{text}.")
}

#[cfg(test)]
mod tests;
