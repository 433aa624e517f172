//! The events so far, for the two views that show them.

use std::collections::VecDeque;
use std::time::Duration;

use cloud::{Timestamp, clock};
use ecs_emulator::{Emulator, Entry};

use super::load;
use super::prometheus::Metrics;
use crate::control::TickReport;
use crate::execute::Outcome;

/// Decisions and calls kept for the view: more do not fit a screen.
const KEPT: usize = 40;

/// The state of the demo.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) duration: Duration,
    /// Where the daemon's page is.
    pub(super) page: String,
    pub(super) elapsed: Duration,
    pub(super) points: Vec<ChartPoint>,
    pub(super) instances: Vec<ShownInstance>,
    /// The daemon's actions and waits, newest last.
    pub(super) decisions: VecDeque<DecisionLine>,
    pub(super) calls: VecDeque<ShownCall>,
    /// The newest decision in full.
    pub(super) now: String,
    pub(super) because: String,
    pub(super) launched: usize,
    pub(super) removed: usize,
    pub(super) peak: usize,
    last_seq: u64,
    last_gist: String,
}

/// One moment of the charts.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChartPoint {
    pub(super) secs: f64,
    /// Percent of what ten instances can carry.
    pub(super) load: f64,
    /// Percent.
    pub(super) cpu: f64,
    pub(super) serving: usize,
    pub(super) booting: usize,
}

/// One instance that exists.
#[derive(Debug, Clone)]
pub(super) struct ShownInstance {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) zone: String,
    pub(super) age: Duration,
}

/// One decision that changed something, or that newly waits for something.
#[derive(Debug, Clone)]
pub(super) struct DecisionLine {
    pub(super) elapsed: Duration,
    pub(super) text: String,
    pub(super) acts: bool,
}

/// One call that changes something.
#[derive(Debug, Clone)]
pub(super) struct ShownCall {
    pub(super) text: String,
    pub(super) ok: bool,
}

impl Story {
    pub(super) fn new(duration: Duration, page: String) -> Story {
        Story {
            duration,
            page,
            elapsed: Duration::ZERO,
            points: Vec::new(),
            instances: Vec::new(),
            decisions: VecDeque::new(),
            calls: VecDeque::new(),
            now: "starting".to_owned(),
            because: String::new(),
            launched: 0,
            removed: 0,
            peak: 0,
            last_seq: 0,
            last_gist: String::new(),
        }
    }

    pub(super) fn part(&self) -> f64 {
        (self.elapsed.as_secs_f64() / self.duration.as_secs_f64()).clamp(0.0, 1.0)
    }

    /// Moves the simulated service on, and looks at the cloud.
    pub(super) fn observe(
        &mut self,
        elapsed: Duration,
        emulator: &Emulator,
        metrics: &Metrics,
        now: Timestamp,
    ) {
        self.elapsed = elapsed;
        let views = emulator.instances();
        let existing = || views.iter().filter(|view| view.status != "Gone");
        let serving: Vec<String> =
            existing().filter(|v| v.status == "Running").map(|v| v.id.clone()).collect();
        let load = load::at(self.part());
        let cpu = load::cpu_percent(load, serving.len());
        self.points.push(ChartPoint {
            secs: elapsed.as_secs_f64(),
            load: load / 10.0,
            cpu,
            serving: serving.len(),
            booting: existing()
                .filter(|v| matches!(v.status.as_str(), "Pending" | "Starting"))
                .count(),
        });
        self.peak = self.peak.max(serving.len());
        metrics.scrape(serving.into_iter().map(|id| (id, cpu)).collect(), now);
        self.instances = existing()
            .map(|view| ShownInstance {
                id: view.id.clone(),
                status: view.status.clone(),
                zone: view.zone.clone(),
                age: clock::age(now, view.created_at),
            })
            .collect();
        let seen = self.last_seq;
        for entry in emulator.transcript().iter().filter(|entry| entry.seq > seen) {
            self.called(entry);
        }
    }

    fn called(&mut self, entry: &Entry) {
        self.last_seq = entry.seq;
        self.launched += entry.created.len();
        self.removed += entry.deleted.len();
        let detail = match entry.action.as_str() {
            "RunInstances" => {
                let get = |name: &str| entry.parameters.get(name).cloned().unwrap_or_default();
                format!("Amount={} {}", get("Amount"), get("VSwitchId"))
            }
            "DeleteInstances" => entry.deleted.join(" "),
            _ => return,
        };
        let answer = entry.code.clone().unwrap_or_else(|| "200 OK".to_owned());
        let text = format!("{} {detail} → {answer}", entry.action);
        push(&mut self.calls, ShownCall { text, ok: entry.code.is_none() });
    }

    /// The daemon has ticked.
    pub(super) fn ticked(&mut self, report: &TickReport) {
        let decision = &report.decision;
        self.now = match decision.desired.cmp(&decision.current) {
            std::cmp::Ordering::Greater => {
                format!("scaling out {} → {}", decision.current, decision.desired)
            }
            std::cmp::Ordering::Less => {
                format!("scaling in {} → {}", decision.current, decision.desired)
            }
            std::cmp::Ordering::Equal => format!("{} instances", decision.current),
        };
        let reasons: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
        self.because = reasons.join("; ");
        let kinds: Vec<_> = decision.reasons.iter().map(std::mem::discriminant).collect();
        let gist = format!("{kinds:?} {} {}", decision.current, decision.desired);
        let acts = report.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Sent { .. }));
        if gist != self.last_gist || acts {
            self.last_gist = gist;
            let text = decision.to_string();
            push(&mut self.decisions, DecisionLine { elapsed: self.elapsed, text, acts });
        }
    }

    /// A tick failed.
    pub(super) fn troubled(&mut self, error: &str) {
        let line = DecisionLine { elapsed: self.elapsed, text: error.to_owned(), acts: false };
        push(&mut self.decisions, line);
    }

    /// A summary in five lines.
    pub(super) fn summary(&self, emulator: &Emulator) -> String {
        let transcript = emulator.transcript();
        let refused = transcript.iter().filter(|entry| entry.code.is_some()).count();
        let created: Vec<&String> = transcript.iter().flat_map(|entry| &entry.created).collect();
        let deleted: Vec<&String> = transcript.iter().flat_map(|entry| &entry.deleted).collect();
        // Ids are given in the order of creation.
        let oldest_first =
            deleted.iter().zip(&created).all(|(deleted, created)| deleted == created);
        let running = self.instances.iter().filter(|seen| seen.status == "Running").count();
        let order = if oldest_first { "the oldest first" } else { "not in order of age" };
        format!(
            "\
launched {} instances, at most {} at once, removed {} ({order}),
{running} serve now
{} API calls, each signed with HMAC-SHA1 and verified by the emulator
{refused} refused, {} mistakes noted by the emulator
next: fleetscaler check --config config.toml, then run --dry-run",
            created.len(),
            self.peak,
            deleted.len(),
            transcript.len(),
            emulator.violations().len(),
        )
    }
}

fn push<T>(lines: &mut VecDeque<T>, line: T) {
    lines.push_back(line);
    if lines.len() > KEPT {
        lines.pop_front();
    }
}
