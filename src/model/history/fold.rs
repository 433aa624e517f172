//! How each event changes what is known.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use cloud::{Class, Concerns, InstanceId, Mutation, Timestamp, clock};

use super::{History, OpenIntent, PastLaunch, RECOMMENDED_KEPT, Short, StandingTarget, Tracked};
use crate::model::{
    Amounts, Compared, Direction, Event, Failures, HookPoint, HookState, IntentId, Measured, Phase,
    Place, RATE_PER_MOST, Refusal, RefusedEnd, Sample, Settlement, ShadowCourse, SignalName,
    TakenBecause, Takeover, Ticked, fingerprint, tags,
};

/// The remainder of a scale-out is looked for elsewhere for 5 minutes; after that the signals
/// decide anew, since the load may be another one by then.
const REMAINDER_FORGOTTEN: Duration = Duration::from_secs(5 * 60);
/// Lost instances are replaced for half an hour: a zone that failed may leave little stock elsewhere.
const LOSS_FORGOTTEN: Duration = Duration::from_secs(30 * 60);
/// How far back it is known how many instances served: longer than any sample may be old and still
/// lead to an action.
const IN_SERVICE_KEPT: Duration = Duration::from_secs(2 * 60 * 60);
/// An instance that turns up a day after its launch was given up is a person's to judge.
const LAUNCH_FORGOTTEN: Duration = Duration::from_secs(24 * 60 * 60);
/// No more than this many past launches are kept: one each quarter of an hour for a day.
const LAUNCHES_KEPT: usize = 96;
/// A wish that was carried out is remembered for longer than a wish is valid.
const ADOPTION_FORGOTTEN: Duration = Duration::from_secs(2 * 24 * 60 * 60);

impl History {
    /// The history after one more event.
    pub fn apply(&mut self, event: &Event) {
        // Until a tick says that a listing was believed.
        self.before_first_listing |= self.began.is_none();
        self.began.get_or_insert(event.at());
        match event {
            Event::Ticked(ticked) => self.ticked(ticked),
            Event::Decided(decided) => {
                self.decided = Some((decided.at, decided.decision.gist()));
            }
            Event::Intended(intent) => {
                self.last_change = Some(intent.at);
                let open =
                    OpenIntent { intent: (**intent).clone(), sent_at: intent.at, repeat: true };
                self.open.insert(intent.action.intent, open);
            }
            Event::Resent { at, intent } => {
                if let Some(open) = self.open.get_mut(intent) {
                    open.sent_at = *at;
                }
            }
            Event::Settled { at, intent, settlement } => self.settled(*at, *intent, settlement),
            Event::Adopted { at, takeover } => self.take_over(takeover, *at),
            Event::Stepped { millis, .. } => self.shift(*millis),
            // It is folded from the ticks.
            Event::Leased { .. } | Event::Shadowed { .. } => {}
            Event::HookCalled { at, call } => {
                if let Some(tracked) = self.instances.get_mut(&call.instance) {
                    let state = HookState {
                        id: call.id,
                        on: call.on,
                        since: *at,
                        outcome: None,
                        has_failed: false,
                    };
                    tracked.hooks.insert(call.hook.clone(), state);
                }
            }
            Event::HookEnded { end, .. } => {
                let tracked = self.instances.get_mut(&end.instance);
                let state = tracked.and_then(|tracked| tracked.hooks.get_mut(&end.hook));
                if let Some(state) = state.filter(|state| state.id == end.id) {
                    state.outcome = Some(end.outcome);
                    state.has_failed = end.failure.is_some();
                }
            }
            Event::Alerted { at, alert } => {
                self.alerts.entry(alert.key.clone()).or_insert(*at);
            }
            Event::Cleared { key, .. } => drop(self.alerts.remove(key)),
        }
    }

    /// The history with what is seen of the instances just now: a failure that has just been noticed
    /// counts for the decision that is made on it.
    #[must_use]
    pub fn seeing(
        mut self,
        phases: &BTreeMap<InstanceId, Phase>,
        up: &BTreeMap<InstanceId, bool>,
        at: Timestamp,
    ) -> History {
        self.look(phases, up, at);
        self
    }

