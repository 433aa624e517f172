//! Alerts, which a person should know of: each has a code, and each code its page in the runbook
//! (`docs/reliability.md`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kinds of alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertCode {
    /// A listing is not believed.
    InventoryDoubt,
    /// The cloud cannot be read.
    CloudUnreadable,
    /// The journal cannot be used: nothing is changed.
    JournalUnavailable,
    /// A record of the journal cannot be read.
    JournalDamaged,
    /// The configuration on disk is not the one that runs: it was refused.
    ConfigRefused,
    /// The process runs out of file descriptors.
    Descriptors,
    /// A tick ended in a bug.
    TickPanicked,
    /// A launch of unknown outcome is still open after minutes.
    OutcomeUnknown,
    /// Quota, balance or credentials: launches stopped for the account.
    AccountStopped,
    /// The key belongs to another account than the one that was recorded: nothing is called.
    AccountChanged,
    /// Launched instances failed one after another: launches of this spec stopped.
    LaunchFailures,
    /// Every place is sold out.
    NoPlace,
    /// The fleet is below `min`, and nothing is launched.
    BelowMin,
    /// The fleet is at `max`, and its rules want more.
    AtMax,
    /// An hourly limit keeps the fleet from its size.
    Brake,
    /// An instance refuses to be deleted.
    DeletionRefused,
    /// All instances of a zone are gone or silent.
    ZoneLost,
    /// A signal has been missing for long.
    SignalMissing,
    /// Instances that served are unhealthy by their checks.
    Unhealthy,
    /// A hook failed, or was not done in time.
    HookFailed,
    /// A load balancer cannot be read, refuses a change, or somebody takes traffic from what serves.
    BalancerFailed,
    /// A file for others is not up to date.
    RenderFailed,
    /// A channel for messages cannot be reached.
    NotifyFailed,
    /// A managed instance was stopped by somebody.
    InstanceStopped,
    /// Instances carry the fleet's tags that its journal neither launched nor took over.
    Stranger,
    /// Instances carry the fleet's tags that belong to another installation.
    OtherInstallation,
    /// An instance of ours that no fleet wants.
    Stray,
    /// An instance that the records know and the cloud does not.
    Ghost,
    /// An instance whose tags are not what they should be.
    TagDrift,
    /// An instance that runs and is not heard of.
    Silent,
}

impl AlertCode {
    /// Every code, in the order of the runbook.
    pub const ALL: &'static [AlertCode] = &[
        AlertCode::InventoryDoubt,
        AlertCode::CloudUnreadable,
        AlertCode::JournalUnavailable,
        AlertCode::JournalDamaged,
        AlertCode::ConfigRefused,
        AlertCode::Descriptors,
        AlertCode::TickPanicked,
        AlertCode::OutcomeUnknown,
        AlertCode::AccountStopped,
        AlertCode::AccountChanged,
        AlertCode::LaunchFailures,
        AlertCode::NoPlace,
        AlertCode::BelowMin,
        AlertCode::AtMax,
        AlertCode::Brake,
        AlertCode::DeletionRefused,
        AlertCode::ZoneLost,
        AlertCode::SignalMissing,
        AlertCode::Unhealthy,
        AlertCode::HookFailed,
        AlertCode::BalancerFailed,
        AlertCode::RenderFailed,
        AlertCode::NotifyFailed,
        AlertCode::InstanceStopped,
        AlertCode::Stranger,
        AlertCode::OtherInstallation,
        AlertCode::Stray,
        AlertCode::Ghost,
        AlertCode::TagDrift,
        AlertCode::Silent,
    ];

    /// As it appears in logs, metrics and the journal.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            AlertCode::InventoryDoubt => "inventory_doubt",
            AlertCode::CloudUnreadable => "cloud_unreadable",
            AlertCode::JournalUnavailable => "journal_unavailable",
            AlertCode::JournalDamaged => "journal_damaged",
            AlertCode::ConfigRefused => "config_refused",
            AlertCode::Descriptors => "descriptors",
            AlertCode::TickPanicked => "tick_panicked",
            AlertCode::OutcomeUnknown => "outcome_unknown",
            AlertCode::AccountStopped => "account_stopped",
            AlertCode::AccountChanged => "account_changed",
            AlertCode::LaunchFailures => "launch_failures",
            AlertCode::NoPlace => "no_place",
            AlertCode::BelowMin => "below_min",
            AlertCode::AtMax => "at_max",
            AlertCode::Brake => "brake",
            AlertCode::DeletionRefused => "deletion_refused",
            AlertCode::ZoneLost => "zone_lost",
            AlertCode::SignalMissing => "signal_missing",
            AlertCode::Unhealthy => "unhealthy",
            AlertCode::HookFailed => "hook_failed",
            AlertCode::BalancerFailed => "balancer_failed",
            AlertCode::RenderFailed => "render_failed",
            AlertCode::NotifyFailed => "notify_failed",
            AlertCode::InstanceStopped => "instance_stopped",
            AlertCode::Stranger => "stranger",
            AlertCode::OtherInstallation => "other_installation",
            AlertCode::Stray => "stray",
            AlertCode::Ghost => "ghost",
            AlertCode::TagDrift => "tag_drift",
            AlertCode::Silent => "silent",
        }
    }
}

impl fmt::Display for AlertCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The identity of an alert: two with the same key are one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AlertKey {
    pub code: AlertCode,
    /// An instance, a signal, a zone; empty when it is about the fleet or account as a whole.
    pub about: String,
}

/// Something that a person should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    #[serde(flatten)]
    pub key: AlertKey,
    pub message: String,
}

impl Alert {
    #[must_use]
    pub fn new(code: AlertCode, about: impl Into<String>, message: impl Into<String>) -> Alert {
        Alert { key: AlertKey { code, about: about.into() }, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alert_has_its_page_in_the_runbook() {
        let runbook = include_str!("../../docs/reliability.md");
        let pages: Vec<&str> = runbook
            .lines()
            .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
            .collect();
        let codes: Vec<&str> = AlertCode::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(pages, codes);
    }

    #[test]
    fn an_alert_is_written_under_the_name_of_its_code() {
        for code in AlertCode::ALL {
            let written = serde_json::to_value(code).expect("written");
            assert_eq!(written, code.name());
        }
    }
}
