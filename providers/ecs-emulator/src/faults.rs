//! Faults on request: what goes wrong in the field, made to order.

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// One fault. It applies to calls that match, until `times` are used up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub kind: FaultKind,
    /// Such as `RunInstances`; absent: every action.
    #[serde(default)]
    pub action: Option<String>,
    /// Only launches into this zone.
    #[serde(default)]
    pub zone: Option<String>,
    /// Only launches of this type.
    #[serde(default)]
    pub instance_type: Option<String>,
    /// So many matching calls pass first.
    #[serde(default)]
    pub skip: u32,
    /// So many calls are hit; absent: all, until the faults are cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// How long a `slow` answer takes, after how long an instance `vanishes`, and after how long a
    /// `delayed` call has its effect.
    #[serde(default)]
    pub delay: Span,
    /// The code of a `refused` call.
    #[serde(default)]
    pub code: Option<String>,
}

impl Fault {
    /// `kind` for every call of `action`, until cleared.
    #[must_use]
    pub fn on(action: &str, kind: FaultKind) -> Fault {
        Fault {
            kind,
            action: Some(action.to_owned()),
            zone: None,
            instance_type: None,
            skip: 0,
            times: None,
            delay: Span::default(),
            code: None,
        }
    }

    /// Every call of `action` is refused with `code`, until cleared.
    #[must_use]
    pub fn refusal(action: &str, code: &str) -> Fault {
        Fault { code: Some(code.to_owned()), ..Fault::on(action, FaultKind::Refused) }
    }

