//! What looks after a fleet's instances beside the ticks: probes and hooks. A tick reads what they found
//! out, tells them what to do next, and waits for neither.

use std::collections::BTreeMap;
use std::sync::Arc;

use cloud::{Clock, InstanceId, Mutation, Status, Timestamp, clock};
use tokio::sync::Semaphore;

use crate::balancers::Watcher;
use crate::config::FleetConfig;
use crate::execute::{Outcome, Settled};
use crate::health::{self, HealthError, Prober, Target};
use crate::hooks::{Called, HookRunner, HookRunnerError, Subject};
use crate::inventory::Verdicts;
use crate::model::{
    Action, Alert, AlertCode, Event, Fleet, GroupsSeen, History, HookEnd, HookOutcome, HookPoint,
    IntentId, Inventory, Member, Ownership, Phase, Plan, Refusal, Settlement,
};
use crate::render::{Renderer, Scene, Server};
use crate::signals::{Busy, Clients, SourceError, WorkSource};

/// The probes and hooks of one fleet.
#[derive(Debug, Clone, Default)]
pub struct Care {
    pub health: Option<Arc<Prober>>,
    pub hooks: Option<Arc<HookRunner>>,
    /// Tells how much work each instance has.
    pub busy: Option<Arc<dyn WorkSource>>,
    /// Files for others.
    pub renders: Vec<Arc<Renderer>>,
    /// Reads the load balancers' groups.
    pub balancers: Option<Arc<Watcher>>,
}

