//! The words about ticks: printed where they were asked for, logged when they are news.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cloud::text::one_line;
use cloud::{Error, ErrorKind, Timestamp};

use crate::cli::args::Format;
use crate::cli::output;
use crate::control::{Findings, ReloadError, ReloadSink, Reloaded, Sink, TickError, TickReport};
use crate::journal::JournalError;
use crate::model::{AccountId, Alert, AlertCode, AlertKey, FleetId};
use crate::notify::{News, Notifier};
use crate::observe::{Changes, Instruments};

/// A fleet about which nothing changes is mentioned every 10 minutes: often enough to see that it
/// is looked after, rarely enough to read the rest.
const SAY_AGAIN: Duration = Duration::from_secs(600);

/// Prints reports where they were asked for, logs what is new, and keeps the instruments.
#[derive(Debug)]
pub(super) struct Reporter {
    instruments: Arc<Instruments>,
    printed: Option<Format>,
    /// The configuration of a dry run: a person watches it.
    dry: Option<PathBuf>,
    said: Mutex<Said>,
    /// Tells people of alerts, where channels are configured.
    notifier: Option<Arc<Notifier>>,
}

/// The words that were said last.
#[derive(Debug, Default)]
struct Said {
    /// Of each fleet, and when.
    fleets: BTreeMap<FleetId, (String, Timestamp)>,
    /// Why a fleet kept its size.
    errors: BTreeMap<FleetId, String>,
    /// Fleets that are only looked at.
    only_looked: BTreeSet<FleetId>,
    /// Why the journal cannot be used.
    journal: Option<String>,
}

impl Reporter {
    pub(super) fn new(
        instruments: Arc<Instruments>,
        printed: Option<Format>,
        dry: Option<PathBuf>,
        notifier: Option<Arc<Notifier>>,
    ) -> Reporter {
        Reporter { instruments, printed, dry, said: Mutex::default(), notifier }
    }

    /// An audit of `account` was made.
    pub(super) fn audited(&self, account: &AccountId, findings: &Findings) {
        let changes = self.instruments.audited(account, findings);
        self.tell(Some(format!("({account})")), &changes, |_| None);
        let Changes { raised, cleared } = changes;
        for alert in raised {
            let (code, about) = (alert.key.code.name(), &alert.key.about);
            tracing::warn!(account.id = %account, alert = code, alert.about = %about,
                "alert {code} of account `{account}`: {}", alert.message);
        }
        for key in cleared {
            let (code, about) = (key.code.name(), &key.about);
            tracing::info!(account.id = %account, alert = code, alert.about = %about,
                "cleared {code} of account `{account}`: {about}");
        }
    }

    pub(super) fn forget_old_audits(&self) {
        self.instruments.forget_old_audits();
    }

    /// The trouble with the file descriptors, if any.
    pub(super) fn descriptors(&self, trouble: Option<String>) {
        self.daemon(AlertCode::Descriptors, trouble);
    }

    fn daemon(&self, code: AlertCode, trouble: Option<String>) {
        let changes = self.instruments.daemon(code, trouble);
        self.tell(None, &changes, |_| None);
        let Changes { raised, cleared } = changes;
        for alert in raised {
            let code = alert.key.code.name();
            tracing::error!(alert = code, "alert {code}: {}", alert.message);
        }
        for key in cleared {
            let code = key.code.name();
            tracing::info!(alert = code, "cleared {code}");
        }
    }

    /// Tells the channels what began and what ended. `since` says of an alert since when it has been on, where
    /// the journal knows.
    fn tell(
        &self,
        whose: Option<String>,
        changes: &Changes,
        since: impl Fn(&AlertKey) -> Option<Timestamp>,
    ) {
        let Some(notifier) = &self.notifier else { return };
        let at = self.instruments.now();
        for Alert { key, message } in &changes.raised {
            let (whose, message) = (whose.clone(), Some(one_line(message)));
            notifier.tell(News { whose, key: key.clone(), message, at }, since(key));
        }
        for key in &changes.cleared {
            notifier.tell(News { whose: whose.clone(), key: key.clone(), message: None, at }, None);
        }
    }

    /// The journal is said of in words of its own.
    fn tell_of_journal(&self, was_away: bool, why: Option<&str>) {
        let code = AlertCode::JournalUnavailable;
        let changes = match (was_away, why) {
            (false, Some(why)) => {
                Changes { raised: vec![Alert::new(code, "", why)], cleared: Vec::new() }
            }
            (true, None) => {
                let key = AlertKey { code, about: String::new() };
                Changes { raised: Vec::new(), cleared: vec![key] }
            }
            _ => return,
        };
        self.tell(None, &changes, |_| None);
    }