    /// The same, for the next `times` calls only.
    #[must_use]
    pub fn times(self, times: u32) -> Fault {
        Fault { times: Some(times), ..self }
    }
}

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// `Throttling.User`, before anything happens.
    Throttle,
    /// 503 before anything happens.
    ErrorBefore,
    /// 500 after everything has happened.
    ErrorAfter,
    /// The connection is closed before anything happens.
    CutBefore,
    /// The connection is closed after everything has happened.
    CutAfter,
    /// The answer takes `delay` longer; the effect is immediate.
    Slow,
    /// Listings show nothing, with status 200.
    EmptyListing,
    /// Listings leave out the instances whose ids are even, with status 200.
    PartialListing,
    /// `OperationDenied.NoStock`.
    SoldOut,
    /// Launched instances stay Starting.
    NeverBoots,
    /// Launched instances disappear after `delay`, as when the capacity is missing after all.
    Vanishes,
    /// `InvalidAccessKeyId.NotFound`.
    BadCredentials,
    /// An HTML page with status 502, as a gateway sends it; before anything happens.
    Html,
    /// Status 200 and no body; after everything has happened.
    EmptyBody,
    /// Half an answer; after everything has happened.
    Truncated,
    /// 20 MB; after everything has happened.
    Huge,
    /// Status 200 with a failing `Code`; before anything happens.
    FailingOk,
    /// Launches: `QuotaExceed.ElasticQuota`.
    QuotaExceeded,
    /// Launches: `InvalidAccountStatus.NotEnoughBalance`.
    NoBalance,
    /// `Forbidden.RAM`, before anything happens.
    Forbidden,
    /// Launches and deletions: everything happens, and the answer is `LastTokenProcessing`. A
    /// repeat is answered with what happened.
    TokenProcessing,
    /// Launches: `OperationDenied.CreatingConflict`, before anything happens.
    CreatingConflict,
    /// Launches: `Throttling.Resource` with status 429, before anything happens.
    ThrottleResource,
    /// Launches: half of the amount, rounded up, but at least `MinAmount`.
    PartialLaunch,
    /// Deletions: `IncorrectInstanceStatus.Initializing`, before anything happens.
    Initializing,
    /// Deletions: `InvalidOperation.DeletionProtection`, although no listing shows a protection.
    Protected,
    /// Starts, stops and deletions of several instances are refused as a whole with
    /// `IncorrectInstanceStatus`; those of one pass.
    BadBatch,
    /// `NoPermission.Tag` on TagResources, before anything happens.
    TagRefused,
    /// Launches and deletions: the connection is closed at once, and everything happens after
    /// `delay`. Until then a repeated token is answered `LastTokenProcessing`.
    Delayed,
    /// Refused with the fault's `code` and status 403, before anything happens.
    Refused,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [FaultKind; 30] = [
        FaultKind::Throttle,
        FaultKind::ErrorBefore,
        FaultKind::ErrorAfter,
        FaultKind::CutBefore,
        FaultKind::CutAfter,
        FaultKind::Slow,
        FaultKind::EmptyListing,
        FaultKind::PartialListing,
        FaultKind::SoldOut,
        FaultKind::NeverBoots,
        FaultKind::Vanishes,
        FaultKind::BadCredentials,
        FaultKind::Html,
        FaultKind::EmptyBody,
        FaultKind::Truncated,
        FaultKind::Huge,
        FaultKind::FailingOk,
        FaultKind::QuotaExceeded,
        FaultKind::NoBalance,
        FaultKind::Forbidden,
        FaultKind::TokenProcessing,
        FaultKind::CreatingConflict,
        FaultKind::ThrottleResource,
        FaultKind::PartialLaunch,
        FaultKind::Initializing,
        FaultKind::Protected,
        FaultKind::BadBatch,
        FaultKind::TagRefused,
        FaultKind::Delayed,
        FaultKind::Refused,
    ];

    /// As it is written in JSON.
    #[must_use]
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            _ => String::new(),
        }
    }

    /// Whether it can hit a call of `action` that names `several` instances.
    fn concerns(self, action: &str, several: bool) -> bool {
        let launches = action == "RunInstances";
        let deletes = matches!(action, "DeleteInstances" | "DeleteInstance");
        match self {
            FaultKind::EmptyListing | FaultKind::PartialListing => action == "DescribeInstances",
            FaultKind::SoldOut
            | FaultKind::NeverBoots
            | FaultKind::Vanishes
            | FaultKind::QuotaExceeded
            | FaultKind::NoBalance
            | FaultKind::CreatingConflict
            | FaultKind::ThrottleResource
            | FaultKind::PartialLaunch => launches,
            FaultKind::TokenProcessing | FaultKind::Delayed => {
                launches || action == "DeleteInstances"
            }
            FaultKind::Initializing | FaultKind::Protected => deletes,
            FaultKind::BadBatch => {
                several && matches!(action, "StartInstances" | "StopInstances" | "DeleteInstances")
            }
            FaultKind::TagRefused => action == "TagResources",
            FaultKind::Throttle
            | FaultKind::ErrorBefore
            | FaultKind::ErrorAfter
            | FaultKind::CutBefore
            | FaultKind::CutAfter
            | FaultKind::Slow
            | FaultKind::BadCredentials
            | FaultKind::Html
            | FaultKind::EmptyBody
            | FaultKind::Truncated
            | FaultKind::Huge
            | FaultKind::FailingOk
            | FaultKind::Forbidden
            | FaultKind::Refused => true,
        }
    }
}

/// The faults in force.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn list(&self) -> &[Fault] {
        &self.0
    }

    /// The first fault that hits a call, used up by one. `several`: it names more than one instance.
    pub(crate) fn hit(
        &mut self,
        action: &str,
        zone: Option<&str>,
        instance_type: Option<&str>,
        several: bool,
    ) -> Option<Fault> {
        let matches = |wanted: &Option<String>, got: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == got)
        };
        let fault = self.0.iter_mut().find(|fault| {
            matches(&fault.action, Some(action))
                && matches(&fault.zone, zone)
                && matches(&fault.instance_type, instance_type)
                && fault.kind.concerns(action, several)
                && fault.times != Some(0)
        })?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        if let Some(times) = &mut fault.times {
            *times -= 1;
        }
        Some(fault.clone())
    }
}
