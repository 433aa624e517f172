//! A rehearsal: the user's own configuration, the daemon's own ticks, an embedded cloud, and what goes wrong
//! there. Time is simulated, so an hour takes seconds, and nothing is called.

mod course;
mod fault;
mod in_process;
mod stage;
mod told;
mod truth;

use std::collections::BTreeMap;
use std::time::Duration;

use cloud::{Clock, Timestamp, clock};
use ecs_emulator::{Fault as CloudFault, FaultKind as CloudFaultKind};

use crate::config::Config;
use crate::control::{self, FleetInWorld, TickError, TickReport, UNREADABLE_AFTER};
use crate::journal::JournalError;
use crate::model::{AlertCode, AlertKey, Span};

pub use course::Course;
pub use fault::{Fault, FaultError, FaultKind};
pub use in_process::InProcess;
use stage::Stage;
pub use told::{Minute, Rehearsal};

/// A tick that waits lets so much time pass at once.
const STEP: Duration = Duration::from_millis(500);
/// Everybody has done what there is to do now when they were asked so often.
const TURNS: usize = 50;
/// Extra ticks in a row, as in the field.
const EXTRA_TICKS: u32 = 8;
/// How much longer a slow boot takes.
const SLOWER: u32 = 5;

/// The conditions of a rehearsal.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The only one of the configuration unless it is named.
    pub fleet: Option<String>,
    pub start: Timestamp,
    pub lasts: Option<Span>,
    pub boot: Span,
    /// The load that one instance carries; as the rules say unless it is given.
    pub capacity: Option<f64>,
    /// A surge between the fleet's bounds unless it is given.
    pub course: Option<Course>,
    /// As they are written.
    pub faults: Vec<String>,
}

/// An hour: calm, a surge, and calm again.
const LASTS: Span = Span::secs(3600);
/// A week: longer ones are an affair of `backtest`.
const LASTS_MOST: Span = Span::secs(7 * 24 * 3600);

