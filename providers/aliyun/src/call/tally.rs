//! How often each action was called, and what came of it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use cloud::Error;

/// Attempts by action and outcome.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<BTreeMap<(String, &'static str), u64>>);

impl Tally {
    /// Counts one attempt that was sent.
    pub(super) fn count<T>(&self, action: &str, result: Result<&T, &Error>) {
        let outcome = match result {
            Ok(_) => "ok",
            Err(error) if super::is_dry_run_success(error) => "ok",
            Err(error) => error.class.name(),
        };
        let mut counts = self.0.lock().expect("no holder of this lock can panic");
        *counts.entry((action.to_owned(), outcome)).or_default() += 1;
    }

    /// Attempts of one action, whatever came of them.
    pub(super) fn of(&self, action: &str) -> u64 {
        let counts = self.0.lock().expect("no holder of this lock can panic");
        counts.iter().filter(|((counted, _), _)| counted == action).map(|(_, n)| n).sum()
    }

    pub(super) fn all(&self) -> Vec<(String, &'static str, u64)> {
        let counts = self.0.lock().expect("no holder of this lock can panic");
        counts.iter().map(|((action, outcome), n)| (action.clone(), *outcome, *n)).collect()
    }
}