    /// The history with what is taken over just now.
    #[must_use]
    pub fn taking_over(mut self, takeovers: &[Takeover], at: Timestamp) -> History {
        takeovers.iter().for_each(|takeover| self.take_over(takeover, at));
        self
    }

    fn look(
        &mut self,
        phases: &BTreeMap<InstanceId, Phase>,
        up: &BTreeMap<InstanceId, bool>,
        at: Timestamp,
    ) {
        for (id, phase) in phases {
            self.moved(id, *phase, at);
        }
        for (id, up) in up {
            if let Some(tracked) = self.instances.get_mut(id) {
                tracked.silent_since = if *up { None } else { tracked.silent_since.or(Some(at)) };
            }
        }
    }

    /// The history with the instances of which it is known just now that they are to be replaced.
    #[must_use]
    pub fn marking(mut self, outgoing: &BTreeMap<InstanceId, bool>, at: Timestamp) -> History {
        self.mark(outgoing, at);
        self
    }

    /// What is to be replaced counts no more: the size that was decided still holds without it.
    fn mark(&mut self, outgoing: &BTreeMap<InstanceId, bool>, at: Timestamp) {
        for (id, is_outgoing) in outgoing {
            let Some(tracked) = self.instances.get_mut(id) else { continue };
            let counted = tracked.phase.is_capacity() && !tracked.outgoing;
            tracked.outgoing = *is_outgoing;
            if *is_outgoing && counted {
                self.lost(at, Short::Lost);
            }
        }
    }

    fn ticked(&mut self, ticked: &Ticked) {
        let at = ticked.at;
        match &ticked.shadow {
            Some(tick) if self.shadow.is_none() => {
                self.shadow = Some(ShadowCourse::begin(self, tick.size));
            }
            Some(_) => {}
            None => self.shadow = None,
        }
        for (signal, sample) in &ticked.samples {
            self.read(signal, sample, ticked.in_service, at);
        }
        for signal in ticked.gaps.keys() {
            self.signals.entry(signal.clone()).or_default().missed(at);
        }
        self.look(&ticked.phases, &ticked.up, at);
        self.mark(&ticked.outgoing, at);
        self.before_first_listing = ticked.before_first_listing;
        for (rule, memory) in &ticked.memory {
            match memory {
                Some(memory) => drop(self.memory.insert(rule.clone(), memory.clone())),
                None => drop(self.memory.remove(rule)),
            }
        }
        let Ticked { in_service, current, recommended, desired, .. } = *ticked;
        self.sized(at, in_service, current, recommended, desired);
        if let (Some(course), Some(shadow)) = (&mut self.shadow, ticked.shadow) {
            course.ticked(&Compared { at, shadow, live: current, live_desired: desired });
        }
    }

    /// A tick at `at`, when `in_service` instances served, read `sample`.
    pub(crate) fn read(
        &mut self,
        signal: &SignalName,
        sample: &Sample,
        in_service: u32,
        at: Timestamp,
    ) {
        let acted = self.last_action();
        let then = self
            .in_service_at(clock::before(at, sample.age.get()))
            .or_else(|| self.in_service.is_empty().then_some(in_service));
        let measured = Measured::of(sample, at, then);
        if let Some(shadow) = &mut self.shadow {
            shadow.read(signal, measured);
        }
        if let Some(memory) = self.signals.get_mut(signal) {
            memory.read(measured, acted, at);
        } else {
            self.signals.entry(signal.clone()).or_default().read(measured, acted, at);
        }
    }

    /// A tick at `at` counted and wanted this.
    pub(crate) fn sized(
        &mut self,
        at: Timestamp,
        in_service: u32,
        current: u32,
        recommended: u32,
        desired: u32,
    ) {
        self.last_desired = desired;
        self.standing = self.standing.filter(|standing| {
            let forgotten = match standing.why {
                Short::Remainder => REMAINDER_FORGOTTEN,
                Short::Lost | Short::NeverBooted => LOSS_FORGOTTEN,
            };
            current < standing.target && clock::age(at, standing.since) < forgotten
        });
        step(&mut self.in_service, at, in_service, IN_SERVICE_KEPT);
        step(&mut self.recommended, at, recommended, RECOMMENDED_KEPT);
    }

