//! Cliffs: a signal that falls within moments while as many instances serve is more likely an outage before
//! them than idleness. Nothing is removed for it until that is clear.

use cloud::{Timestamp, clock};

use crate::model::{
    Cliff, Counterfactual, Direction, Point, Reason, Rule, Series, SignalName, Situation,
};

use super::Proposal;

/// Keeps the size while a cliff is fresh.
pub(super) fn hold(proposal: &mut Proposal, situation: &Situation<'_>) {
    if proposal.desired >= proposal.current {
        return;
    }
    let read: Vec<&SignalName> = situation.fleet.rules.iter().flat_map(Rule::signals).collect();
    let specs = situation.fleet.signals.iter().filter(|(signal, _)| read.contains(signal));
    for (signal, spec) in specs {
        let Some(cliff) = spec.cliff else { continue };
        let Some(fall) = newest(signal, cliff, situation) else { continue };
        let until = clock::after(fall.at, cliff.hold.get());
        if situation.now >= until {
            continue;
        }
        let Fall { from, to, .. } = fall;
        proposal.desired = proposal.current;
        proposal.block(Reason::Cliff { signal: signal.clone(), from, to, until });
        proposal.counterfactuals.push(Counterfactual::After { direction: Direction::In, until });
        return;
    }
}

/// A value that fell off a cliff.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Fall {
    at: Timestamp,
    from: f64,
    to: f64,
    /// A value that is not above this belongs to the same cliff.
    below: f64,
}

/// The newest cliff of a signal, this tick's value included. It begins with the first value below it: what
/// stays low is no new one.
fn newest(signal: &SignalName, cliff: Cliff, situation: &Situation<'_>) -> Option<Fall> {
    let points = points(signal, situation);
    let mut found: Option<Fall> = None;
    let mut is_low = false;
    for (n, point) in points.iter().enumerate() {
        let (Some(to), true) = (point.value, point.seen <= situation.now) else { continue };
        is_low &= found.is_some_and(|fall| to <= fall.below);
        if is_low {
            continue;
        }
        // A value holds until the next one.
        let before = points[..n]
            .iter()
            .zip(&points[1..])
            .filter(|(_, next)| clock::age(point.seen, next.seen) <= cliff.within.get());
        let highest = before
            .filter_map(|(before, _)| Some((before.seen, before.value?)))
            .max_by(|(_, a), (_, b)| a.total_cmp(b));
        let Some((then, from)) = highest else { continue };
        let below = from * shared_by_more(situation, then, point.seen) * (1.0 - cliff.drop);
        if from > 0.0 && to <= below {
            found = Some(Fall { at: point.seen, from, to, below });
            is_low = true;
        }
    }
    found
}

/// The values of `signal`, oldest first; that of this tick is no part of the past yet.
fn points(signal: &SignalName, situation: &Situation<'_>) -> Vec<Point> {
    let series = situation.past.signals.get(signal).map(|memory| &memory.series);
    let mut points: Vec<Point> = series.into_iter().flat_map(Series::points).copied().collect();
    let newest = points.iter().rfind(|point| point.value.is_some()).map(|p| p.measured_at);
    if let Some(measured) = situation.measured(signal)
        && newest.is_none_or(|newest| measured.measured_at > newest)
    {
        let (seen, measured_at) = (situation.now, measured.measured_at);
        points.push(Point { seen, measured_at, value: Some(measured.value) });
    }
    points
}

