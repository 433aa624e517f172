//! The story of a rehearsal: minute by minute, and its end.

use std::collections::BTreeMap;

use serde::Serialize;

use super::named;
use crate::control::{TickError, TickReport};
use crate::model::{AlertKey, Bounds, Span, number, plural};

/// A minute without news is told so often.
const EVERY_MINUTES: u64 = 5;

/// The fleet at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) load: f64,
    pub(super) serving: u32,
    pub(super) coming: u32,
    pub(super) bounds: Bounds,
}

/// One minute.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Minute {
    pub minute: u64,
    pub load: f64,
    /// Instances that the load needs.
    pub needs: u32,
    pub serving: u32,
    pub coming: u32,
    /// The size that the fleet goes for.
    pub wants: u32,
    /// How many were missing at the worst moment of it, as far as `max` allows.
    pub short: u32,
    /// What happened, in words.
    pub news: Vec<String>,
}

/// A rehearsal from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rehearsal {
    pub fleet: String,
    /// The load that one instance carries.
    pub capacity: f64,
    /// Differences from the field.
    pub remarks: Vec<String>,
    pub minutes: Vec<Minute>,
    pub launched: u32,
    pub removed: u32,
    /// Minutes in which fewer served than the load needs and `max` allows.
    pub short_minutes: u32,
    pub short_most: u32,
    /// Each alert, and the minute in which it was first on.
    pub alerts: BTreeMap<String, u64>,
    /// Whether enough served at the end.
    pub recovered: bool,
    /// Ticks in a row that came to nothing.
    #[serde(skip)]
    failed: u32,
    #[serde(skip)]
    wants: u32,
    #[serde(skip)]
    blocked: Option<String>,
    /// The newest decision that was told: the same one is not told again.
    #[serde(skip)]
    decided: Option<(u32, u32, u32, String)>,
}

impl Rehearsal {
    pub(super) fn new(fleet: &str, capacity: f64, remarks: Vec<String>) -> Rehearsal {
        Rehearsal {
            fleet: fleet.to_owned(),
            capacity,
            remarks,
            minutes: Vec::new(),
            launched: 0,
            removed: 0,
            short_minutes: 0,
            short_most: 0,
            alerts: BTreeMap::new(),
            recovered: true,
            failed: 0,
            wants: 0,
            blocked: None,
            decided: None,
        }
    }

    fn minute(&mut self, after: Span) -> &mut Minute {
        let minute = after.get().as_secs() / 60;
        if self.minutes.last().is_none_or(|last| last.minute != minute) {
            let wants = self.wants;
            self.minutes.push(Minute {
                minute,
                load: 0.0,
                needs: 0,
                serving: 0,
                coming: 0,
                wants,
                short: 0,
                news: Vec::new(),
            });
        }
        self.minutes.last_mut().expect("it was put there")
    }

    pub(super) fn event(&mut self, after: Span, text: String) {
        let news = &mut self.minute(after).news;
        if !news.contains(&text) {
            news.push(text);
        }
    }

    /// A tick came to nothing. The first of several tells why. Returns how many there are in a row.
    pub(super) fn trouble(&mut self, after: Span, error: &TickError) -> u32 {
        if self.failed == 0 {
            self.event(after, error.to_string());
        }
        self.failed += 1;
        self.failed
    }

    pub(super) fn alert(&mut self, after: Span, key: &AlertKey, message: &str) {
        let minute = after.get().as_secs() / 60;
        self.alerts.entry(named(key)).or_insert(minute);
        self.event(after, format!("ALERT {}: {message}", named(key)));
    }

