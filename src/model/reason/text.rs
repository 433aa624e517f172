//! A reason in words.

use std::fmt;

use super::{BrakeScope, Reason};
use crate::model::Direction;
use crate::model::decision::{clock_time, number, plural, sign};

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Crossed { signal, direction, value, bound, samples, by, from } => {
                let run =
                    if *samples == 1 { String::new() } else { format!(" for {samples} samples") };
                let verb = if *direction == Direction::Out { "add" } else { "remove" };
                write!(
                    f,
                    "{signal} = {} {} {}{run}: {verb} {by}",
                    number(*value),
                    sign(*direction),
                    number(*bound),
                )?;
                match from {
                    Some(from) => write!(f, ", counted from the {from} that it was measured with"),
                    None => Ok(()),
                }
            }
            // The newest sample is past the bound and does not count: it shows no effect of an action.
            Reason::RunIncomplete { signal, direction, value, bound, have: 0, .. } => write!(
                f,
                "{signal} = {} {} {}, measured before the last action ended",
                number(*value),
                sign(*direction),
                number(*bound),
            ),
            Reason::RunIncomplete { signal, direction, value, bound, have, need } => write!(
                f,
                "{signal} = {} {} {} for {have} of {need} samples",
                number(*value),
                sign(*direction),
                number(*bound),
            ),
            Reason::WithinBand { signal, value } => {
                write!(f, "{signal} = {} is within its band", number(*value))
            }
            Reason::Expected(outlook) => write!(f, "{outlook}"),
            Reason::AgainstTarget { signal, value, target, measured_with, size } => write!(
                f,
                "{signal} = {} with {measured_with} in service, target {}: {size}",
                number(*value),
                number(*target),
            ),
            Reason::InBand { signal, value, from, size } => {
                write!(f, "{signal} = {}", number(*value))?;
                match from {
                    Some(from) => write!(f, ", from {} on: {size}", number(*from)),
                    None => write!(f, ", below every step: {size}"),
                }
            }
            Reason::Backlog { signal, waiting, running, within, size } => {
                write!(f, "{signal}: {} waiting", number(*waiting))?;
                if *running > 0.0 {
                    write!(f, " and {} running", number(*running))?;
                }
                write!(f, ", to be done in {within}: {size}")
            }
            Reason::Recommended { signal, size } => write!(f, "{signal} recommends {size}"),
            Reason::NoSize { signal, value } => {
                write!(f, "{signal} = {} is no size", number(*value))
            }
            Reason::WouldSwing { signal, projected, bound, size } => write!(
                f,
                "{signal} would be {} > {} with fewer than {size}, and they would come back",
                number(*projected),
                number(*bound),
            ),
            Reason::Scheduled { rule, min, max, until } => {
                write!(f, "{rule} says {}", sizes(*min, *max))?;
                match until {
                    Some(until) => write!(f, " until {}", day_and_time(*until)),
                    None => write!(f, " at other times"),
                }
            }
            Reason::Instructed { author, min, max, until } => {
                write!(f, "{author} says {} until {}", sizes(*min, *max), day_and_time(*until))
            }
            Reason::Cliff { signal, from, to, until } => write!(
                f,
                "{signal} fell from {} to {} within moments, which may be an outage: no fewer until {}",
                number(*from),
                number(*to),
                clock_time(*until)
            ),
            Reason::Regretted { signal, value, above, floor } => write!(
                f,
                "{signal} = {} > {} since the last scale-in: back to {floor}",
                number(*value),
                number(*above)
            ),
            Reason::Regretting { floor, until } => write!(
                f,
                "the last scale-in was regretted: no fewer than {floor} until {}",
                clock_time(*until)
            ),
            Reason::Forbidden { rule, direction, until } => {
                write!(f, "{rule} forbids a {direction} until {}", day_and_time(*until))
            }
            Reason::Fixed { size } => write!(f, "the size is fixed at {size}"),
            Reason::Relearning { signal, until } => write!(
                f,
                "the course of {signal} is not known yet: no fewer until {}",
                clock_time(*until)
            ),
            Reason::Missing { signal, gap } => write!(f, "{signal} is missing: {gap}"),
            Reason::CoolingDown { direction, until } => {
                write!(f, "{direction} cool-down until {}", clock_time(*until))
            }
            Reason::NoRecordYet { until } => write!(
                f,
                "the records begin here and a scale-in may have just ended: no scale-in until {}",
                clock_time(*until),
            ),
            Reason::Unfinished { target } => {
                write!(f, "the scale-out to {target} is not complete")
            }
            Reason::Replacing { target } => {
                write!(f, "instances were lost: back to {target}")
            }
            Reason::NeverBooted { target } => {
                write!(f, "instances did not boot in time: back to {target}")
            }
            Reason::Answered { signal, measured_with, capacity } if capacity < measured_with => {
                write!(
                    f,
                    "{signal} was measured with {measured_with} in service, of which {capacity} are left",
                )
            }
            Reason::Answered { signal, measured_with, capacity } => write!(
                f,
                "{signal} was measured with {measured_with} in service and is answered by the \
                 {capacity} that there are now or soon",
            ),
            Reason::Partial { signal, reporting, in_service, min_coverage } => write!(
                f,
                "{signal} is reported by {reporting} of {in_service} instances, below \
                 min_coverage = {}",
                number(*min_coverage),
            ),
            Reason::FellBack { signal, to } => {
                write!(f, "{signal} is missing: at least {to} instances until it is back")
            }
            Reason::Stabilizing { highest, until } => write!(
                f,
                "{highest} were recommended a short while ago: no fewer until {}",
                clock_time(*until),
            ),
            Reason::Held { hold } => write!(f, "{hold}"),
            Reason::Braked { direction, scope, limit, used } => {
                let what = match direction {
                    Direction::Out => "launches",
                    Direction::In => "removals",
                };
                let whose = match scope {
                    BrakeScope::Fleet => "the fleet",
                    BrakeScope::Account => "the account",
                };
                write!(f, "brake: {whose} had {used} of {limit} {what} within the hour")
            }
            Reason::Paced { direction, limit, used, until } => {
                let (limits, what) = match direction {
                    Direction::Out => ("scale_out_limits", "launched"),
                    Direction::In => ("scale_in_limits", "removed"),
                };
                write!(f, "{limits} = {limit}: {used} were {what} within that")?;
                if *used > 0 { write!(f, ", more from {} on", clock_time(*until)) } else { Ok(()) }
            }
            Reason::LaunchesFailed { in_a_row, stopped, until, why } => {
                write!(
                    f,
                    "{} in a row failed ({why}): {} until {}",
                    plural(*in_a_row, "launch"),
                    if *stopped { "stopped" } else { "the next one waits" },
                    clock_time(*until),
                )
            }
            Reason::AccountStopped { class, until, why } => write!(
                f,
                "launches of the account stopped until {} ({class}): {why}",
                clock_time(*until),
            ),
            Reason::Probing => f.write_str("one instance is tried first"),
            Reason::ZoneLost { zone, instances } => write!(
                f,
                "{} of {zone} {} silent and not counted",
                plural(*instances, "instance"),
                if *instances == 1 { "is" } else { "are" },
            ),
            Reason::Outvoted { signal } => {
                write!(f, "{signal} does not agree to a scale-in")
            }
            Reason::RaisedToMin { min } => write!(f, "below min = {min}"),
            Reason::LoweredToMax { max } => write!(f, "above max = {max}"),
            Reason::CappedAtMax { max } => write!(f, "max = {max} is reached"),
            Reason::FlooredAtMin { min } => write!(f, "min = {min} is reached"),
            Reason::FailedCountAgainstMax { failed, max } => write!(
                f,
                "{} still {} against max = {max}",
                plural(*failed, "failed instance"),
                if *failed == 1 { "exists and counts" } else { "exist and count" },
            ),
            Reason::LeavingCountAgainstMax { leaving, max } => write!(
                f,
                "{} on the way out still {} against max = {max}",
                plural(*leaving, "instance"),
                if *leaving == 1 { "counts" } else { "count" },
            ),
            Reason::Doubt { why } => write!(f, "the inventory is in doubt: {why}"),
            Reason::EndOpen { instances } => write!(
                f,
                "it is not known yet whether {} {} ended",
                plural(*instances, "instance"),
                if *instances == 1 { "was" } else { "were" },
            ),
            Reason::OutcomeOpen { instances } => write!(
                f,
                "the outcome of a launch of {} is not known yet",
                plural(*instances, "instance"),
            ),
        }
    }
}

/// With the day: an entry of a schedule may last for weeks.
/// `6`, `4 to 9`, `at least 4`
fn sizes(min: Option<u32>, max: Option<u32>) -> String {
    match (min, max) {
        (Some(min), Some(max)) if min == max => min.to_string(),
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("at least {min}"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => "nothing".to_owned(),
    }
}

fn day_and_time(at: cloud::Timestamp) -> String {
    at.format("%Y-%m-%d %H:%MZ").to_string()
}
