//! The things that fleets of an account share: stock, calls, audits.

use chrono::{DateTime, Utc};
use cloud::limit::ActionBudget;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{at, rounded};
use crate::control::{Finding, Findings};

/// The stock-out board: every place in which a configured fleet may launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlacesView {
    pub places: Vec<PlaceView>,
}

/// One instance type in one vSwitch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlaceView {
    pub account: String,
    pub instance_type: String,
    pub vswitch: String,
    /// The fleets that may launch there.
    pub fleets: Vec<String>,
    /// `open`, `left_alone` until the time below, `tried_next` with one instance, or `unknown` before
    /// the first tick of any of its fleets.
    pub state: String,
    /// Why it is left alone.
    pub why: Option<String>,
    pub until: Option<DateTime<Utc>>,
    pub failed_at: Option<DateTime<Utc>>,
    pub failed_in_a_row: Option<u32>,
}

/// The cost of calls to the clouds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BudgetsView {
    pub accounts: Vec<BudgetView>,
}

/// One account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BudgetView {
    pub account: String,
    /// Calls within the last minute.
    pub calls_last_minute: u64,
    /// The most that all actions together may have.
    pub calls_per_minute_max: Option<f64>,
    /// Why launches of the whole account are stopped, if so.
    pub launches_stopped: Option<String>,
    pub actions: Vec<ActionView>,
}

/// One action of the provider's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ActionView {
    /// The provider's name of it; `*` is all of them.
    pub action: String,
    pub calls_per_second_max: f64,
    /// Calls that would be let through now without a wait.
    pub headroom_calls: f64,
    pub calls_total: u64,
    pub waited_calls_total: u64,
    pub waited_secs_total: f64,
    /// Not sent: the wait was longer than the caller's patience.
    pub refused_calls_total: u64,
    /// Attempts that were sent, by what came of them.
    pub outcomes: Vec<OutcomeCountView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutcomeCountView {
    /// `ok`, or the class of the failure.
    pub outcome: String,
    pub attempts_total: u64,
}

/// The newest audit of each account that this replica audits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditsView {
    pub audits: Vec<AuditView>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditView {
    pub account: String,
    pub audited_at: DateTime<Utc>,
    pub listed_instances: u32,
    pub findings: Vec<FindingView>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FindingView {
    /// Such as `stray` or `ghost`.
    pub kind: String,
    pub instance: String,
    pub fleet: String,
    pub text: String,
    pub cost_per_hour: Option<f64>,
    pub currency: Option<String>,
}

impl ActionView {
    pub(crate) fn of(budget: &ActionBudget, calls: &[(String, &'static str, u64)]) -> ActionView {
        let own = calls.iter().filter(|(action, _, _)| *action == budget.action);
        ActionView {
            action: budget.action.clone(),
            calls_per_second_max: rounded(budget.per_second),
            headroom_calls: rounded(budget.headroom),
            calls_total: budget.calls,
            waited_calls_total: budget.waits,
            waited_secs_total: rounded(budget.waited_total.as_secs_f64()),
            refused_calls_total: budget.refused,
            outcomes: own
                .map(|(_, outcome, count)| OutcomeCountView {
                    outcome: (*outcome).to_owned(),
                    attempts_total: *count,
                })
                .collect(),
        }
    }
}

impl AuditView {
    pub(crate) fn of(account: &str, findings: &Findings) -> AuditView {
        AuditView {
            account: account.to_owned(),
            audited_at: at(findings.at),
            listed_instances: findings.listed,
            findings: findings.findings.iter().map(FindingView::from).collect(),
        }
    }
}

impl From<&Finding> for FindingView {
    fn from(finding: &Finding) -> FindingView {
        let price = finding.price_per_hour.as_ref();
        FindingView {
            kind: finding.what.kind().to_owned(),
            instance: finding.id.0.clone(),
            fleet: finding.fleet.0.clone(),
            text: finding.to_string(),
            cost_per_hour: price.map(|price| rounded(price.amount)),
            currency: price.map(|price| price.currency.clone()),
        }
    }
}
