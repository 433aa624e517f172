//! What was asked, and what is said of the answer.

use cloud::{Class, Error, ErrorKind};

use crate::cli::output;
use crate::model::Span;

/// One check: what was asked, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli::check) struct CheckRow {
    pub(in crate::cli::check) what: String,
    pub(in crate::cli::check) found: CheckFinding,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli::check) enum CheckFinding {
    Fine(String),
    /// The problem, and the way to mend it where the first does not say it.
    Wrong {
        wrong: String,
        todo: Option<String>,
    },
    /// There was no answer at all: whoever was asked will not answer the next question either.
    Silent {
        wrong: String,
        todo: String,
    },
    /// It works, and is allowed more than it needs.
    More(String),
    /// Not asked, since it would only fail as an earlier one did.
    Skipped(String),
}

impl CheckRow {
    pub(super) fn new(what: String, found: CheckFinding) -> CheckRow {
        CheckRow { what, found }
    }

    /// For 80 columns.
    pub(in crate::cli::check) fn lines(&self) -> Vec<String> {
        let (text, todo) = self.found.texts();
        let texts = match self.found.is_wrong() {
            false => vec![format!("{}: {text}", self.what)],
            true => {
                let todo = todo.map(|todo| format!("→ {todo}"));
                [self.what.clone(), text.to_owned()].into_iter().chain(todo).collect()
            }
        };
        let label = match self.found {
            CheckFinding::Wrong { .. } | CheckFinding::Silent { .. } => "FAIL",
            _ => self.found.name(),
        };
        let lines = texts.iter().flat_map(|text| output::wrap(text, 70)).enumerate();
        lines.map(|(n, line)| format!("  {:<5} {line}", if n == 0 { label } else { "" })).collect()
    }
}

impl CheckFinding {
    /// One word for programs.
    pub(in crate::cli::check) fn name(&self) -> &'static str {
        match self {
            CheckFinding::Fine(_) => "ok",
            CheckFinding::Wrong { .. } | CheckFinding::Silent { .. } => "fail",
            CheckFinding::More(_) => "more",
            CheckFinding::Skipped(_) => "skip",
        }
    }

    /// What was found, and what is to be done about it.
    pub(in crate::cli::check) fn texts(&self) -> (&str, Option<&str>) {
        match self {
            CheckFinding::Fine(text) | CheckFinding::More(text) | CheckFinding::Skipped(text) => {
                (text, None)
            }
            CheckFinding::Wrong { wrong, todo } => (wrong, todo.as_deref()),
            CheckFinding::Silent { wrong, todo } => (wrong, Some(todo)),
        }
    }

    pub(in crate::cli::check) fn is_wrong(&self) -> bool {
        matches!(self, CheckFinding::Wrong { .. } | CheckFinding::Silent { .. })
    }

    pub(in crate::cli::check) fn is_skipped(&self) -> bool {
        matches!(self, CheckFinding::Skipped(_))
    }

    /// Of a question to which nothing came within `limit`.
    pub(super) fn no_answer(limit: std::time::Duration, todo: &str) -> CheckFinding {
        CheckFinding::Silent { wrong: no_answer_within(limit), todo: todo.to_owned() }
    }

    /// Of a call to the provider.
    pub(super) fn of(result: Result<(), Error>, fine: &str) -> CheckFinding {
        match result {
            Ok(()) => CheckFinding::Fine(fine.to_owned()),
            Err(error) => CheckFinding::failed(&error, todo(&error)),
        }
    }

    pub(super) fn failed(error: &Error, todo: &str) -> CheckFinding {
        let (wrong, todo) = (error.to_string(), todo.to_owned());
        match is_silent(error) {
            true => CheckFinding::Silent { wrong, todo },
            false => CheckFinding::Wrong { wrong, todo: Some(todo) },
        }
    }
}

fn no_answer_within(limit: std::time::Duration) -> String {
    format!("there was no answer within {}", Span(limit))
}

/// Whether no answer came, so that no other call would fare better.
pub(super) fn is_silent(error: &Error) -> bool {
    let unanswered = match error.kind {
        ErrorKind::NoCredentials { .. } => return true,
        ErrorKind::TimedOut { .. }
        | ErrorKind::NotConnected { .. }
        | ErrorKind::Cut { .. }
        | ErrorKind::Deadline { .. } => true,
        _ => false,
    };
    unanswered && error.status.is_none()
}

/// What to do about a provider that does not answer.
pub(super) const REACH: &str =
    "check the endpoint and the way there (DNS, proxy, firewall), then try again";

/// The way for a person to mend a failed probe.
pub(super) fn todo(error: &Error) -> &'static str {
    let code = error.code().unwrap_or_default();
    match error.class {
        Class::Auth if matches!(error.kind, ErrorKind::NoCredentials { .. }) => {
            "give it credentials: a RAM role, systemd's LoadCredential, or the environment \
             (docs/operating.md, Install)"
        }
        Class::Auth
            if ["Forb", "NoPermission", "RegionUnauth"].iter().any(|s| code.starts_with(s)) =>
        {
            "the key pair is known, but may not do this: `fleetscaler ram-policy` writes the RAM \
             policy that it needs"
        }
        Class::Auth => "check the key pair: whether id and secret belong together and are enabled",
        Class::NoCapacity => {
            "this type is sold out in this zone now; the daemon would try the next place, list \
             more types or vSwitches"
        }
        Class::Quota => "raise the quota or top up the balance in the vendor's console",
        Class::Throttled { .. } => "the account's API quota is used up for this minute; try again",
        Class::Transient | Class::Ambiguous => REACH,
        Class::Permanent | Class::Conflict | Class::Gone => {
            "correct what the message names in [fleet.….launch]"
        }
    }
}