    /// An instance is seen in another phase than before.
    fn moved(&mut self, id: &InstanceId, phase: Phase, at: Timestamp) {
        self.last_change = Some(at);
        let before = self.instances.get(id).cloned();
        let ours = self.is_in_flight(id);
        if let Some(before) = &before
            && before.phase.is_capacity()
            && !phase.is_capacity()
            && phase != Phase::Draining
            && !before.outgoing
            && !ours
        {
            let booted = !matches!(before.phase, Phase::Requested | Phase::Booting);
            let why =
                if booted || phase != Phase::Failed { Short::Lost } else { Short::NeverBooted };
            self.lost(at, why);
        }
        if phase == Phase::Failed
            && let Some(Tracked {
                served: false, launched_by: Some(intent), spec: Some(spec), ..
            }) = &before
            && before.as_ref().is_some_and(|before| before.phase != Phase::Failed)
        {
            let why = format!("{id} never came into service");
            self.failures = Some(Failures::count(self.failures.take(), spec, *intent, at, &why));
        }
        let was_outgoing = before.as_ref().is_some_and(|before| before.outgoing);
        match (before.as_ref().map(|before| before.phase), phase) {
            // A drain is the beginning of a scale-in, and its return is a scale-out.
            (Some(before), Phase::Draining) if before.is_capacity() && !was_outgoing => {
                self.acted(Direction::In, 1, at);
                self.standing = None;
            }
            (Some(Phase::Draining), Phase::InService) => self.acted(Direction::Out, 1, at),
            _ => {}
        }
        if phase == Phase::Gone {
            self.instances.remove(id);
            self.refused.remove(id);
            return;
        }
        let tracked = self.instances.entry(id.clone()).or_insert_with(|| Tracked::found(phase, at));
        if tracked.phase != phase {
            tracked.phase = phase;
            tracked.since = at;
            if phase == Phase::InService {
                let leaving = |on| matches!(on, HookPoint::Drain | HookPoint::Terminate);
                tracked.hooks.retain(|_, state| !leaving(state.on));
            }
        }
        if phase == Phase::InService {
            tracked.served = true;
            let spec = tracked.spec.clone();
            // A launch of this spec works: earlier failures are over.
            self.failures = self.failures.take().filter(|f| Some(&f.spec) != spec.as_ref());
        }
    }

    /// Capacity was lost without our doing: the size that was decided still holds.
    fn lost(&mut self, at: Timestamp, why: Short) {
        let target = self.standing.map_or(0, |s| s.target).max(self.last_desired);
        self.standing = Some(StandingTarget { target, since: at, why });
    }

    fn settled(&mut self, at: Timestamp, id: IntentId, settlement: &Settlement) {
        self.last_change = Some(at);
        if let Settlement::Open { repeat, .. } = settlement {
            if let Some(open) = self.open.get_mut(&id) {
                open.repeat &= repeat;
            }
            return;
        }
        let Some(open) = self.open.remove(&id) else {
            return;
        };
        self.remember(id, &open, settlement);
        match (settlement, open.intent.action.mutation) {
            (Settlement::Launched { ids }, Mutation::Launch(launch)) => {
                self.acted(Direction::Out, u32::try_from(ids.len()).unwrap_or(u32::MAX), at);
                if ids.len() < launch.amount as usize {
                    self.remainder(at);
                }
                for instance in ids {
                    let launched = Tracked {
                        launched_by: Some(id),
                        launched_at: Some(at),
                        place: Some(Place::of(&launch)),
                        spec: Some(fingerprint(&launch.spec)),
                        owner: launch.tags.get(tags::OWNER).cloned(),
                        ..Tracked::found(Phase::Requested, at)
                    };
                    let known = self.instances.entry(instance.clone()).or_insert(launched.clone());
                    // A listing may have shown it before the answer did.
                    if known.launched_by.is_none() {
                        *known = Tracked {
                            phase: known.phase,
                            since: known.since,
                            served: known.served,
                            adopted_at: known.adopted_at,
                            ..launched
                        };
                    }
                }
            }
            (Settlement::Failed { message, .. }, Mutation::Launch(launch)) => {
                match settlement.concerns() {
                    Some(concerns) if concerns.is_local() => self.remainder(at),
                    Some(Concerns::Spec | Concerns::Unknown) => {
                        let spec = fingerprint(&launch.spec);
                        let before = self.failures.take();
                        self.failures = Some(Failures::count(before, &spec, id, at, message));
                    }
                    _ => {}
                }
            }
            (Settlement::Done { done, .. }, Mutation::Tag { tags, .. }) => {
                self.tagged(done, tags.get(tags::OWNER), at);
            }
            (Settlement::Done { done, failed }, Mutation::Stop { .. }) => {
                self.removed(done, Phase::Stopping, at);
                self.refused(failed, at);
            }
            (Settlement::Done { done, failed }, Mutation::Delete { .. }) => {
                self.removed(done, Phase::Terminating, at);
                self.refused(failed, at);
            }
            (Settlement::Done { done, .. }, Mutation::Route { change, .. }) => {
                for id in done {
                    if let Some(tracked) = self.instances.get_mut(id) {
                        tracked.quiet_since = change.ends_traffic().then_some(at);
                    }
                }
            }
            _ => {}
        }
    }

