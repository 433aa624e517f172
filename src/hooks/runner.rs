//! The calls that are under way for one fleet, and what became of those that ended.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use cloud::retry::{Next, Policy, Schedule};
use cloud::{Class, Clock, Error, ErrorKind};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use super::attempt::{self, Failure, within};
use super::{Called, Calls, HookTarget, Subject};
use crate::model::{HookName, HookOutcome, IntentId};

/// Calls of one fleet at the same time. A scale-out of a hundred instances calls a hundred hooks, and a
/// small program on this host must not be run a hundred times at once.
const AT_ONCE: usize = 16;

/// A hook that cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum HookRunnerError {
    #[error("hook `{hook}`: the certificates in {path} cannot be used: {why}")]
    Certificates { hook: HookName, path: String, why: String },
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
}

/// Calls the hooks of one fleet. Calls that are under way end when this is dropped.
#[derive(Debug)]
pub struct HookRunner {
    targets: BTreeMap<HookName, Arc<(HookTarget, reqwest::Client)>>,
    clock: Arc<dyn Clock>,
    at_once: Arc<Semaphore>,
    calls: Arc<Mutex<BTreeMap<IntentId, Progress>>>,
}

#[derive(Debug)]
enum Progress {
    Running(AbortHandle),
    Ended(Called),
}

impl HookRunner {
    /// # Errors
    /// When a file of certificates cannot be used.
    pub fn new(
        targets: &[HookTarget],
        clock: Arc<dyn Clock>,
    ) -> Result<HookRunner, HookRunnerError> {
        let mut by_name = BTreeMap::new();
        for target in targets {
            let client = client(target)?;
            by_name.insert(target.name.clone(), Arc::new((target.clone(), client)));
        }
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        Ok(HookRunner { targets: by_name, clock, at_once, calls: Arc::default() })
    }

    /// What became of the calls that ended.
    #[must_use]
    pub fn ended(&self) -> BTreeMap<IntentId, Called> {
        let calls = self.calls();
        let ended = calls.iter().filter_map(|(id, progress)| match progress {
            Progress::Ended(called) => Some((*id, called.clone())),
            Progress::Running(_) => None,
        });
        ended.collect()
    }

    /// Makes these calls, unless they are under way; calls that are not among them are given up and
    /// forgotten.
    pub fn keep_to(&self, subjects: Vec<Subject>) {
        let mut calls = self.calls();
        calls.retain(|id, progress| {
            let is_wanted = subjects.iter().any(|subject| subject.id == *id);
            if let (false, Progress::Running(task)) = (is_wanted, progress) {
                task.abort();
            }
            is_wanted
        });
        for subject in subjects {
            let (id, target) = (subject.id, self.targets.get(&subject.hook).cloned());
            let Some(target) = target.filter(|_| !calls.contains_key(&id)) else { continue };
            let (at_once, clock) = (self.at_once.clone(), self.clock.clone());
            let ended = self.calls.clone();
            let task = tokio::spawn(async move {
                let Ok(_place) = at_once.acquire_owned().await else { return };
                let called = call(&target.0, &target.1, &subject, &*clock).await;
                let mut calls = ended.lock().expect("no holder of this lock can panic");
                if let Some(progress) = calls.get_mut(&id) {
                    *progress = Progress::Ended(called);
                }
            });
            calls.insert(id, Progress::Running(task.abort_handle()));
        }
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, BTreeMap<IntentId, Progress>> {
        self.calls.lock().expect("no holder of this lock can panic")
    }
}

impl Drop for HookRunner {
    fn drop(&mut self) {
        for progress in self.calls().values() {
            if let Progress::Running(task) = progress {
                task.abort();
            }
        }
    }
}

/// Calls until it is done, fails for good, or the deadline would pass.
async fn call(
    target: &HookTarget,
    client: &reqwest::Client,
    subject: &Subject,
    clock: &dyn Clock,
) -> Called {
    let policy = Policy { deadline: target.deadline.get(), ..Policy::default() };
    let (mut schedule, began) = (Schedule::new(policy), clock.elapsed());
    loop {
        let attempt = within(target.timeout.get(), attempted(target, client, subject, clock)).await;
        let failure = match attempt {
            Ok(outcome) => return Ok(outcome),
            Err(failure) => failure,
        };
        tracing::debug!(
            fleet.id = %subject.fleet, instance.id = %subject.instance, hook = %subject.hook,
            "hook `{}` for {}: {}", subject.hook, subject.instance, failure.why,
        );
        match schedule.next(
            &as_error(&failure),
            jitter(subject),
            clock.elapsed().saturating_sub(began),
        ) {
            Next::Wait(wait) => clock.sleep(wait).await,
            Next::GiveUp | Next::Deadline => return failure.into(),
        }
    }
}

async fn attempted(
    target: &HookTarget,
    client: &reqwest::Client,
    subject: &Subject,
    clock: &dyn Clock,
) -> Result<HookOutcome, Failure> {
    match &target.calls {
        Calls::Http { url, secret, .. } => {
            let sent_at = clock.now().timestamp();
            attempt::http(client, url, secret.as_ref(), subject, sent_at).await
        }
        Calls::Command { argv } => attempt::command(argv, subject).await,
    }
}

/// The failure as the retry policy takes it.
fn as_error(failure: &Failure) -> Error {
    let class = if failure.may_pass { Class::Transient } else { Class::Permanent };
    Error {
        action: "hook".to_owned(),
        class,
        kind: ErrorKind::Cut { why: failure.why.clone() },
        status: None,
        request_id: None,
        attempts: 1,
    }
}

/// Calls for instances that were launched together do not come back together: their ids are random.
fn jitter(subject: &Subject) -> f64 {
    let (low, _) = subject.id.0.as_u64_pair();
    0.5 + (low % 1_000) as f64 / 2_000.0
}

fn client(target: &HookTarget) -> Result<reqwest::Client, HookRunnerError> {
    let mut builder = match &target.calls {
        Calls::Http { url, .. } => cloud::http::client_builder_by_env(url),
        Calls::Command { .. } => Ok(cloud::http::client_builder().no_proxy()),
    }
    .map_err(HookRunnerError::Client)?;
    if let Calls::Http { ca_file: Some(path), .. } = &target.calls {
        let failed = |why: String| HookRunnerError::Certificates {
            hook: target.name.clone(),
            path: path.display().to_string(),
            why,
        };
        let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem);
        for certificate in certificates.map_err(|error| failed(error.to_string()))? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(HookRunnerError::Client)
}