/// The part of its load at `then` that each instance keeps at `now`, at most 1: more instances share the load,
/// and that is what a scale-out is for. 1 where it is not known who served.
fn shared_by_more(situation: &Situation<'_>, then: Timestamp, now: Timestamp) -> f64 {
    let past = situation.past;
    let serve = (now == situation.now).then_some(situation.census.in_service);
    match (past.in_service_at(then), serve.or(past.in_service_at(now))) {
        (Some(before), Some(after)) if after > before => f64::from(before) / f64::from(after),
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::{self, ago, now, running};
    use crate::model::{History, Measured, Sample, SignalMemory, Span};

    const CLIFF: Cliff = Cliff { drop: 0.6, within: Span::secs(120), hold: Span::secs(600) };

    /// The newest cliff of these values, each seen so many seconds ago: at 0 in this tick.
    fn cliff(values: &[(u64, f64)], served: &[(u64, u32)]) -> Option<(u64, f64, f64)> {
        let mut memory = SignalMemory::default();
        for (secs, value) in values.iter().filter(|(secs, _)| *secs > 0) {
            let at = ago(*secs);
            let measured = Measured {
                value: *value,
                measured_at: at,
                true_at: at,
                reporting: None,
                in_service: None,
            };
            memory.read(measured, None, at);
        }
        let mut history =
            History { signals: [("cpu".into(), memory)].into(), ..History::default() };
        history.in_service = served.iter().map(|(secs, count)| (ago(*secs), *count)).collect();
        let serve = served.last().map_or(0, |(_, count)| *count);
        let mut inputs = fixtures::inputs(fixtures::fleet(1, 99), running(serve), history);
        let of_now = values.iter().find(|(secs, _)| *secs == 0).map(|(_, value)| *value);
        let sample =
            |value| Sample { value, measured_at: now(), age: Span::secs(0), reporting: None };
        inputs.signals =
            of_now.map(|value| ("cpu".into(), Ok(sample(value)))).into_iter().collect();
        let census = inputs.census();
        let fall = newest(&"cpu".into(), CLIFF, &inputs.situation(&census))?;
        Some((clock::age(now(), fall.at).as_secs(), fall.from, fall.to))
    }

    #[test]
    fn a_steep_fall_is_a_cliff_and_a_slow_one_or_an_answered_one_is_none() {
        let four = &[(900, 4)][..];
        let steep = &[(300, 70.0), (285, 72.0), (270, 10.0), (255, 9.0)][..];
        assert_eq!(cliff(steep, four), Some((270, 72.0, 10.0)));
        let slow: Vec<(u64, f64)> =
            (0..20_u32).map(|n| (u64::from(600 - n * 30), 80.0 - f64::from(n) * 4.0)).collect();
        assert_eq!(cliff(&slow[..14], four), None, "it takes minutes");
        assert_eq!(cliff(&[(300, 70.0), (285, 40.0)], four), None, "not so deep");
        let more = &[(900, 2), (280, 8)][..];
        assert_eq!(cliff(&[(300, 80.0), (270, 20.0)], more), None, "four times as many share it");
        assert_eq!(cliff(&[(300, 0.0), (285, 0.0)], four), None);
    }

    #[test]
    fn one_more_instance_explains_a_small_fall_and_no_cliff() {
        let one_more = &[(900, 10), (280, 11)][..];
        assert_eq!(cliff(&[(300, 80.0), (270, 0.5)], one_more), Some((270, 80.0, 0.5)));
        assert_eq!(cliff(&[(300, 80.0), (270, 30.0)], one_more), None);
        let fewer = &[(900, 10), (280, 5)][..];
        assert_eq!(cliff(&[(300, 80.0), (270, 33.0)], fewer), None, "not by 60 %");
    }

    #[test]
    fn a_cliff_is_seen_in_the_tick_in_which_it_shows() {
        let four = &[(900, 4)][..];
        assert_eq!(cliff(&[(30, 70.0), (15, 72.0), (0, 3.0)], four), Some((0, 72.0, 3.0)));
        assert_eq!(cliff(&[(30, 70.0), (15, 5.0), (0, 5.0)], four), Some((15, 70.0, 5.0)));
    }

    #[test]
    fn what_stays_low_is_no_new_cliff() {
        let four = &[(900, 4)][..];
        let values = &[(600, 70.0), (585, 10.0), (570, 10.5), (555, 10.2), (300, 10.3)][..];
        assert_eq!(cliff(values, four), Some((585, 70.0, 10.0)));
    }
}