    /// The channels that cannot be reached are an alert of the daemon.
    fn channels(&self) {
        let Some(notifier) = &self.notifier else { return };
        let troubles = notifier.troubles();
        let told = troubles.iter().map(|(name, why)| format!("{name}: {why}"));
        let told = told.collect::<Vec<_>>().join("; ");
        self.daemon(AlertCode::NotifyFailed, (!told.is_empty()).then_some(told));
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().expect("no holder of this lock can panic")
    }

    fn alerts(fleet: &FleetId, changes: Changes) {
        for alert in changes.raised {
            let (code, about) = (alert.key.code.name(), &alert.key.about);
            tracing::warn!(fleet.id = %fleet, alert = code, alert.about = %about,
                "alert {code} of fleet `{fleet}`: {}", alert.message);
        }
        for key in changes.cleared {
            let (code, about) = (key.code.name(), &key.about);
            let colon = if about.is_empty() { "" } else { ": " };
            tracing::info!(fleet.id = %fleet, alert = code, alert.about = %about,
                "cleared {code} of fleet `{fleet}`{colon}{about}");
        }
    }

    fn log(&self, report: &TickReport) {
        let TickReport { fleet, decision, .. } = report;
        let news = self.said().is_news(fleet, decision.gist(), report.at);
        for settled in &report.settled {
            if settled.is_trouble() {
                tracing::warn!(fleet.id = %fleet, "fleet `{fleet}`: {}", settled.line());
            } else {
                tracing::info!(fleet.id = %fleet, "fleet `{fleet}`: {}", settled.line());
            }
        }
        let moved = report.moved();
        let acts = !report.outcomes.is_empty() || !moved.is_empty();
        let acted = report.only_looked.is_none() && acts;
        if news || acted {
            tracing::info!(
                fleet.id = %fleet, decision.current, decision.desired, decision.recommended,
                instances = %report.counts.line(),
                "fleet `{fleet}` {decision}",
            );
        } else {
            tracing::debug!(fleet.id = %fleet, decision.current, decision.desired,
                "fleet `{fleet}` {decision}");
            return;
        }
        for skipped in &report.plan.skipped {
            tracing::info!(fleet.id = %fleet, "fleet `{fleet}`: {skipped}");
        }
        for shortfall in &report.plan.shortfalls {
            tracing::warn!(fleet.id = %fleet, "fleet `{fleet}`: {shortfall}");
        }
        for moved in &moved {
            tracing::info!(fleet.id = %fleet, "fleet `{fleet}`: {moved}");
        }
        for outcome in &report.outcomes {
            if outcome.is_trouble() {
                tracing::warn!(fleet.id = %fleet, "fleet `{fleet}`: {}", outcome.line());
            } else {
                tracing::info!(fleet.id = %fleet, "fleet `{fleet}`: {}", outcome.line());
            }
        }
    }
}

/// What makes two failures different to a reader: what the cloud was asked and how it refused, but
/// not the id and the nonce, which are new each time.
fn gist(error: &TickError) -> String {
    let TickError::Survey(error) = error else { return error.to_string() };
    let Error { action, class, kind, .. } = error;
    let how = match kind {
        ErrorKind::Refused { code, .. } | ErrorKind::TokenMismatch { code, .. } => code.as_str(),
        ErrorKind::BadAnswer { what, .. } => what.as_str(),
        ErrorKind::NoCredentials { why } => why.as_str(),
        ErrorKind::TooLarge { .. } => "too large",
        ErrorKind::TimedOut { .. } => "timed out",
        ErrorKind::NotConnected { .. } => "not connected",
        ErrorKind::Cut { .. } => "cut",
        ErrorKind::Deadline { .. } => "deadline",
        ErrorKind::OtherAccount { found, .. } => found.as_str(),
        ErrorKind::NotSent { .. } => "not sent",
    };
    format!("{action} {class} {how}")
}

impl Said {
    /// Whether `gist` is news about `fleet`.
    fn is_news(&mut self, fleet: &FleetId, gist: String, at: Timestamp) -> bool {
        if let Some((last, when)) = self.fleets.get(fleet)
            && *last == gist
            && cloud::clock::age(at, *when) < SAY_AGAIN
        {
            return false;
        }
        self.fleets.insert(fleet.clone(), (gist, at));
        true
    }

    /// `fleet` is not looked after any more.
    fn forget(&mut self, fleet: &FleetId) {
        self.fleets.remove(fleet);
        self.errors.remove(fleet);
        self.only_looked.remove(fleet);
    }

    /// Says once that a fleet is only looked at, and once that it is looked after again.
    fn looked(&mut self, fleet: &FleetId, only_looked: Option<&str>) {
        match only_looked {
            Some(why) => {
                if self.only_looked.insert(fleet.clone()) {
                    tracing::warn!(fleet.id = %fleet,
                        "fleet `{fleet}` is only looked at, nothing is changed: {why}");
                }
            }
            None => {
                if self.only_looked.remove(fleet) {
                    tracing::info!(fleet.id = %fleet, "fleet `{fleet}` is looked after again");
                }
            }
        }
    }
}

