//! Messages that reach people where they work: a group of DingTalk, Feishu or WeCom, a channel of Slack, or
//! any HTTP server.
//!
//! What is told is the alerts: their beginning, their end, and, while they last, a reminder. Messages of one
//! moment go together, no more than so many an hour, and beside the ticks: a channel that does not answer
//! delays nothing, is tried again with the backoff of all calls, and is itself an alert.

mod channel;
#[cfg(test)]
mod fixtures;
mod mail;
mod queue;
mod sender;
mod tally;
mod words;

use cloud::{Secret, Timestamp};

use crate::model::{AlertCode, AlertKey, Span};

pub use mail::MailSpec;
pub use sender::{Notifier, NotifyError, test};
pub use tally::Tally;
pub use words::Language;

/// One channel, as configured.
#[derive(Debug, Clone, PartialEq)]
pub struct NotifySpec {
    pub name: String,
    pub kind: ChannelKind,
    /// Secret as a whole: the address of a robot is the right to speak there.
    pub url: Secret,
    /// Signs the messages.
    pub secret: Option<Secret>,
    /// The addresses of an `email` channel.
    pub mail: Option<MailSpec>,
    pub language: Language,
    /// Names of fleets, each perhaps with a `*` at its end; empty: all fleets, and the daemon itself.
    pub fleets: Vec<String>,
    /// What is less severe is not told.
    pub least: Severity,
    /// Messages within this time go together.
    pub group: Span,
    /// An alert that lasts is told again after this time.
    pub repeat: Span,
    /// No more messages than this within an hour.
    pub max_per_hour: u32,
    /// Where the daemon's page is, for a link.
    pub page_url: Option<String>,
    /// Where the runbook is, which has a section for each code.
    pub runbook_url: Option<String>,
}

/// How a channel takes messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelKind {
    DingTalk,
    Feishu,
    WeCom,
    Slack,
    /// JSON, signed as hooks are.
    Webhook,
    /// Letters, by SMTP.
    Email,
}

impl NotifySpec {
    /// Where the page shows what `whose` says: a fleet, or, of an account or the daemon, all fleets.
    fn page_link(&self, whose: Option<&str>) -> Option<String> {
        let page = self.page_url.as_ref()?;
        Some(match whose.filter(|whose| !whose.starts_with('(')) {
            Some(fleet) => format!("{page}/#/fleet/{fleet}"),
            None => format!("{page}/"),
        })
    }

    /// Where the runbook tells of `code`.
    fn runbook_link(&self, code: AlertCode) -> Option<String> {
        Some(format!("{}#{code}", self.runbook_url.as_ref()?))
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It is good to know.
    Info,
    /// A person should look at it by day.
    Warning,
    /// A fleet cannot do its work.
    Critical,
}

impl Severity {
    /// The severity of an alert.
    #[must_use]
    pub fn of(code: AlertCode) -> Severity {
        match code {
            AlertCode::CloudUnreadable
            | AlertCode::JournalUnavailable
            | AlertCode::AccountStopped
            | AlertCode::AccountChanged
            | AlertCode::LaunchFailures
            | AlertCode::NoPlace
            | AlertCode::BelowMin
            | AlertCode::ZoneLost
            | AlertCode::Descriptors
            | AlertCode::BalancerFailed
            | AlertCode::RenderFailed => Severity::Critical,
            AlertCode::InventoryDoubt
            | AlertCode::JournalDamaged
            | AlertCode::ConfigRefused
            | AlertCode::TickPanicked
            | AlertCode::OutcomeUnknown
            | AlertCode::AtMax
            | AlertCode::Brake
            | AlertCode::DeletionRefused
            | AlertCode::SignalMissing
            | AlertCode::Unhealthy
            | AlertCode::HookFailed
            | AlertCode::NotifyFailed
            | AlertCode::Stranger
            | AlertCode::OtherInstallation
            | AlertCode::Stray => Severity::Warning,
            AlertCode::InstanceStopped
            | AlertCode::Ghost
            | AlertCode::TagDrift
            | AlertCode::Silent => Severity::Info,
        }
    }
}

/// Something that happened to an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The fleet, or the account in parentheses; `None`: the daemon.
    pub whose: Option<String>,
    pub key: AlertKey,
    /// In English, as it stands in the journal; `None`: the alert is over.
    pub message: Option<String>,
    pub at: Timestamp,
}

/// A message as a channel gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) news: Vec<Told>,
    /// Messages that the limit of the hour kept back before this one.
    pub(crate) kept_back: u32,
}

/// One alert in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) news: News,
    /// It was told before, and lasts.
    pub(crate) is_reminder: bool,
    /// Since when it has been on.
    pub(crate) since: Timestamp,
}