    pub(super) fn ticked(&mut self, after: Span, report: &TickReport) {
        let decision = &report.decision;
        self.wants = decision.desired;
        if self.failed > 1 {
            self.event(after, format!("{} in a row came to nothing", plural(self.failed, "tick")));
        }
        self.failed = 0;
        let moves = decision.add > 0 || decision.remove > 0;
        let gist = (decision.current, decision.add, decision.remove, decision.gist());
        let decided = moves.then_some(gist);
        if moves && decided != self.decided {
            self.event(after, decision.to_string());
        }
        self.decided = decided;
        let blocked = decision.blocked_by.as_ref().filter(|_| decision.add + decision.remove == 0);
        let kind = blocked.map(|reason| reason.kind().to_owned());
        if let Some(reason) = blocked.filter(|_| kind != self.blocked) {
            self.event(after, format!("waits: {reason}"));
        }
        self.blocked = kind;
        for settled in &report.settled {
            self.event(after, settled.line());
        }
        for outcome in report.outcomes.iter().filter(|outcome| outcome.is_trouble()) {
            self.event(after, outcome.line());
        }
        let wants = self.wants;
        self.minute(after).wants = wants;
    }

    pub(super) fn saw(&mut self, after: Span, seen: &Seen) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "`as` saturates, and a load is not negative"
        )]
        let needs = (seen.load / self.capacity - 1e-9).ceil() as u32;
        let minute = self.minute(after);
        minute.load = seen.load;
        minute.needs = needs;
        minute.serving = seen.serving;
        minute.coming = seen.coming;
        let missing = needs.min(seen.bounds.max).saturating_sub(seen.serving);
        let first = missing > 0 && minute.short == 0;
        minute.short = minute.short.max(missing);
        self.recovered = missing == 0;
        self.short_most = self.short_most.max(missing);
        self.short_minutes += u32::from(first);
    }

    /// The calls that changed something, once everything is over.
    pub(super) fn counted(&mut self, launched: usize, removed: usize) {
        self.launched = u32::try_from(launched).unwrap_or(u32::MAX);
        self.removed = u32::try_from(removed).unwrap_or(u32::MAX);
    }

    /// It for people: a line of numbers for each minute that is worth one, with its news below.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.remarks.iter().map(|remark| format!("# {remark}")).collect();
        let capacity = number(self.capacity);
        lines.push(format!("# one instance carries {capacity}; minutes are simulated"));
        lines.push(" MIN       LOAD  NEEDS  SERVES  COMING  WANTS".to_owned());
        for minute in &self.minutes {
            if minute.news.is_empty() && minute.minute % EVERY_MINUTES != 0 {
                continue;
            }
            lines.push(format!(
                "{:4}  {:>9}  {:5}  {:6}  {:6}  {:5}{}",
                minute.minute,
                number(minute.load.round()),
                minute.needs,
                minute.serving,
                minute.coming,
                minute.wants,
                if minute.short > 0 {
                    format!("  short by {}", minute.short)
                } else {
                    String::new()
                },
            ));
            for text in &minute.news {
                let wrapped = crate::model::wrap(text, 72);
                lines.extend(
                    wrapped
                        .into_iter()
                        .enumerate()
                        .map(|(n, part)| format!("      {}{part}", if n == 0 { "" } else { "  " })),
                );
            }
        }
        lines.push(String::new());
        lines.extend(self.end());
        lines
    }

    /// Where it ended.
    fn end(&self) -> Vec<String> {
        let last = self.minutes.last();
        let (serving, needs) = last.map_or((0, 0), |last| (last.serving, last.needs));
        let verdict = if self.recovered { "enough" } else { "too few" };
        let mut lines = vec![format!(
            "{} ended with {serving} in service for a load that needs {needs}: {verdict}.",
            self.fleet,
        )];
        lines.push(format!(
            "It launched {} and ended {}.",
            plural(self.launched, "instance"),
            self.removed
        ));
        lines.push(match self.short_minutes {
            0 => "It was never short.".to_owned(),
            minutes => format!(
                "It was short in {}, by {} at most.",
                plural(minutes, "minute"),
                self.short_most
            ),
        });
        match self.alerts.len() {
            0 => lines.push("No alert.".to_owned()),
            _ => lines.extend(
                self.alerts
                    .iter()
                    .map(|(name, minute)| format!("Alert {name}, from minute {minute}.")),
            ),
        }
        lines
    }
}