impl Sink for Reporter {
    fn tick(&self, report: &TickReport) {
        let changes = self.instruments.ticked(report);
        let fleet = &report.fleet;
        {
            let mut said = self.said();
            said.looked(fleet, report.only_looked.as_deref());
            if said.errors.remove(fleet).is_some() {
                tracing::info!(fleet.id = %fleet, "fleet `{fleet}` ticks again");
            }
        }
        self.tell(Some(fleet.0.clone()), &changes, |key| report.recent.alerts.get(key).copied());
        Reporter::alerts(fleet, changes);
        match self.printed {
            Some(Format::Text) => output::line(output::text(report).trim_end()),
            Some(Format::Json) => output::line(&output::json(report)),
            // A line that is printed to stdout need not be logged as well.
            None => self.log(report),
        }
    }

    fn trouble(&self, fleet: &FleetId, error: &TickError) {
        let changes = self.instruments.failed(fleet, error);
        {
            let mut said = self.said();
            let known = match error {
                // No failure: the other replica tells of it.
                TickError::Elsewhere => {
                    said.errors.remove(fleet);
                    said.only_looked.remove(fleet);
                    true
                }
                // Said of the daemon as a whole.
                TickError::Journal(_) if said.journal.is_some() => true,
                _ => {
                    let gist = gist(error);
                    said.errors.insert(fleet.clone(), gist.clone()) == Some(gist)
                }
            };
            let lacks_credentials = matches!(
                error,
                TickError::Survey(Error { kind: ErrorKind::NoCredentials { .. }, .. })
            );
            if let (false, true, Some(config)) = (known, lacks_credentials, &self.dry) {
                output::by_hand("run --dry-run", config, &output::KEY_PAIR);
            }
            if known {
                tracing::debug!(fleet.id = %fleet, "fleet `{fleet}`: {error}");
            } else {
                tracing::error!(fleet.id = %fleet, "fleet `{fleet}` keeps its size: {error}");
            }
        }
        self.tell(Some(fleet.0.clone()), &changes, |_| None);
        Reporter::alerts(fleet, changes);
    }

    fn took(&self, fleet: &FleetId, took: Duration) {
        self.instruments.took(fleet, took);
    }

    fn journal(&self, state: Result<(), &JournalError>) {
        self.channels();
        self.instruments.journal(state.err());
        let left_out = self.instruments.left_out();
        self.daemon(AlertCode::JournalDamaged, left_out.map(|what| format!("left out: {what}")));
        let mut said = self.said();
        let now = state.err().map(ToString::to_string);
        self.tell_of_journal(said.journal.is_some(), now.as_deref());
        match (&said.journal, &now) {
            (before, Some(why)) if before.as_ref() != Some(why) => tracing::error!(
                alert = "journal_unavailable",
                "the journal cannot be used, nothing is changed in the cloud: {why}",
            ),
            (Some(_), None) => tracing::info!(
                alert = "journal_unavailable",
                "cleared: the journal can be used again",
            ),
            _ => {}
        }
        said.journal = now;
    }
}

impl ReloadSink for Reporter {
    fn reloaded(&self, author: &str, ended: Result<&Reloaded, &ReloadError>) {
        match ended {
            Ok(reloaded) => {
                tracing::info!("the configuration is taken, asked by {author}: {reloaded}");
                for warning in &reloaded.warnings {
                    tracing::warn!("{warning}");
                }
                self.instruments.reloaded();
                let mut said = self.said();
                for gone in &reloaded.removed {
                    said.forget(gone);
                    tracing::info!(fleet.id = %gone,
                        "fleet `{gone}` is configured no more: its instances stay, as strays");
                }
                drop(said);
                self.daemon(AlertCode::ConfigRefused, None);
            }
            Err(error) => {
                let text = error.to_string();
                for line in text.lines() {
                    tracing::error!("the configuration is refused, asked by {author}: {line}");
                }
                let first = text.lines().next().unwrap_or_default();
                let why = format!("the old configuration goes on: {}", one_line(first));
                self.daemon(AlertCode::ConfigRefused, Some(why));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use cloud::Class;

    use super::*;

    fn refused(code: &str, id: &str) -> TickError {
        TickError::Survey(Error {
            action: "DescribeInstances".to_owned(),
            class: Class::Auth,
            kind: ErrorKind::Refused {
                code: code.to_owned(),
                message: format!("nonce {id}"),
                concerns: cloud::Concerns::Moment,
            },
            status: Some(403),
            request_id: Some(id.to_owned()),
            attempts: 1,
        })
    }

    #[test]
    fn the_same_refusal_is_the_same_whatever_its_nonce() {
        let first = gist(&refused("SignatureDoesNotMatch", "A"));
        assert_eq!(first, gist(&refused("SignatureDoesNotMatch", "B")));
        assert_ne!(first, gist(&refused("Forbidden.RAM", "A")));
    }
}
