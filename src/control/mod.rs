//! The control loop: one tick is one pass over one fleet.
//!
//! This is the page to read first. Every stage is called here and nowhere else; the loop closes
//! only as data (the history), never by a call backwards. After a crash the next tick *is* the
//! recovery: it settles what is open and plans from the world as it is.

mod alerts;
mod audit;
mod beat;
mod care;
mod first_look;
mod fleets;
mod identity;
mod instances;
mod newest;
mod observed;
mod prices;
mod pulse;
mod recall;
mod record;
mod reload;
mod report;
mod steps;
mod wire;
mod world;

use std::time::Duration;

use cloud::{InstanceId, Timestamp, Urgency, clock};

use crate::execute::{self, ActionContext, CloudView, Executor, Outcome, Settled};
use crate::inventory::{self, FleetListing, News, Survey, View};
use crate::journal::{JournalError, Known, Lease, Turn};
use crate::model::{Decision, DecisionId, Entropy, Event, Fleet, History, Inputs, Memories, Plan};
use crate::plan;
use crate::policy::{self, Shadow};

use self::observed::{Observed, SoFar, beside_listing, observe, promptly, soon};
use self::record::Decisions;

pub use audit::{AuditError, Audited, Finding, Findings, What, audit, hourly};
pub use beat::{Beat, Sink, beat, guarded_tick, tend};
pub use care::{Care, CareError, CareShared};
pub use fleets::{FleetInWorld, Fleets};
pub use instances::{InstanceSeen, Listed};
pub use newest::{Newest, Shown, Trouble};
pub use prices::{HourlyCost, PriceBoard, keep_prices};
pub use pulse::Pulse;
pub use reload::{Difference, ReloadError, ReloadSink, Reloaded, Reloader, Running};
pub use report::{Counts, Quantiles, Recent, RuleAsked, ShadowSeen, TickReport, boots};
pub use steps::Steps;
/// A listing may fail now and then; three in a row are half a minute and more without a look: then there is an
/// alert.
pub const UNREADABLE_AFTER: u32 = 3;

pub use wire::{
    LiveCloud, Mode, Sourced, WireError, clouds, clouds_that_retry, settings, sources, up_source,
    wire, wire_over,
};
pub use world::{Draw, LiveAccount, OsRandom, World};

