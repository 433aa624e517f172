//! Why a fleet is as it is, in some twenty characters: for a line that has no room for more.

use crate::control::TickReport;
use crate::model::{Direction, Reason, number};

/// The most important reason of a tick.
pub(super) fn headline(report: &TickReport) -> String {
    let decision = &report.decision;
    let asked = report.rules.iter().filter_map(|rule| rule.wants).max();
    if let Some(asked) = asked.filter(|asked| *asked > report.bounds.max)
        && decision.desired >= report.bounds.max
    {
        return format!("at max: would want {asked}");
    }
    let first = decision.blocked_by.as_ref().or(decision.reasons.first());
    first.map_or_else(|| "nothing to do".to_owned(), short)
}

fn short(reason: &Reason) -> String {
    let side = |direction: &Direction| match direction {
        Direction::Out => '>',
        Direction::In => '<',
    };
    match reason {
        Reason::Crossed { signal, direction, bound, samples, .. } => format!(
            "{signal} {} {} for {samples} {}",
            side(direction),
            number(*bound),
            if *samples == 1 { "sample" } else { "samples" },
        ),
        Reason::RunIncomplete { signal, direction, bound, have, need, .. } => {
            format!("{signal} {} {}, {have} of {need}", side(direction), number(*bound))
        }
        Reason::WithinBand { signal, .. } => format!("{signal} within its band"),
        Reason::Missing { signal, .. } => format!("{signal} is missing"),
        Reason::CoolingDown { direction, until } => {
            format!("{direction} after {}", until.format("%H:%MZ"))
        }
        Reason::Held { hold } => match hold.direction {
            Some(direction) => format!("{direction} held"),
            None => "held".to_owned(),
        },
        Reason::Answered { capacity, .. } => format!("{capacity} answer it already"),
        Reason::Unfinished { target } => format!("not yet at {target}"),
        Reason::Replacing { target } => format!("lost some: to {target}"),
        Reason::Stabilizing { highest, .. } => format!("wanted {highest} just now"),
        Reason::RaisedToMin { min } => format!("below min = {min}"),
        Reason::LoweredToMax { max } => format!("above max = {max}"),
        Reason::CappedAtMax { max } => format!("at max = {max}"),
        Reason::FlooredAtMin { min } => format!("at min = {min}"),
        Reason::Braked { limit, .. } => format!("brake: {limit} an hour"),
        Reason::Paced { limit, .. } => format!("limit: {limit}"),
        Reason::AccountStopped { .. } => "launches stopped".to_owned(),
        Reason::Doubt { .. } => "listing in doubt".to_owned(),
        other => other.to_string(),
    }
}
