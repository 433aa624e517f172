//! The only door to the cloud's write side.
//!
//! A mutation is sent only after its intent is durable in the journal, under the fleet's lease, and
//! under a [`Permit`] that is made here and nowhere else. A dry run holds no provider that can write
//! and no journal to record intents in: it cannot change anything, it can only say what it would
//! send.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloud::{
    Class, Clock, Error, ErrorKind, InstanceResult, Mutate, Mutation, Permit, Preview, Terminate,
    clock,
};

use crate::journal::{Intended, Journal, JournalError, Lease};
use crate::model::{
    About, Action, Direction, Inputs, Intent, IntentId, Refusal, Settlement, clock_time,
};

use super::{Outcome, facts, spend};

/// How long a permit is good for. Longer than the deadline of any one operation (so an operation
/// is not cut short by it), and short enough that a process that was paused does not wake up and
/// send what it planned long ago.
const PERMIT_VALID: Duration = Duration::from_secs(180);

/// How old what a decision was made from may be when it is acted on. Reading and the actions before
/// this one take seconds; after four ticks' time the load may be another one, and a process that was
/// paused does not know how long it was away.
const DECISION_VALID: Duration = Duration::from_secs(60);

/// The executor: with the right to change the cloud, or to say what it would change.
#[derive(Debug, Clone)]
pub enum Executor {
    /// Change the cloud.
    Live(Live),
    /// Only say what would be sent.
    Dry(Arc<dyn Preview>),
}

/// The write side of one provider account, and the journal that every write goes through.
#[derive(Debug, Clone)]
pub struct Live {
    pub cloud: Arc<dyn Mutate>,
    pub journal: Arc<Journal>,
    pub clock: Arc<dyn Clock>,
}

/// For whom something is done, and on what grounds.
#[derive(Debug, Clone, Copy)]
pub struct ActionContext<'a> {
    pub lease: &'a Lease,
    pub inputs: &'a Inputs,
}

impl Executor {
    pub async fn carry_out(
        &self,
        context: ActionContext<'_>,
        action: &Action,
    ) -> Result<Outcome, JournalError> {
        let text = action.to_string();
        match self {
            Executor::Dry(preview) => {
                Ok(Outcome::Dry { action: text, calls: preview.preview(&action.mutation) })
            }
            Executor::Live(live) => live.mutate(context, action, text).await,
        }
    }
}

impl Live {
    /// Records the intent, sends the mutation, records the outcome.
    async fn mutate(
        &self,
        context: ActionContext<'_>,
        action: &Action,
        text: String,
    ) -> Result<Outcome, JournalError> {
        if let Some(until) = self.cloud.closed_until(&action.mutation) {
            // It would be refused: no intent for nothing.
            let why = format!("throttled, to be tried again at {}", clock_time(until));
            return Ok(Outcome::NotSent { action: text, why, again_at: Some(until) });
        }
        if let Some(why) = self.reason_not_to_send(context, &action.mutation)? {
            return Ok(Outcome::NotSent { action: text, why, again_at: None });
        }
        let intent = Intent { at: self.clock.now(), action: action.clone() };
        let spend = spend::of(&intent, context.inputs);
        failpoint!("intend.before");
        // Durable before the first byte leaves; if this fails, nothing is sent.
        let intended = self.journal.intend(context.lease, intent.clone(), spend).await?;
        failpoint!("intend.after");
        let why = match intended {
            Intended::Recorded => {
                let settlement = self.send(context, &intent, false).await?;
                return Ok(Outcome::Sent { action: text, settlement });
            }
            Intended::LeaseLost => "another replica acts for the fleet now".to_owned(),
            Intended::Braked(limit) => {
                format!("an hourly limit of {} would be passed", limit.most)
            }
        };
        Ok(Outcome::NotSent { action: text, why, again_at: None })
    }

    /// Sends an action of unknown outcome again, with the same token. Only a success tells what
    /// became of it: any refusal may be of this attempt alone.
    pub(super) async fn repeat(
        &self,
        context: ActionContext<'_>,
        intent: &Intent,
    ) -> Result<Settlement, JournalError> {
        if let Some(message) = self.reason_not_to_send(context, &intent.action.mutation)? {
            return Ok(Settlement::Open { message, repeat: true });
        }
        failpoint!("resend.before");
        match self.journal.resend(context.lease, intent.action.intent).await? {
            Intended::Recorded => self.send(context, intent, true).await,
            Intended::LeaseLost | Intended::Braked(_) => Ok(Settlement::Open {
                message: "another replica acts for the fleet now".to_owned(),
                repeat: true,
            }),
        }
    }

    /// Why `mutation` is not to be sent any more, although it was decided.
    fn reason_not_to_send(
        &self,
        context: ActionContext<'_>,
        mutation: &Mutation,
    ) -> Result<Option<String>, JournalError> {
        let ActionContext { lease, inputs } = context;
        let now = self.clock.now();
        if now < inputs.now {
            return Ok(Some("the clock was set back since this was decided".to_owned()));
        }
        let age = clock::age(now, inputs.now);
        if age > DECISION_VALID {
            let secs = age.as_secs();
            return Ok(Some(format!("it was decided {secs} s ago: it is decided anew")));
        }
        let direction = match mutation {
            Mutation::Launch(_) => Direction::Out,
            // An end that a drain began may be finished.
            Mutation::Delete { how: Terminate::StopThenDelete, .. } => return Ok(None),
            Mutation::Stop { .. } | Mutation::Delete { .. } => Direction::In,
            Mutation::Tag { .. } | Mutation::Start { .. } | Mutation::Route { .. } => {
                return Ok(None);
            }
        };
        let holds = self.journal.holds(&lease.fleet)?;
        let hold = holds.into_iter().find(|hold| hold.keeps(&lease.fleet, direction, now));
        Ok(hold.map(|hold| format!("held by {} by now: {}", hold.author, hold.reason)))
    }

