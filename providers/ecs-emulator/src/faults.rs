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
    /// How long a `slow` answer takes, and after how long an instance `vanishes`.
    #[serde(default)]
    pub delay: Span,
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
        }
    }

    /// The same, for the next `times` calls only.
    #[must_use]
    pub fn times(self, times: u32) -> Fault {
        Fault { times: Some(times), ..self }
    }
}

/// What goes wrong.
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

    /// The first fault that hits a call, used up by one.
    pub(crate) fn hit(
        &mut self,
        action: &str,
        zone: Option<&str>,
        instance_type: Option<&str>,
    ) -> Option<Fault> {
        let matches = |wanted: &Option<String>, got: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == got)
        };
        let fault = self.0.iter_mut().find(|fault| {
            matches(&fault.action, Some(action))
                && matches(&fault.zone, zone)
                && matches(&fault.instance_type, instance_type)
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