/// Why a tick ended without a plan carried out. The fleet keeps its size, the next tick tries
/// again.
#[derive(Debug, thiserror::Error)]
pub enum TickError {
    #[error("the cloud cannot be read, nothing is changed: {0}")]
    Survey(#[source] cloud::Error),
    #[error("the journal cannot be used, nothing is changed: {0}")]
    Journal(#[from] JournalError),
    #[error("the plan was refused by its review, nothing is changed: {0}")]
    Review(#[source] plan::Objection),
    /// A bug. It ends this tick only.
    #[error("the tick ended in a bug, nothing more is changed: {0}")]
    Panicked(String),
    /// No failure.
    #[error("another replica acts for this fleet")]
    Elsewhere,
    /// What would be decided takes the instances for older than they are.
    #[error(
        "the host's clock was set during the tick, nothing is changed: the next one decides anew"
    )]
    ClockSet,
    /// No failure: nothing was decided yet.
    #[error("the process is told to stop")]
    Stopped,
}

/// One pass over one fleet: settle, survey, observe, decide, plan, review, record, execute.
pub async fn tick(world: &World, member: &FleetInWorld) -> Result<TickReport, TickError> {
    let now = world.clock.now();
    let elapsed = world.clock.elapsed();
    let lease = match world.journal.turn(&member.fleet.id).await {
        Turn::Mine(lease) => lease,
        Turn::Elsewhere => return Err(TickError::Elsewhere),
        Turn::Unknown(error) => return tick_without_journal(world, member, error, now).await,
    };
    if let Some(millis) = world.steps.noticed(&lease, now, elapsed)
        && let Err(error) = stepped(world, &lease, now, millis).await
    {
        return tick_without_journal(world, member, error, now).await;
    }
    match world.journal.known(&lease, &member.fleet.account).await {
        Ok(known) => {
            let account = &member.fleet.account;
            unless_stopped(
                world,
                identity::compared(world, account, &known.account, &known.identity),
            )
            .await?;
            // On the heap: the inputs of a decision are large, and a thread's stack is not.
            Box::pin(tick_under(world, member, &lease, known, (now, elapsed))).await
        }
        Err(error) => tick_without_journal(world, member, error, now).await,
    }
}

/// The host's clock was set: what was recorded before is as old as it was.
async fn stepped(
    world: &World,
    lease: &Lease,
    at: Timestamp,
    millis: i64,
) -> Result<(), JournalError> {
    let id = &lease.fleet;
    tracing::warn!(
        fleet.id = %id, millis,
        "fleet `{id}`: the host's clock was set by {} s: the ages of its instances are kept",
        millis / 1_000,
    );
    world.journal.append(lease, vec![Event::Stepped { at, millis }], None).await
}

/// A tick under the fleet's lease, which began then, by both clocks.
async fn tick_under(
    world: &World,
    member: &FleetInWorld,
    lease: &Lease,
    known: Known,
    (now, elapsed): (Timestamp, Duration),
) -> Result<TickReport, TickError> {
    let (known, settled) = settle(world, member, lease, known, now).await?;
    member.care.routed_before(&settled);
    let known = recall::recalled(&world.journal, member, known, now).await;
    let entropy = Entropy(world.entropy.draw());
    let deciding = Box::pin(decide(world, member, lease, known, entropy, now));
    let proposal = unless_stopped(world, deciding).await?;
    let Proposal { inputs, news, decision, memory, shadow, plan } = proposal;
    plan::review(&plan, &inputs).map_err(TickError::Review)?;
    let passed = world.clock.elapsed().saturating_sub(elapsed);
    if steps::was_set_forward(now, inputs.now, passed) {
        return Err(TickError::ClockSet);
    }

    let mut alerts = alerts::alerts(&inputs, &decision, &memory, &plan);
    alerts.extend(member.care.alerts());
    let decided = Decisions { live: &decision, memory: &memory, shadow: shadow.as_ref() };
    let (events, decided) = record::events(&inputs, &news, decided, &plan, &alerts);
    let with = decided.then_some((DecisionId(entropy.uuid(0)), &inputs));
    world.journal.append(lease, events, with).await?;
    failpoint!("append.after");
    if let Executor::Live(_) = &member.executor {
        world.journal.note(&member.fleet.account, &news.facts).await?;
        member.care.call_hooks(&inputs.inventory, &inputs.history, &plan);
        member.care.render(&inputs.fleet, &inputs.inventory, &plan);
    }
    member.care.watch(&inputs.inventory);
    member.care.watch_balancers(&inputs.inventory, &plan);
    failpoint!("execute.before");
    let context = ActionContext { lease, inputs: &inputs };
    let outcomes = execute::run(&member.executor, context, &plan.actions, &world.stop).await?;
    member.care.routed(&plan, &outcomes);
    let report = TickReport::new(inputs, decision, &memory, plan, alerts);
    let is_dry = matches!(member.executor, Executor::Dry(_));
    let shadow = shadow.map(ShadowSeen::of);
    Ok(TickReport { settled, outcomes, is_dry, shadow, ..report })
}

/// The decision and plan that one look at the cloud led to, not carried out yet.
struct Proposal {
    inputs: Inputs,
    news: News,
    decision: Decision,
    memory: Memories,
    /// What the shadow rules decided, if there are some. Nothing is planned of it.
    shadow: Option<Shadow>,
    plan: Plan,
}

impl Proposal {
    /// Whether instances are needed whatever the signals say: it was decided without them.
    fn is_short(&self) -> bool {
        let capacity = self.inputs.inventory.capacity();
        self.decision.desired > capacity && self.plan.changes_the_fleet()
    }
}

/// Looks and decides; to act, it reads the fleet's instances anew and decides from that.
async fn decide(
    world: &World,
    member: &FleetInWorld,
    lease: &Lease,
    known: Known,
    entropy: Entropy,
    now: Timestamp,
) -> Result<Proposal, TickError> {
    let so_far = SoFar::default();
    let mut observing = std::pin::pin!(observe(member, &so_far));
    let listing = shared_listing(world, member, &known, now);
    let (observed, listing) = beside_listing(&mut observing, listing).await?;
    // The first listing of a large account takes minutes, and what is decided knows the time after it.
    let at = At { entropy, now: world.clock.now(), since: now };
    let observed = match observed {
        Some(observed) => observed,
        None => {
            // A source hangs. What is missing is replaced without it: absent signals remove nothing.
            let without = so_far.not_awaited(member);
            let proposal =
                Box::pin(see(world, member, &known, &without, &listing, Urgency::Look, at)).await?;
            if proposal.is_short() { without } else { observing.await }
        }
    };
    let at = At { now: world.clock.now(), ..at };
    let proposal =
        Box::pin(see(world, member, &known, &observed, &listing, Urgency::Look, at)).await?;
    if !proposal.plan.changes_the_fleet() || listing.asked_at >= fresh(now) {
        return first_look::confirmed(world, member, &known, proposal).await;
    }
    let listing = own_listing(world, member, fresh(now)).await?;
    // A decision is as old as what it was made from, so it knows the time after that was read. It may
    // have waited for its turn: what is known and observed may be other by now.
    let at = At { now: world.clock.now(), ..at };
    let (mut known, mut observed) = (known, observed);
    if clock::age(at.now, now) > inventory::FRESH {
        known = world.journal.known(lease, &member.fleet.account).await?;
        observed = promptly(member).await.unwrap_or(observed);
    }
    let proposal =
        Box::pin(see(world, member, &known, &observed, &listing, Urgency::Act, at)).await?;
    first_look::confirmed(world, member, &known, proposal).await
}

/// The fleet's part of the listing that all fleets share, to look at. Where instances are missing, it
/// is a listing of the fleet alone, which is newer.
async fn shared_listing(
    world: &World,
    member: &FleetInWorld,
    known: &Known,
    now: Timestamp,
) -> Result<FleetListing, TickError> {
    let fleet = &member.fleet.id;
    let region = world.region(&member.fleet.account);
    let listing = match world.surveyor.next_look(fleet, now) {
        Some(since) => region.fleet(fleet, since).await,
        None => {
            let oldest = clock::before(now, inventory::patience(&known.history, now));
            region.view(fleet, oldest).await
        }
    };
    listing.map_err(TickError::Survey)
}

/// The fleet's instances as they are, to act on.
async fn own_listing(
    world: &World,
    member: &FleetInWorld,
    since: Timestamp,
) -> Result<FleetListing, TickError> {
    let region = world.region(&member.fleet.account);
    region.fleet(&member.fleet.id, since).await.map_err(TickError::Survey)
}

/// When and with which randomness something is decided.
#[derive(Debug, Clone, Copy)]
struct At {
    entropy: Entropy,
    /// The only time that the decision knows.
    now: Timestamp,
    /// Reads of this time or later are new.
    since: Timestamp,
}

/// Surveys, decides and plans; changes nothing.
async fn see(
    world: &World,
    member: &FleetInWorld,
    known: &Known,
    observed: &Observed,
    listing: &FleetListing,
    urgency: Urgency,
    at: At,
) -> Result<Proposal, TickError> {
    let Known { history, account, holds, spent, owner, adoptions, instructions, .. } = known;
    let At { entropy, now, since } = at;
    let fleet = Fleet { owner: owner.clone(), ..member.fleet.tuned(account, history) };
    let region = world.region(&member.fleet.account);
    let (reporting, busy) = (observed.reporting.as_ref(), observed.busy.as_ref());
    let verdicts = member.care.verdicts();
    let verdicts = verdicts.as_ref();
    let groups = &member.care.groups(history, now);
    let view = View {
        listing,
        reporting,
        verdicts,
        busy,
        groups,
        instructions,
        adoptions,
        urgency,
        since,
    };
    let ended = member.care.hooks_ended(&fleet, history, now);
    let after;
    let history: &History = if ended.is_empty() {
        history
    } else {
        after = History::clone(history).with_hooks_ended(&ended, now);
        &after
    };
    let survey = world.surveyor.survey(region, view, &fleet, history, now).await;
    let Survey { inventory, mut news } = survey.map_err(TickError::Survey)?;
    let serving: Vec<InstanceId> = inventory.serving().cloned().collect();
    member.sources.values().for_each(|source| source.serving(&serving));
    news.hooks = ended;
    let inputs = Inputs {
        now,
        entropy,
        fleet,
        inventory,
        signals: observed.signals.clone(),
        history: History::clone(history)
            .taking_over(&news.takeovers, now)
            .seeing(&news.phases, &news.up, now)
            .marking(&news.outgoing, now),
        account: account.clone(),
        holds: holds.clone(),
        instructions: instructions.clone(),
        spent: *spent,
    };
    Ok(Proposal::of(inputs, news))
}

impl Proposal {
    fn of(inputs: Inputs, news: News) -> Proposal {
        let remembered = inputs.history.memory.clone();
        let (decision, memory) = policy::decide(&inputs.situation(&inputs.census()), remembered);
        let plan = plan::plan(&inputs, &decision);
        let shadow = policy::shadow(&inputs, &decision);
        Proposal { inputs, news, decision, memory, shadow, plan }
    }
}

/// Reads may take minutes where the rate limit is narrow; a process that is told to stop does not wait
/// for them.
async fn unless_stopped<T>(
    world: &World,
    reads: impl Future<Output = Result<T, TickError>>,
) -> Result<T, TickError> {
    tokio::select! {
        biased;
        done = reads => done,
        () = world.stop.asked() => Err(TickError::Stopped),
    }
}

/// How old a listing may be to act on.
fn fresh(now: Timestamp) -> Timestamp {
    clock::before(now, inventory::FRESH)
}

/// Settles what a crash or a lost reply left open, and returns what is known then. A dry run has
/// nothing of its own to settle.
async fn settle(
    world: &World,
    member: &FleetInWorld,
    lease: &Lease,
    known: Known,
    now: Timestamp,
) -> Result<(Known, Vec<Settled>), TickError> {
    let Executor::Live(live) = &member.executor else { return Ok((known, Vec::new())) };
    if known.history.open.is_empty() {
        return Ok((known, Vec::new()));
    }
    let region = world.region(&member.fleet.account);
    let reads = async {
        let listing = own_listing(world, member, now).await?;
        let base = region.base(&member.fleet, listing.asked_at).await;
        Ok((listing, base.map_err(TickError::Survey)?))
    };
    let (listing, base) = unless_stopped(world, reads).await?;
    let Known { history, account, holds, spent, owner, instructions, .. } = known;
    let history = History::clone(&history);
    let fleet = Fleet { owner, ..member.fleet.clone() };
    let inputs = Inputs::to_settle(now, &fleet, history, account, holds, spent);
    let inputs = Inputs { instructions, ..inputs };
    let listed = listing.instances();
    let look = CloudView { listed, base: &base, cloud: region.cloud() };
    let context = ActionContext { lease, inputs: &inputs };
    let settled = execute::settle(live, look, context, &world.stop, now).await?;
    Ok((world.journal.known(lease, &member.fleet.account).await?, settled))
}

/// A tick that only looks: the journal cannot be used, so nothing may be changed. It says what it
/// sees and would do.
async fn tick_without_journal(
    world: &World,
    member: &FleetInWorld,
    error: JournalError,
    now: Timestamp,
) -> Result<TickReport, TickError> {
    let last = world.journal.last_known(&member.fleet.id, &member.fleet.account).await;
    // A fleet that was never ours is not ours to look at.
    let Some(known) = last else { return Err(TickError::Journal(error)) };
    let entropy = Entropy(world.entropy.draw());
    let reads = async {
        let observed = observe(member, &SoFar::default()).await;
        let listing = shared_listing(world, member, &known, now).await?;
        let at = At { entropy, now: world.clock.now(), since: now };
        see(world, member, &known, &observed, &listing, Urgency::Look, at).await
    };
    let proposal = unless_stopped(world, reads).await?;
    let why = error.to_string();
    let mut alerts =
        alerts::alerts(&proposal.inputs, &proposal.decision, &proposal.memory, &proposal.plan);
    alerts.push(alerts::journal_unavailable(&why));
    let outcomes = proposal.plan.actions.iter().map(|action| Outcome::NotSent {
        action: action.to_string(),
        why: why.clone(),
        again_at: None,
    });
    let outcomes = outcomes.collect();
    let report = TickReport::new(
        proposal.inputs,
        proposal.decision,
        &proposal.memory,
        proposal.plan,
        alerts,
    );
    let shadow = proposal.shadow.map(ShadowSeen::of);
    Ok(TickReport { outcomes, only_looked: Some(why), shadow, ..report })
}