/// Why a fleet cannot be looked after as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum CareError {
    #[error(transparent)]
    Health(#[from] HealthError),
    #[error(transparent)]
    Hooks(#[from] HookRunnerError),
    #[error("`busy`")]
    Busy(#[from] SourceError),
}

/// The parts that the fleets of one configuration share.
#[derive(Debug, Clone)]
pub struct CareShared {
    probes: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
}

impl CareShared {
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> CareShared {
        CareShared { probes: health::at_once(), clock }
    }
}

impl Care {
    /// As `fleet` is configured. Asks nothing of the network.
    ///
    /// # Errors
    /// When a file of certificates cannot be used.
    pub fn of(
        fleet: &FleetConfig,
        clients: &Arc<Clients>,
        shared: &CareShared,
    ) -> Result<Care, CareError> {
        let FleetConfig { checks, busy, hooks, renders, .. } = fleet;
        let mut care = Care::default();
        if !checks.is_empty() {
            let (probes, clock) = (shared.probes.clone(), shared.clock.clone());
            care.health = Some(Arc::new(Prober::new(&fleet.fleet.id, checks, probes, clock)?));
        }
        if !hooks.is_empty() {
            care.hooks = Some(Arc::new(HookRunner::new(hooks, shared.clock.clone())?));
        }
        for spec in renders {
            let renderer = Renderer::new(&fleet.fleet.id, spec, shared.clock.clone());
            care.renders.push(Arc::new(renderer));
        }
        if let Some(spec) = busy {
            care.busy = Some(Arc::new(Busy::new(spec, clients)?));
        }
        Ok(care)
    }

    /// The newest verdicts.
    pub(super) fn verdicts(&self) -> Option<Verdicts> {
        self.health.as_ref().map(|prober| prober.verdicts())
    }

    /// The load balancers' groups as they were seen last.
    pub(super) fn groups(&self, history: &History, now: Timestamp) -> GroupsSeen {
        let ours = |id: &InstanceId| history.instances.contains_key(id);
        self.balancers.as_ref().map(|watcher| watcher.seen(now, &ours)).unwrap_or_default()
    }

    /// Goes on reading the groups: more often while an instance waits for its balancer.
    pub(super) fn watch_balancers(&self, inventory: &Inventory, plan: &Plan) {
        let Some(watcher) = &self.balancers else { return };
        let waits = |member: &Member| {
            member.is_fit || (member.phase == Phase::Draining && member.traffic != Some(false))
        };
        let is_awaited = inventory.members.iter().any(waits) || !plan.drains.is_empty();
        watcher.watch(is_awaited);
    }

    /// Changes of traffic were sent; `outcomes` has one for each action of `plan`.
    pub(super) fn routed(&self, plan: &Plan, outcomes: &[Outcome]) {
        for (action, outcome) in plan.actions.iter().zip(outcomes) {
            if let Outcome::Sent { settlement, .. } = outcome {
                self.routed_one(action, settlement);
            }
        }
    }

    /// The same for what was settled of earlier ticks.
    pub(super) fn routed_before(&self, settled: &[Settled]) {
        settled.iter().for_each(|settled| self.routed_one(&settled.action, &settled.settlement));
    }

    fn routed_one(&self, action: &Action, settlement: &Settlement) {
        let (Some(watcher), Mutation::Route { group, ids, change }) =
            (&self.balancers, &action.mutation)
        else {
            return;
        };
        let (done, failed) = match settlement {
            Settlement::Done { done, failed } => {
                let of = |(id, refusal): (&InstanceId, &Refusal)| {
                    (id.clone(), (refusal.class, refusal.message.clone()))
                };
                (done.as_slice(), failed.iter().map(of).collect())
            }
            Settlement::Failed { class, message, .. } => {
                let of = |id: &InstanceId| (id.clone(), (*class, message.clone()));
                (&[][..], ids.iter().map(of).collect())
            }
            Settlement::Launched { .. } | Settlement::Open { .. } => (&[][..], BTreeMap::new()),
        };
        watcher.sent(group, *change, done, &failed);
    }

    /// What became of calls that the history does not know yet.
    pub(super) fn hooks_ended(
        &self,
        fleet: &Fleet,
        history: &History,
        now: Timestamp,
    ) -> Vec<HookEnd> {
        let called = self.hooks.as_ref().map(|runner| runner.ended()).unwrap_or_default();
        hooks_ended(fleet, history, &called, now)
    }

    /// Probes what runs, and was not ended.
    pub(super) fn watch(&self, inventory: &Inventory) {
        let Some(prober) = &self.health else { return };
        if !inventory.doubts.is_empty() {
            return;
        }
        let members = inventory.members.iter().filter(|member| {
            let is_there = !matches!(member.phase, Phase::Stopping | Phase::Terminating);
            member.ownership == Ownership::Managed
                && member.instance.status == Status::Running
                && is_there
        });
        prober.watch(members.filter_map(|member| {
            let address = member.instance.private_ip?;
            Some(Target { id: member.instance.id.clone(), address })
        }));
    }

    /// Writes those in service into the files of others: those of `inventory` after `plan`.
    pub(super) fn render(&self, fleet: &Fleet, inventory: &Inventory, plan: &Plan) {
        if self.renders.is_empty() || !inventory.doubts.is_empty() {
            return;
        }
        let scene = scene(fleet, inventory, plan);
        for renderer in &self.renders {
            renderer.show(scene.clone(), fleet.bounds.min == 0);
        }
    }

    /// What a person should know of it.
    pub(super) fn alerts(&self) -> Vec<Alert> {
        let of = |renderer: &Arc<Renderer>| {
            let trouble = renderer.trouble()?;
            Some(Alert::new(AlertCode::RenderFailed, renderer.file(), trouble))
        };
        let renders = self.renders.iter().filter_map(of);
        let balancers = self.balancers.iter().flat_map(|watcher| watcher.troubles());
        let balancers = balancers
            .map(|trouble| Alert::new(AlertCode::BalancerFailed, trouble.group, trouble.message));
        renders.chain(balancers).collect()
    }

    /// Makes the calls that are recorded and not ended, those of `plan` included; after a crash those that
    /// were under way before it, too.
    pub(super) fn call_hooks(&self, inventory: &Inventory, history: &History, plan: &Plan) {
        let Some(runner) = &self.hooks else { return };
        let mut subjects = Vec::new();
        for member in &inventory.members {
            let instance = &member.instance;
            let subject = |id: IntentId, hook: &crate::model::HookName, on: HookPoint| Subject {
                id,
                fleet: crate::model::FleetId(
                    instance.tags.get(crate::model::tags::FLEET).cloned().unwrap_or_default(),
                ),
                instance: instance.id.clone(),
                address: instance.private_ip,
                zone: instance.zone.clone(),
                instance_type: instance.instance_type.clone(),
                on,
                hook: hook.clone(),
            };
            let tracked = history.instances.get(&instance.id);
            let open = tracked.into_iter().flat_map(|tracked| &tracked.hooks);
            let open = open.filter(|(_, state)| state.outcome.is_none());
            // A drain that is given up calls off its hooks.
            let open = open.filter(|_| !plan.returns.contains(&instance.id));
            subjects.extend(open.map(|(hook, state)| subject(state.id, hook, state.on)));
            let new = plan.hooks.iter().filter(|call| call.instance == instance.id);
            subjects.extend(new.map(|call| subject(call.id, &call.hook, call.on)));
        }
        runner.keep_to(subjects);
    }
}

/// The instances in service, and those that are drained, by address.
fn scene(fleet: &Fleet, inventory: &Inventory, plan: &Plan) -> Scene {
    let mut scene =
        Scene { fleet: fleet.id.0.clone(), instances: Vec::new(), draining: Vec::new() };
    for member in &inventory.members {
        let instance = &member.instance;
        let Some(ip) = instance.private_ip else { continue };
        let server = Server {
            ip,
            id: instance.id.0.clone(),
            zone: instance.zone.clone(),
            instance_type: instance.instance_type.clone(),
        };
        let id = &instance.id;
        let ends = || plan.actions.iter().any(|action| is_end(action, id));
        let moved = plan.phases().find(|(moved, _)| *moved == id).map(|(_, phase)| phase);
        match moved.unwrap_or(member.phase) {
            Phase::InService if !ends() => scene.instances.push(server),
            Phase::InService | Phase::Draining => scene.draining.push(server),
            _ => {}
        }
    }
    scene.instances.sort();
    scene.draining.sort();
    scene
}

fn is_end(action: &Action, id: &InstanceId) -> bool {
    let ends = matches!(action.mutation, Mutation::Stop { .. } | Mutation::Delete { .. });
    ends && action.mutation.ids().contains(id)
}

/// The open calls of `history` that are over: answered, failed, or too late. Pure.
fn hooks_ended(
    fleet: &Fleet,
    history: &History,
    called: &BTreeMap<IntentId, Called>,
    now: Timestamp,
) -> Vec<HookEnd> {
    let mut ended = Vec::new();
    for (instance, tracked) in &history.instances {
        for (name, state) in tracked.hooks.iter().filter(|(_, state)| state.outcome.is_none()) {
            let hook = fleet.lifecycle.hooks.iter().find(|hook| hook.name == *name);
            let (outcome, failure) = match (hook, called.get(&state.id)) {
                (None, _) => {
                    (HookOutcome::Continue, Some("it is not configured any more".to_owned()))
                }
                (Some(_), Some(Ok(outcome))) => (*outcome, None),
                (Some(hook), Some(Err(why))) => (hook.otherwise, Some(why.clone())),
                (Some(hook), None) if clock::age(now, state.since) >= hook.deadline.get() => {
                    (hook.otherwise, Some(format!("it was not done within {}", hook.deadline)))
                }
                (Some(_), None) => continue,
            };
            ended.push(HookEnd {
                id: state.id,
                instance: instance.clone(),
                hook: name.clone(),
                on: state.on,
                outcome,
                failure,
            });
        }
    }
    ended
}

impl History {
    /// The history with hooks of which it is known just now what became of them.
    pub(super) fn with_hooks_ended(mut self, ends: &[HookEnd], at: Timestamp) -> History {
        for end in ends {
            self.apply(&Event::HookEnded { at, end: end.clone() });
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::{self, ago, now};
    use crate::model::{Hook, HookName, HookState, Span, Tracked};

    #[test]
    fn a_call_ends_by_its_answer_by_its_failure_or_by_its_deadline() {
        let id = IntentId(uuid::Uuid::from_u128(5));
        let name = HookName("drain".to_owned());
        let hook = Hook {
            name: name.clone(),
            on: HookPoint::Drain,
            deadline: Span::secs(300),
            otherwise: HookOutcome::Retain,
        };
        let end = |hooks: Vec<Hook>, since: u64, called: Option<Called>| {
            let mut fleet = fixtures::fleet(1, 5);
            fleet.lifecycle.hooks = hooks;
            let on = HookPoint::Drain;
            let state = HookState { id, on, since: ago(since), outcome: None, has_failed: false };
            let tracked = Tracked {
                hooks: [(name.clone(), state)].into(),
                ..fixtures::tracked(Phase::Draining, ("c7", "vsw-h"))
            };
            let history =
                History { instances: [("i-1".into(), tracked)].into(), ..History::default() };
            let called = called.map(|called| (id, called)).into_iter().collect();
            let ends = hooks_ended(&fleet, &history, &called, now());
            let again = history.with_hooks_ended(&ends, now());
            assert!(hooks_ended(&fleet, &again, &called, now()).is_empty(), "it ends once");
            ends.first().map(|end| (end.outcome, end.failure.is_some()))
        };
        let known = || vec![hook.clone()];
        assert_eq!(end(known(), 10, None), None, "it is waited for");
        let done = Some(Ok(HookOutcome::Continue));
        assert_eq!(end(known(), 10, done), Some((HookOutcome::Continue, false)));
        let failed = Some(Err("it answered 500".to_owned()));
        assert_eq!(end(known(), 10, failed), Some((HookOutcome::Retain, true)));
        assert_eq!(end(known(), 300, None), Some((HookOutcome::Retain, true)));
        assert_eq!(end(Vec::new(), 10, None), Some((HookOutcome::Continue, true)));
    }
}
