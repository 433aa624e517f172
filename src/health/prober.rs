//! The probes of one fleet: a task that asks each watched instance at its interval, and keeps verdicts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloud::Clock;
use tokio::sync::{Notify, Semaphore};
use tokio::task::{AbortHandle, JoinSet};

use super::probe::probe;
use super::streak::Streak;
use super::{CheckKind, CheckSpec, Target};
use crate::inventory::Verdicts;
use crate::model::FleetId;

/// Probes of all fleets at the same time. 2,000 instances every 10 s with answers in 100 ms need 20; those
/// that hang for a time-out of 5 s must not keep the others from being asked.
const AT_ONCE: usize = 256;

/// A fleet that is not ticked here any more (another replica has it) is not probed for longer than this:
/// some ticks may be late.
const UNWATCHED: Duration = Duration::from_secs(180);

/// A check that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    #[error("the certificates in {path} cannot be used")]
    Certificates { path: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
}

/// The health checks of one fleet. Probing ends when this is dropped.
#[derive(Debug)]
pub struct Prober {
    shared: Arc<Shared>,
    task: Mutex<Option<AbortHandle>>,
}

#[derive(Debug)]
struct Shared {
    fleet: FleetId,
    clock: Arc<dyn Clock>,
    checks: Vec<(CheckSpec, reqwest::Client)>,
    at_once: Arc<Semaphore>,
    watched: Mutex<Watched>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Watched {
    instances: BTreeMap<Target, Vec<Checked>>,
    /// By the monotonic clock, as all times here.
    until: Duration,
}

/// One check of one instance.
#[derive(Debug, Clone, Copy)]
struct Checked {
    streak: Streak,
    due: Duration,
    is_running: bool,
}

/// The bound on probes that all fleets share.
#[must_use]
pub(crate) fn at_once() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(AT_ONCE))
}

impl Prober {
    /// For the checks of `fleet`. Nothing is probed before something is watched.
    ///
    /// # Errors
    /// When a file of certificates cannot be used.
    pub fn new(
        fleet: &FleetId,
        checks: &[CheckSpec],
        at_once: Arc<Semaphore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Prober, HealthError> {
        let mut with_clients = Vec::with_capacity(checks.len());
        for check in checks {
            with_clients.push((check.clone(), client(check)?));
        }
        let shared = Shared {
            fleet: fleet.clone(),
            clock,
            checks: with_clients,
            at_once,
            watched: Mutex::default(),
            changed: Notify::new(),
        };
        Ok(Prober { shared: Arc::new(shared), task: Mutex::default() })
    }

    /// From now on exactly these are probed.
    pub fn watch(&self, targets: impl IntoIterator<Item = Target>) {
        let now = self.shared.clock.elapsed();
        let first = Checked { streak: Streak::default(), due: now, is_running: false };
        {
            let mut watched = self.shared.watched();
            let mut before = std::mem::take(&mut watched.instances);
            let checks = self.shared.checks.len();
            for target in targets {
                let known = before.remove(&target).unwrap_or_else(|| vec![first; checks]);
                watched.instances.insert(target, known);
            }
            watched.until = now + UNWATCHED;
        }
        self.shared.changed.notify_one();
        let mut task = self.task.lock().expect("no holder of this lock can panic");
        if task.as_ref().is_none_or(AbortHandle::is_finished) {
            *task = Some(tokio::spawn(run(self.shared.clone())).abort_handle());
        }
    }

    /// The newest verdict of each instance for which all checks have one.
    #[must_use]
    pub fn verdicts(&self) -> Verdicts {
        let watched = self.shared.watched();
        let verdict = |checked: &Vec<Checked>| {
            let mut verdicts = checked.iter().map(|checked| checked.streak.verdict());
            if verdicts.clone().any(|verdict| verdict == Some(false)) {
                return Some(false);
            }
            verdicts.all(|verdict| verdict == Some(true)).then_some(true)
        };
        let known = watched.instances.iter();
        Verdicts(known.filter_map(|(target, of)| Some((target.id.clone(), verdict(of)?))).collect())
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        if let Some(task) = self.task.lock().expect("no holder of this lock can panic").take() {
            task.abort();
        }
    }
}

impl Shared {
    fn watched(&self) -> std::sync::MutexGuard<'_, Watched> {
        self.watched.lock().expect("no holder of this lock can panic")
    }