    fn removed(&mut self, ids: &[InstanceId], phase: Phase, at: Timestamp) {
        // To clear away what never served is no scale-in: no cool-down, no new look at the samples.
        // What was drained before counted then, and what failed was no capacity any more.
        let served = |id: &InstanceId| {
            let counted =
                |t: &Tracked| t.outgoing || matches!(t.phase, Phase::Draining | Phase::Failed);
            let costs = |t: &Tracked| t.served || t.phase.is_capacity();
            self.instances.get(id).is_none_or(|t| costs(t) && !counted(t))
        };
        let counted = ids.iter().filter(|id| served(id)).count();
        for id in ids {
            let tracked =
                self.instances.entry(id.clone()).or_insert_with(|| Tracked::found(phase, at));
            if tracked.phase != phase {
                tracked.phase = phase;
                tracked.since = at;
            }
            self.refused.remove(id);
        }
        // A batch of which nothing was done removed nothing: no cool-down.
        if counted > 0 {
            self.acted(Direction::In, u32::try_from(counted).unwrap_or(u32::MAX), at);
            self.standing = None;
        }
    }

    fn refused(&mut self, failed: &BTreeMap<InstanceId, Refusal>, at: Timestamp) {
        for (id, refusal) in failed {
            match refusal.class {
                // It says nothing about the instance.
                Class::Throttled { .. } | Class::Transient | Class::Auth => {}
                // It may be on its way out: as good as an action.
                Class::Ambiguous => self.acted(Direction::In, 1, at),
                _ => {
                    let again = RefusedEnd::again(self.refused.get(id), at, &refusal.message);
                    self.refused.insert(id.clone(), again);
                }
            }
        }
    }

    /// An action on `amount` instances has ended: its cool-down begins, and samples that led to it do not
    /// count again.
    pub(crate) fn acted(&mut self, direction: Direction, amount: u32, at: Timestamp) {
        let is_old =
            |(moved, _): &(Timestamp, Amounts)| clock::age(at, *moved) >= RATE_PER_MOST.get();
        while self.moves.front().is_some_and(is_old) {
            self.moves.pop_front();
        }
        let moved = Amounts::moved(direction, amount);
        match self.moves.back_mut() {
            Some((last, sum)) if *last == at => {
                sum.launches = sum.launches.saturating_add(moved.launches);
                sum.removals = sum.removals.saturating_add(moved.removals);
            }
            _ => self.moves.push_back((at, moved)),
        }
        match direction {
            Direction::Out => self.last_out = Some(at),
            Direction::In => self.last_in = Some(at),
        }
        for memory in self.signals.values_mut() {
            memory.window.clear();
        }
    }

    /// A part of a scale-out is still to be had elsewhere.
    pub(crate) fn remainder(&mut self, at: Timestamp) {
        // The last decision counts, whatever smaller size is remembered.
        if self.standing.is_none_or(|standing| standing.target < self.last_desired) {
            let target = self.last_desired;
            self.standing = Some(StandingTarget { target, since: at, why: Short::Remainder });
        }
    }

