//! `kind = "step"`, `"queue"` and `"external"`: rules that turn a value straight into a size.

use super::rule::{positive, signal};
use super::size::instances;
use super::table::Table;
use super::value::{count, duration, finite};
use crate::model::{Band, Bands, External, Queue, SignalName, Span};

/// Ten minutes: a job that waits for longer is noticed by somebody.
const WITHIN: Span = Span::secs(600);
/// Below 10 s no instance could help in time; a day is a schedule's affair.
const WITHINS: std::ops::RangeInclusive<Span> = Span::secs(10)..=Span::secs(24 * 3600);
/// More jobs at once on one instance are one queue more.
const SLOTS_MAX: u32 = 10_000;

pub(super) fn step(table: &Table<'_>, signals: &[SignalName]) -> Option<Bands> {
    let signal = table.required("signal", "\"players\"", signal(signals));
    let lowest = table.required("size", "2", instances(0));
    let bands = table.list("steps", |table| {
        let from = table.required("from", "100", finite);
        let size = table.required("size", "5", instances(0));
        Some(Band { from: from?, size: size? })
    });
    if table.len("steps").is_none_or(|len| len == 0) {
        table.problem(
            "the rule has no steps".to_owned(),
            "add `steps = [{ from = 100, size = 5 }]`: the size from that value on",
        );
    }
    let sizes = lowest.into_iter().chain(bands.iter().map(|band| band.size));
    let rises = sizes.collect::<Vec<_>>().windows(2).all(|pair| pair[0] <= pair[1]);
    let ascends = bands.windows(2).all(|pair| pair[0].from < pair[1].from);
    if !rises || !ascends {
        table.problem_at(
            "steps",
            match ascends {
                false => "the steps are not in the order of their `from`".to_owned(),
                true => "a higher value asks for fewer instances".to_owned(),
            },
            "write them from the lowest to the highest, with `size` growing; the rule's own `size` is \
             the one below them all",
        );
    }
    Some(Bands { signal: signal?, lowest: lowest?, bands })
}

pub(super) fn queue(table: &Table<'_>, signals: &[SignalName]) -> Option<Queue> {
    let waiting = table.required("signal", "\"backlog\"", signal(signals));
    let running = table.optional("running", signal(signals));
    let per_minute = table.required("per_minute", "4", positive);
    let within = table.or("within", WITHIN, duration(WITHINS));
    let slots = table.optional("slots", count(1..=SLOTS_MAX));
    if table.has("slots") && !table.has("running") {
        table.problem_at(
            "slots",
            "the rule has `slots` and nothing that says how many jobs run".to_owned(),
            "add `running = \"…\"`, a signal of the jobs that are being worked on, or remove `slots`",
        );
    }
    Some(Queue { signal: waiting?, running, per_minute: per_minute?, within, slots })
}

pub(super) fn external(table: &Table<'_>, signals: &[SignalName]) -> Option<External> {
    let signal = table.required("signal", "\"recommended_size\"", signal(signals));
    Some(External { signal: signal? })
}