#[derive(Debug, thiserror::Error)]
pub enum RehearseError {
    #[error("name one fleet with --fleet; there are: {names}")]
    WhichFleet { names: String },
    #[error("{0}")]
    Fault(#[from] FaultError),
    #[error("the fault {text:?} begins after {begins}, and the rehearsal ends after {lasts}")]
    TooLate { text: String, begins: Span, lasts: Span },
    #[error("a rehearsal lasts from 1m to {LASTS_MOST}, not {lasts}")]
    Length { lasts: Span },
    #[error(transparent)]
    Provider(#[from] aliyun::SettingsError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Plays the configuration under `terms`.
///
/// # Errors
/// When the terms do not fit the configuration.
pub async fn rehearse(config: Config, terms: &Terms) -> Result<Rehearsal, RehearseError> {
    let stage = Stage::set(config, terms).await?;
    let recorded = terms.course.as_ref().and_then(Course::recorded_for).map(Span);
    let lasts = terms.lasts.or(recorded).unwrap_or(LASTS);
    if !(Span::secs(60)..=LASTS_MOST).contains(&lasts) {
        return Err(RehearseError::Length { lasts });
    }
    let mut faults = Vec::new();
    for text in &terms.faults {
        let fault = Fault::read(text, &stage.fleet.launch.vswitches)?;
        if fault.begins >= lasts {
            let (text, begins) = (text.clone(), fault.begins);
            return Err(RehearseError::TooLate { text, begins, lasts });
        }
        faults.push((fault, false));
    }
    let course = terms.course.clone();
    let course = course.unwrap_or_else(|| stage::surge(&stage.fleet, stage.capacity, lasts));
    let mut told = Rehearsal::new(&stage.fleet.id.0, stage.capacity, stage.remarks.clone());
    let began = terms.start;
    let boot = terms.boot.get();
    let mut alerts = BTreeMap::new();
    let member = stage.world.member(&stage.fleet.id).expect("it is the one that was staged");
    loop {
        let now = stage.clock.now();
        let after = Span(clock::age(now, began));
        if after >= lasts {
            break;
        }
        turn(&stage, &mut faults, after, boot, &mut told);
        stage.truth.now().load = course.at(after.get());
        see(&stage);
        control::tend(&stage.world).await?;
        for _ in 0..=EXTRA_TICKS {
            let result = in_time(&stage, control::guarded_tick(&stage.world, &member)).await;
            let again = matches!(&result, Ok(report) if report.wants_another_tick());
            note(&mut told, after, &result, &mut alerts);
            see(&stage);
            if !again {
                break;
            }
        }
        told.saw(after, &stage_now(&stage, &member));
        let spent = clock::age(stage.clock.now(), now);
        stage.clock.advance(stage.interval.saturating_sub(spent).max(STEP));
    }
    let calls = stage.emulator.transcript();
    let launched = calls.iter().map(|call| call.created.len()).sum();
    told.counted(launched, calls.iter().map(|call| call.deleted.len()).sum());
    Ok(told)
}

/// Faults begin and end.
fn turn(
    stage: &Stage,
    faults: &mut [(Fault, bool)],
    after: Span,
    boot: Duration,
    told: &mut Rehearsal,
) {
    let mut turned = false;
    for (fault, was_on) in faults.iter_mut() {
        let is_on = fault.is_on(after);
        if is_on == *was_on {
            continue;
        }
        *was_on = is_on;
        turned = true;
        told.event(after, format!("{} {}", if is_on { "begins:" } else { "ends:" }, fault.kind));
        if let FaultKind::ZoneDown(zone) = &fault.kind {
            if is_on { stage.emulator.lose_zone(zone) } else { stage.emulator.restore_zone(zone) }
        }
    }
    if !turned {
        return;
    }
    let on = || faults.iter().filter(|(_, is_on)| *is_on).map(|(fault, _)| &fault.kind);
    stage.truth.now().is_away = on().any(|kind| *kind == FaultKind::PrometheusAway);
    let slow = on().any(|kind| *kind == FaultKind::SlowBoot);
    stage.emulator.set_boot(if slow { boot * SLOWER } else { boot });
    stage.emulator.clear_faults();
    on().flat_map(of_cloud).for_each(|fault| stage.emulator.inject(fault));
}

/// A fault as the cloud has it.
fn of_cloud(kind: &FaultKind) -> Vec<CloudFault> {
    let on = CloudFault::on;
    match kind {
        FaultKind::NoStock(zone) => {
            let sold_out = on("RunInstances", CloudFaultKind::SoldOut);
            vec![CloudFault { zone: Some(zone.clone()), ..sold_out }]
        }
        FaultKind::Throttle => ["RunInstances", "DeleteInstances", "DescribeInstances"]
            .map(|action| on(action, CloudFaultKind::Throttle))
            .into(),
        FaultKind::LostReplies => ["RunInstances", "DeleteInstances"]
            .map(|action| on(action, CloudFaultKind::CutAfter))
            .into(),
        FaultKind::NeverBoots => vec![on("RunInstances", CloudFaultKind::NeverBoots)],
        FaultKind::ZoneDown(_) | FaultKind::SlowBoot | FaultKind::PrometheusAway => Vec::new(),
    }
}

/// The instances that run carry the load.
fn see(stage: &Stage) {
    let running = stage.emulator.instances().into_iter();
    let running = running.filter(|view| view.status == "Running" && view.reachable).count();
    stage.truth.now().serving = u32::try_from(running).unwrap_or(u32::MAX);
}

/// The result of a tick. While it waits for something, simulated time passes, and the lease is renewed.
async fn in_time<T>(stage: &Stage, tick: impl Future<Output = T>) -> T {
    let mut tick = std::pin::pin!(tick);
    let mut renewing = std::pin::pin!(renew(stage));
    loop {
        tokio::select! {
            biased;
            result = &mut tick => return result,
            never = &mut renewing => match never {},
            () = everybody() => stage.clock.advance(STEP),
        }
    }
}

/// As often as in the field; the journal is in memory and does not fail.
async fn renew(stage: &Stage) -> std::convert::Infallible {
    loop {
        stage.clock.sleep(stage.world.journal.renewal()).await;
        if let Err(error) = control::tend(&stage.world).await {
            tracing::warn!("a lease was not renewed: {error}");
        }
    }
}

async fn everybody() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

/// Tells of a tick: its actions, its decision, its alerts.
fn note(
    told: &mut Rehearsal,
    after: Span,
    result: &Result<TickReport, TickError>,
    alerts: &mut BTreeMap<AlertKey, String>,
) {
    let on: BTreeMap<AlertKey, String> = match result {
        Ok(report) => {
            told.ticked(after, report);
            let alerts = report.alerts.iter();
            alerts.map(|alert| (alert.key.clone(), alert.message.clone())).collect()
        }
        Err(error) => {
            let in_a_row = told.trouble(after, error);
            if in_a_row < UNREADABLE_AFTER || !matches!(error, TickError::Survey(_)) {
                return;
            }
            // The alerts of the fleet stay as they are while nobody sees it.
            let key = AlertKey { code: AlertCode::CloudUnreadable, about: String::new() };
            let unreadable = (key, "no listing succeeds".to_owned());
            alerts.clone().into_iter().chain([unreadable]).collect()
        }
    };
    for (key, message) in on.iter().filter(|(key, _)| !alerts.contains_key(key)) {
        told.alert(after, key, message);
    }
    for key in alerts.keys().filter(|key| !on.contains_key(key)) {
        told.event(after, format!("alert over: {}", named(key)));
    }
    *alerts = on;
}

/// An alert's code, and what it is about.
fn named(key: &AlertKey) -> String {
    if key.about.is_empty() {
        key.code.to_string()
    } else {
        format!("{} ({})", key.code, key.about)
    }
}

/// The fleet at the end of a tick.
fn stage_now(stage: &Stage, member: &FleetInWorld) -> told::Seen {
    let truth = *stage.truth.now();
    let views = stage.emulator.instances();
    let coming = views.iter().filter(|view| matches!(view.status.as_str(), "Pending" | "Starting"));
    let coming = u32::try_from(coming.count()).unwrap_or(u32::MAX);
    told::Seen { load: truth.load, serving: truth.serving, coming, bounds: member.fleet.bounds }
}
