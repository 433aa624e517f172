//! One instance: what it is, what it is doing at a moment, and what listings say of it.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud::{Timestamp, clock};
use serde::Serialize;

use crate::machines::Tags;

/// Just after its creation an instance cannot be deleted.
const INITIALIZING: Duration = Duration::from_millis(200);

/// One instance.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) zone: String,
    pub(crate) instance_type: String,
    pub(crate) image: String,
    pub(crate) vswitch: String,
    pub(crate) security_groups: Vec<String>,
    pub(crate) ip: String,
    pub(crate) spot: String,
    pub(crate) deletion_protection: bool,
    pub(crate) tags: Tags,
    pub(crate) created_at: Timestamp,
    pub(crate) visible_at: Timestamp,
    pub(crate) tags_visible_at: Timestamp,
    pub(crate) never_boots: bool,
    /// It disappears then, without anybody's doing.
    pub(crate) vanishes_at: Option<Timestamp>,
    /// And says so before.
    pub(crate) is_reclaimed: bool,
    pub(crate) power: Power,
}

/// The machine's power state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    /// Booting since, or running.
    On {
        since: Timestamp,
    },
    Stopping {
        until: Timestamp,
        then_gone: bool,
    },
    Gone {
        at: Timestamp,
        /// Its status before.
        was: &'static str,
    },
}

/// An instance as tests see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstanceView {
    pub id: String,
    /// As in the API; `Gone` when it exists no more.
    pub status: String,
    pub zone: String,
    pub instance_type: String,
    pub created_at: Timestamp,
    pub gone_at: Option<Timestamp>,
    pub tags: BTreeMap<String, String>,
    /// Whether anything on it would answer: not where its zone hangs.
    pub reachable: bool,
    pub private_ip: String,
}

impl Machine {
    /// The API's word for what it is doing; `None` when it exists no more.
    pub(crate) fn status(&self, now: Timestamp, boot: Duration) -> Option<&'static str> {
        if self.gone_at(now).is_some() { None } else { Some(self.last_status(now, boot)) }
    }

    /// The status in a listing, which may lag `lag` behind the end of an instance.
    pub(crate) fn listed(
        &self,
        now: Timestamp,
        boot: Duration,
        lag: Duration,
    ) -> Option<&'static str> {
        match self.gone_at(now) {
            None => Some(self.last_status(now, boot)),
            Some(at) if clock::age(now, at) < lag => Some(self.last_status(at, boot)),
            Some(_) => None,
        }
    }

    /// Its power state now, or when it ended.
    fn last_status(&self, now: Timestamp, boot: Duration) -> &'static str {
        match self.power {
            Power::On { since } => {
                let age = clock::age(now, since);
                // Pending "lasts for a few seconds", never longer than a fifth of the boot here.
                if age < (boot / 5).min(Duration::from_secs(3)) {
                    "Pending"
                } else if age < boot || self.never_boots {
                    "Starting"
                } else {
                    "Running"
                }
            }
            Power::Stopping { until, then_gone } if then_gone || now < until => "Stopping",
            Power::Stopping { .. } => "Stopped",
            Power::Gone { was, .. } => was,
        }
    }

    /// It is gone from this moment on.
    pub(crate) fn end(&mut self, now: Timestamp, boot: Duration) {
        self.power = Power::Gone { at: now, was: self.last_status(now, boot) };
    }

    pub(crate) fn is_initializing(&self, now: Timestamp) -> bool {
        clock::age(now, self.created_at) < INITIALIZING
    }

    pub(crate) fn gone_at(&self, now: Timestamp) -> Option<Timestamp> {
        let ended = match self.power {
            Power::Gone { at, .. } => Some(at),
            Power::Stopping { until, then_gone: true } => Some(until),
            _ => None,
        };
        ended.into_iter().chain(self.vanishes_at).filter(|at| *at <= now).min()
    }
}
