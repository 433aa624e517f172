//! `/v1/fleets/{fleet}/series`: the course of a fleet over time, from the journal, for charts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use chrono::{DateTime, Utc};
use cloud::{Timestamp, clock};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::{ErrorView, Refusal};
use super::shape::at;
use super::{Api, Query};
use crate::journal::{Look, Said};
use crate::model::{Decided, Event, Fleet, RuleKind, SignalName, Span, Ticked};

/// A day, unless less is asked for; the journal keeps more, but a chart of it is no chart any more.
const SINCE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
const SINCE: Duration = Duration::from_secs(24 * 3600);
/// Points of a chart that is as wide as a screen.
const POINTS: u64 = 1_000;
/// Marks of a chart: more of them cover each other.
const MARKS: usize = 500;

/// Which part.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// How far back, such as `24h`; at most `7d`.
    since: Option<String>,
}

/// The course of one fleet. All lists but `decisions` have the same length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct SeriesView {
    pub fleet: String,
    /// From one point to the next; each is the last tick of its step.
    pub step_secs: u64,
    /// Unix seconds.
    pub at: Vec<i64>,
    pub serving_instances: Vec<Option<u32>>,
    /// All that serve or soon will.
    pub current_instances: Vec<Option<u32>>,
    pub desired_instances: Vec<Option<u32>>,
    pub signals: Vec<SignalSeriesView>,
    /// Those that changed the size, or were kept from it.
    pub decisions: Vec<MarkView>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct SignalSeriesView {
    pub signal: String,
    /// `null` is a gap.
    pub values: Vec<Option<f64>>,
    /// Bounds of rules on it, as they are configured now.
    pub bounds: Vec<BoundView>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct BoundView {
    /// `scale_out_above`, `scale_in_below`, or `target`.
    pub bound: String,
    pub value: f64,
}

/// A decision as a mark in a chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct MarkView {
    pub id: uuid::Uuid,
    pub at: DateTime<Utc>,
    /// `out`, `in`, or `blocked`.
    pub kind: String,
    pub summary: String,
}

/// Its course of the last day, or as far back as is asked for: sizes, signals and decisions.
#[utoipa::path(
    get, path = "/v1/fleets/{fleet}/series", tag = "fleets",
    params(("fleet", description = "Its name"), Which),
    responses(
        (status = 200, body = SeriesView), (status = 400, body = ErrorView),
        (status = 404, body = ErrorView), (status = 503, body = ErrorView)
    )
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Path(fleet): Path<String>,
    Query(Which { since }): Query<Which>,
) -> Result<Json<SeriesView>, Refusal> {
    let member = api.fleet(&fleet)?;
    let since = match since.as_deref().map(str::parse::<Span>) {
        None => SINCE,
        Some(Ok(span)) if span.get() <= SINCE_MAX && !span.get().is_zero() => span.get(),
        Some(_) => {
            let hint = "write how far back: 1h, 24h, at most 7d";
            return Err(Refusal::bad_request("`since` is no time span up to 7 days", hint));
        }
    };
    let now = api.world.clock.now();
    let look = Look {
        fleet: Some(member.fleet.id.clone()),
        since: Some(clock::before(now, since)),
        kinds: ["tick", "decision"].map(str::to_owned).into(),
        ..Look::default()
    };
    let mut course = Course::new(clock::before(now, since), since);
    for entry in api.world.journal.reader().look(&look).await? {
        match entry.said {
            Ok(Said::Fleet(Event::Ticked(ticked))) => course.ticked(&ticked),
            Ok(Said::Fleet(Event::Decided(decided))) => course.decided(&decided),
            _ => {}
        }
    }
    Ok(Json(course.view(&member.fleet)))
}

/// Ticks by the step that they fall into.
struct Course {
    from: Timestamp,
    step: u64,
    steps: BTreeMap<u64, Ticked>,
    marks: Vec<MarkView>,
}

impl Course {
    fn new(from: Timestamp, length: Duration) -> Course {
        let step = length.as_secs().div_ceil(POINTS).max(1);
        Course { from, step, steps: BTreeMap::new(), marks: Vec::new() }
    }

    fn ticked(&mut self, ticked: &Ticked) {
        let step = clock::age(ticked.at, self.from).as_secs() / self.step;
        self.steps.insert(step, ticked.clone());
    }