    async fn send(
        &self,
        context: ActionContext<'_>,
        intent: &Intent,
        again: bool,
    ) -> Result<Settlement, JournalError> {
        let latest = clock::after(self.clock.now(), PERMIT_VALID);
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place where a durable intent becomes a permit"
        )]
        let permit =
            Permit::after_commit(intent.action.intent.0, context.lease.deadline.clone(), latest);
        failpoint!("call.before");
        let outcome = apply(&*self.cloud, &permit, &intent.action.mutation).await;
        failpoint!("call.after");
        let in_time = self.clock.now() < permit.send_before();
        let settlement = match outcome {
            Ok(settlement) => unless_in_doubt(settlement, again),
            Err(error) => failure(&error, in_time, again),
        };
        self.record(context, intent, settlement).await
    }

    /// Records what became of an intent.
    pub(super) async fn record(
        &self,
        context: ActionContext<'_>,
        intent: &Intent,
        settlement: Settlement,
    ) -> Result<Settlement, JournalError> {
        let ActionContext { lease, inputs } = context;
        let now = self.clock.now();
        let account = &inputs.fleet.account;
        let facts: Vec<_> = facts::of(intent, &settlement, &inputs.account, now)
            .into_iter()
            .map(|fact| (account.clone(), fact))
            .collect();
        let spend = spend::really(intent, &settlement, inputs);
        let id = intent.action.intent;
        failpoint!("settle.before");
        let recorded = self.journal.settle(lease, id, settlement.clone(), spend, &facts).await?;
        failpoint!("settle.after");
        if recorded != Intended::Recorded {
            tracing::warn!(
                fleet.id = %lease.fleet, intent.id = %id,
                "fleet `{}`: another replica acts for it now and will find out what became of: {}",
                lease.fleet, intent.action,
            );
        }
        Ok(settlement)
    }
}

async fn apply(
    cloud: &dyn Mutate,
    permit: &Permit,
    mutation: &Mutation,
) -> Result<Settlement, Error> {
    let batch = |results: Vec<InstanceResult>| {
        let mut done = Vec::new();
        let mut failed = BTreeMap::new();
        for InstanceResult { id, result } in results {
            match result {
                Ok(()) => done.push(id),
                Err(error) => {
                    // Not the instance's fault: our time was over.
                    let not_sent = matches!(error.kind, ErrorKind::NotSent { .. });
                    let class = match error.class {
                        Class::Permanent if not_sent => Class::Transient,
                        class => class,
                    };
                    let refusal = Refusal { class, message: error.to_string() };
                    failed.insert(id, refusal);
                }
            }
        }
        Settlement::Done { done, failed }
    };
    Ok(match mutation {
        Mutation::Launch(launch) => {
            Settlement::Launched { ids: cloud.launch(permit, launch).await? }
        }
        Mutation::Tag { ids, tags } => {
            cloud.tag(permit, ids, tags).await?;
            Settlement::Done { done: ids.clone(), failed: BTreeMap::new() }
        }
        Mutation::Start { ids } => batch(cloud.start(permit, ids).await?),
        Mutation::Stop { ids } => batch(cloud.stop(permit, ids).await?),
        Mutation::Delete { ids, how } => batch(cloud.delete(permit, ids, *how).await?),
        Mutation::Route { group, ids, change } => {
            batch(cloud.route(permit, group, ids, *change).await?)
        }
    })
}

/// What a batch came to. It is open while it is not known of an instance what became of it: its
/// answer was lost, or it refused a second attempt and may have been ended by the first.
fn unless_in_doubt(settlement: Settlement, again: bool) -> Settlement {
    let Settlement::Done { failed, .. } = &settlement else { return settlement };
    let lost = failed.values().any(|refusal| refusal.class == Class::Ambiguous);
    if failed.is_empty() || !(lost || again) {
        return settlement;
    }
    let messages: Vec<&str> = failed.values().map(|refusal| refusal.message.as_str()).collect();
    let repeat = failed.values().any(|refusal| may_change(refusal.class));
    Settlement::Open { message: messages.join("; "), repeat }
}

/// Whether asking the same again could bring another answer.
fn may_change(class: Class) -> bool {
    matches!(class, Class::Ambiguous | Class::Transient | Class::Throttled { .. } | Class::Auth)
}

/// What a failure says about the intent. `in_time`: the permit had not run out; `again`: an earlier
/// attempt may have had its effect.
fn failure(error: &Error, in_time: bool, again: bool) -> Settlement {
    let message = error.to_string();
    let mismatch = matches!(error.kind, ErrorKind::TokenMismatch { .. });
    let may_change = may_change(error.class) || matches!(error.kind, ErrorKind::NotSent { .. });
    match error.class {
        Class::Ambiguous => Settlement::Open { message, repeat: !mismatch },
        _ if again => Settlement::Open { message, repeat: may_change },
        // Not the configuration's fault: our time was over.
        Class::Permanent if !in_time && matches!(error.kind, ErrorKind::NotSent { .. }) => {
            Settlement::failed(Class::Transient, message)
        }
        class => Settlement::Failed { class, message, about: about(error) },
    }
}

/// The subject of a refusal by the provider.
fn about(error: &Error) -> Option<About> {
    match &error.kind {
        ErrorKind::Refused { code, concerns, .. } => {
            Some(About { code: code.clone(), concerns: *concerns })
        }
        _ => None,
    }
}

impl ActionContext<'_> {
    /// Whose intent it is, for logs.
    pub(super) fn about(&self, id: IntentId) -> String {
        format!("fleet `{}`, intent {id}", self.lease.fleet)
    }
}
