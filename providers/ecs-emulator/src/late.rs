//! Requests that are still queued in the cloud when their connection breaks: the effect comes later,
//! at a time of its own.

use std::time::Duration;

use cloud::{Timestamp, clock};

use crate::actions::{self, Call};
use crate::answer::{ApiError, Outcome};
use crate::state::{Late, State};

impl State {
    /// Queues a call for `delay`. Its token counts as under way meanwhile; a token that was used
    /// before changes nothing.
    pub(crate) fn postpone(&mut self, seq: u64, call: &Call<'_>, delay: Duration) -> Outcome {
        let never_seen = ApiError::new(502, "BadGateway", "The gateway had no answer.");
        let token = call.parameters.get("ClientToken");
        if let Some(token) = token {
            if self.remembered(call.action, token, call.parameters).is_some() {
                return Err(never_seen);
            }
            let under_way = Err(never_seen.clone());
            self.remember(call.action, token, call.parameters.clone(), under_way, delay);
        }
        self.late.push(Late {
            due: clock::after(self.now(), delay),
            seq,
            action: call.action.to_owned(),
            version: call.version.to_owned(),
            parameters: call.parameters.clone(),
        });
        Err(never_seen)
    }

    /// Lets everything happen whose time has come, in order, each at its moment.
    pub(crate) fn catch_up(&mut self) {
        let now = self.now();
        while let Some(n) = self.next_late(now) {
            let late = self.late.remove(n);
            self.moment = Some(late.due);
            self.carry_out(&late);
            self.moment = None;
        }
    }

    fn next_late(&self, now: Timestamp) -> Option<usize> {
        let due = self.late.iter().enumerate().filter(|(_, late)| late.due <= now);
        due.min_by_key(|(_, late)| (late.due, late.seq)).map(|(n, _)| n)
    }

    fn carry_out(&mut self, late: &Late) {
        let token = late.parameters.get("ClientToken").cloned();
        let key = token.map(|token| (late.action.clone(), token));
        let under_way = key.as_ref().and_then(|key| self.tokens.remove(key));
        let mut call = Call {
            action: &late.action,
            version: &late.version,
            parameters: &late.parameters,
            fault: None,
            created: Vec::new(),
            deleted: Vec::new(),
            repeated: false,
        };
        let outcome = actions::perform(self, &mut call);
        let (created, deleted) = (call.created, call.deleted);
        // It is forgotten half an hour after its first use, not after its effect.
        if let (Some(first), Some(key)) = (under_way, key)
            && let Some(known) = self.tokens.get_mut(&key)
        {
            known.used_at = first.used_at;
        }
        self.transcript.amend(late.seq, |entry| {
            entry.created = created;
            entry.deleted = deleted;
            entry.status = outcome.as_ref().err().map_or(200, |error| error.status);
            entry.code = outcome.err().map(|error| error.code);
        });
    }
}