    /// Instances are the fleet's from now on.
    pub fn take_over(&mut self, takeover: &Takeover, at: Timestamp) {
        if let TakenBecause::Asked { request, .. } = &takeover.why {
            self.adoptions.retain(|_, done| clock::age(at, *done) < ADOPTION_FORGOTTEN);
            self.adoptions.insert(*request, at);
        }
        if !takeover.adopted.is_empty() {
            self.last_change = Some(at);
        }
        for (id, adopted) in &takeover.adopted {
            if let Some(known) = self.instances.get_mut(id) {
                known.owner.clone_from(&adopted.owner);
                known.adopted_at = Some(at);
                continue;
            }
            let launch = adopted.intent.and_then(|intent| self.launch_of(intent));
            let mut tracked = Tracked {
                owner: adopted.owner.clone(),
                adopted_at: Some(at),
                ..Tracked::found(adopted.phase, at)
            };
            if let Some(past) = adopted.intent.and_then(|id| self.past_launches.get_mut(&id)) {
                past.ids.insert(id.clone());
            }
            if let Some(launch) = launch {
                tracked.launched_by = adopted.intent;
                tracked.launched_at = Some(launch.at);
                tracked.place = Some(launch.place);
                tracked.spec = Some(launch.spec);
            }
            self.instances.insert(id.clone(), tracked);
        }
    }

    /// A launch of this fleet's, open or past.
    fn launch_of(&self, intent: IntentId) -> Option<PastLaunch> {
        let past = self.past_launches.get(&intent).cloned();
        past.or_else(|| PastLaunch::of(self.open.get(&intent)?))
    }

    /// Something of a launch may turn up after its outcome was recorded.
    fn remember(&mut self, id: IntentId, open: &OpenIntent, settlement: &Settlement) {
        let Some(mut launch) = PastLaunch::of(open) else { return };
        if let Settlement::Launched { ids } = settlement {
            launch.ids.extend(ids.iter().cloned());
        }
        let of_it = self.instances.iter().filter(|(_, known)| known.launched_by == Some(id));
        launch.ids.extend(of_it.map(|(instance, _)| instance.clone()));
        let at = launch.at;
        self.past_launches.retain(|_, past| clock::age(at, past.at) < LAUNCH_FORGOTTEN);
        self.past_launches.insert(id, launch);
        while self.past_launches.len() > LAUNCHES_KEPT {
            let oldest = self.past_launches.iter().min_by_key(|(_, past)| past.at);
            let Some(oldest) = oldest.map(|(id, _)| *id) else { break };
            self.past_launches.remove(&oldest);
        }
    }

    fn tagged(&mut self, ids: &[InstanceId], owner: Option<&String>, at: Timestamp) {
        let Some(owner) = owner else { return };
        for id in ids {
            if let Some(tracked) = self.instances.get_mut(id) {
                tracked.owner = Some(owner.clone());
                tracked.owned_at = Some(at);
            }
        }
    }
}

impl PastLaunch {
    /// `None`: it is no launch.
    fn of(open: &OpenIntent) -> Option<PastLaunch> {
        let Mutation::Launch(launch) = &open.intent.action.mutation else { return None };
        let (place, spec) = (Place::of(launch), fingerprint(&launch.spec));
        Some(PastLaunch {
            at: open.intent.at,
            place,
            spec,
            amount: launch.amount,
            ids: BTreeSet::new(),
        })
    }
}

impl Tracked {
    /// One of which nothing but its phase is known.
    pub(crate) fn found(phase: Phase, at: Timestamp) -> Tracked {
        Tracked {
            phase,
            since: at,
            launched_by: None,
            launched_at: None,
            place: None,
            spec: None,
            served: phase == Phase::InService,
            silent_since: None,
            owner: None,
            owned_at: None,
            adopted_at: None,
            hooks: BTreeMap::new(),
            quiet_since: None,
            outgoing: false,
        }
    }
}

/// From `at` on it is `value`. What ended more than `kept` ago is dropped.
fn step(steps: &mut VecDeque<(Timestamp, u32)>, at: Timestamp, value: u32, kept: Duration) {
    if steps.back().is_none_or(|(_, last)| *last != value) {
        steps.push_back((at, value));
    }
    while steps.get(1).is_some_and(|(next, _)| clock::age(at, *next) >= kept) {
        steps.pop_front();
    }
}