    /// Marks what is due as running and returns it, with how long it is until the next is due. `None`: the
    /// fleet is not watched any more.
    fn due(&self, now: Duration) -> Option<(Vec<(Target, usize)>, Duration)> {
        let mut watched = self.watched();
        if watched.until < now {
            watched.instances.clear();
            return None;
        }
        let mut due = Vec::new();
        let mut next = UNWATCHED;
        for (target, checks) in &mut watched.instances {
            for (n, checked) in checks.iter_mut().enumerate().filter(|(_, c)| !c.is_running) {
                if checked.due <= now {
                    checked.is_running = true;
                    due.push((target.clone(), n));
                } else {
                    next = next.min(checked.due - now);
                }
            }
        }
        Some((due, next))
    }

    fn probed(&self, target: &Target, n: usize, is_good: bool) {
        let (spec, _) = &self.checks[n];
        let mut watched = self.watched();
        let Some(checks) = watched.instances.get_mut(target) else { return };
        let checked = &mut checks[n];
        let before = checked.streak.verdict();
        checked.streak.probed(is_good, spec.healthy_after, spec.unhealthy_after);
        checked.is_running = false;
        checked.due = self.clock.elapsed() + spread(target, spec.interval.get(), before.is_none());
        let after = checked.streak.verdict();
        if before != after {
            let verdict = if after == Some(true) { "healthy" } else { "unhealthy" };
            let (fleet, id) = (&self.fleet, &target.id);
            tracing::info!(fleet.id = %fleet, instance.id = %id, "fleet `{fleet}`: {id} is {verdict}");
        }
    }
}

/// The time until the next probe. The first interval differs from instance to instance, so that those that
/// were launched together are not asked in one burst for ever.
fn spread(target: &Target, interval: Duration, is_new: bool) -> Duration {
    if !is_new {
        return interval;
    }
    let sum =
        target.id.0.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    interval.mul_f64(0.5 + f64::from(sum % 1_000) / 2_000.0)
}

async fn run(shared: Arc<Shared>) {
    let mut probes: JoinSet<()> = JoinSet::new();
    while let Some((due, next)) = shared.due(shared.clock.elapsed()) {
        for (target, n) in due {
            let shared = shared.clone();
            probes.spawn(async move {
                let Ok(_place) = shared.at_once.clone().acquire_owned().await else { return };
                let (spec, client) = &shared.checks[n];
                let timeout = spec.timeout.get();
                let is_good = probe(&spec.kind, client, &shared.fleet, &target, timeout).await;
                shared.probed(&target, n, is_good);
            });
        }
        tokio::select! {
            () = shared.clock.sleep(next) => {}
            () = shared.changed.notified() => {}
            // What has ended has another time at which it is due.
            Some(_) = probes.join_next() => {}
        }
    }
}

fn client(check: &CheckSpec) -> Result<reqwest::Client, HealthError> {
    // An instance is asked directly, and where it sends us does not count.
    // Kept connections of thousands of instances would use up the descriptors.
    let mut builder = cloud::http::client_builder().no_proxy().pool_max_idle_per_host(0);
    if let CheckKind::Http(http) = &check.kind
        && let Some(path) = &http.ca_file
    {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| HealthError::Certificates {
            path: path.display().to_string(),
            source,
        };
        let pem = std::fs::read(path).map_err(|error| failed(error.into()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem);
        for certificate in certificates.map_err(|error| failed(error.into()))? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(HealthError::Client)
}