    fn decided(&mut self, decided: &Decided) {
        let decision = &decided.decision;
        let kind = match (decision.add, decision.remove, &decision.blocked_by) {
            (1.., _, _) => "out",
            (_, 1.., _) => "in",
            (_, _, Some(_)) if decision.recommended != decision.current => "blocked",
            _ => return,
        };
        if self.marks.len() == MARKS {
            self.marks.remove(0);
        }
        self.marks.push(MarkView {
            id: decided.id.0,
            at: at(decided.at),
            kind: kind.to_owned(),
            summary: decision.to_string(),
        });
    }

    fn view(self, fleet: &Fleet) -> SeriesView {
        let Course { step, steps, marks, .. } = self;
        // What is missing between two ticks (the daemon was down) is a gap, and no line.
        let mut rows: Vec<(i64, Option<&Ticked>)> = Vec::with_capacity(steps.len());
        let mut last: Option<u64> = None;
        // Ticks come at most once a step, and a quiet fleet's interval may be longer than one.
        let patience = steps.keys().zip(steps.keys().skip(1)).map(|(a, b)| b - a).min();
        for (n, ticked) in &steps {
            if last.zip(patience).is_some_and(|(last, patience)| n - last > 4 * patience) {
                let before = clock::before(ticked.at, Duration::from_secs(step));
                rows.push((before.timestamp(), None));
            }
            rows.push((ticked.at.timestamp(), Some(ticked)));
            last = Some(*n);
        }
        let sizes = |of: fn(&Ticked) -> u32| rows.iter().map(|(_, t)| t.map(of)).collect();
        let signal = |name: &SignalName| SignalSeriesView {
            signal: name.0.clone(),
            values: rows
                .iter()
                .map(|(_, ticked)| ticked.and_then(|t| t.samples.get(name)).map(|s| s.value))
                .collect(),
            bounds: bounds(fleet, name),
        };
        SeriesView {
            fleet: fleet.id.0.clone(),
            step_secs: step,
            at: rows.iter().map(|(at, _)| *at).collect(),
            serving_instances: sizes(|ticked| ticked.in_service),
            current_instances: sizes(|ticked| ticked.current),
            desired_instances: sizes(|ticked| ticked.desired),
            signals: fleet.signals.keys().map(signal).collect(),
            decisions: marks,
        }
    }
}

/// The figures of the fleet's rules that can be drawn beside `signal`.
fn bounds(fleet: &Fleet, signal: &SignalName) -> Vec<BoundView> {
    let mut bounds = Vec::new();
    let mut add =
        |bound: &str, value: f64| bounds.push(BoundView { bound: bound.to_owned(), value });
    for rule in &fleet.rules {
        match &rule.kind {
            RuleKind::Threshold(rule) if rule.signal == *signal => {
                if let Some(out) = &rule.scale_out {
                    add("scale_out_above", out.above);
                }
                if let Some(in_) = &rule.scale_in {
                    add("scale_in_below", in_.below);
                }
            }
            RuleKind::Target(rule) if rule.signal == *signal => add("target", rule.target),
            _ => {}
        }
    }
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::{ago, fleet};

    fn tick(secs_ago: u64, size: u32) -> Ticked {
        Ticked {
            at: ago(secs_ago),
            samples: [].into(),
            gaps: [].into(),
            phases: [].into(),
            up: [].into(),
            outgoing: [].into(),
            before_first_listing: false,
            current: size,
            in_service: size,
            recommended: size,
            desired: size,
            memory: [].into(),
            shadow: None,
        }
    }

    #[test]
    fn a_long_course_is_thinned_out_and_a_pause_is_a_gap() {
        let hour = Duration::from_secs(3_600);
        let mut course = Course::new(ago(3_600), hour);
        for n in 0..240 {
            // Every 15 s, but for ten minutes in which nobody was there.
            if !(100..140).contains(&n) {
                course.ticked(&tick(3_600 - n * 15, u32::try_from(n).expect("few")));
            }
        }
        let view = course.view(&fleet(1, 9));
        assert_eq!(view.step_secs, 4);
        assert_eq!(view.at.len(), 201, "each tick, and one gap");
        assert_eq!(view.serving_instances.iter().filter(|size| size.is_none()).count(), 1);
        assert_eq!(view.signals[0].values.len(), view.at.len());
        let mut day = Course::new(ago(86_400), Duration::from_secs(86_400));
        for n in 0..5_760 {
            day.ticked(&tick(86_400 - n * 15, 3));
        }
        assert!(day.view(&fleet(1, 9)).at.len() <= 1_000);
    }
}
