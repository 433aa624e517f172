//! Checks on calls: which may be sent, and what a launch may come to.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud::{Clock, Timestamp, clock};
use ecs_emulator::Entry;

use super::{Asked, CheckState, Checks, TICK_TAKES};

/// Somewhat less than the hour of the brakes: an effect comes after its intent.
const HOUR: Duration = Duration::from_secs(3_600 - 400);

impl Checks {
    /// Whether the call might be sent when it was.
    pub(super) fn sent(&self, seen: &mut CheckState, entry: &Entry, asked: &Asked) {
        let Some(who) = asked.who else {
            seen.wrong.push(format!("nobody knows who sent {}", entry.action));
            return;
        };
        let Some(tick) = who.tick else { return };
        let name = self.name(tick.fleet);
        if !asked.holds {
            let what = format!("{} was sent for {name} without its lease", entry.action);
            seen.wrong.push(format!("{what}, by replica {} at {}", who.place, asked.at));
        }
        let held = seen.holds.get(&tick.fleet).copied();
        let in_force = held
            .filter(|held| clock::age(asked.at, held.placed) > TICK_TAKES && asked.at < held.until);
        // By a clock that was set a hold ends at another time.
        let in_force = in_force.filter(|_| !seen.steps.contains_key(&who.place));
        let against = in_force.is_some_and(|held| match entry.action.as_str() {
            "RunInstances" => held.out,
            "StopInstances" => held.in_,
            // An end that a drain began may be finished.
            "DeleteInstances" => {
                let ids = ids(entry);
                let drained = |id: &String| {
                    let known = seen.ledger.known.get(&(asked.account, id.clone()));
                    known.is_none_or(|known| known.ended_at.is_some())
                };
                held.in_ && !ids.iter().all(drained)
            }
            _ => false,
        });
        if against {
            seen.wrong.push(format!("{} was sent for {name}, which is held", entry.action));
        }
    }

    /// What a call came to. `late`: longer after it was sent than usual.
    pub(super) fn effects(&self, seen: &mut CheckState, entry: &Entry, asked: &Asked, late: bool) {
        match entry.action.as_str() {
            "RunInstances" if !entry.created.is_empty() && !entry.repeated => {
                self.launched(seen, entry, asked, late);
            }
            "StopInstances" | "DeleteInstances" => self.ended(seen, entry, asked, late),
            _ => {}
        }
    }

    fn launched(&self, seen: &mut CheckState, entry: &Entry, asked: &Asked, late: bool) {
        let now = self.clock.now();
        seen.launches += 1;
        let token = entry.parameters.get("ClientToken").cloned().unwrap_or_default();
        if !seen.tokens.insert((asked.account, token.clone())) {
            seen.wrong.push(format!("token {token} launched twice"));
        }
        let Some(tick) = asked.who.and_then(|who| who.tick) else {
            seen.wrong.push(format!("{:?} was launched for no fleet", entry.created));
            return;
        };
        let fleet = tick.fleet;
        let new: BTreeMap<String, usize> =
            entry.created.iter().map(|id| (id.clone(), fleet)).collect();
        self.look_at(seen, asked.account, &new);
        seen.launched.insert(fleet, now);
        let grown = seen.grown.entry(fleet).or_default();
        grown.extend(entry.created.iter().map(|_| now));
        let exist = seen.ledger.exist(fleet, now);
        if exist > tick.max as usize {
            let max = tick.max;
            seen.wrong.push(format!(
                "{} has {exist} > max = {max} at {now} (base ones included)",
                self.name(fleet)
            ));
        }
        let tags: Vec<&String> =
            (1..=20).filter_map(|n| entry.parameters.get(&format!("Tag.{n}.Value"))).collect();
        if !tags.contains(&&self.shape.fleets[fleet].name) {
            seen.wrong.push(format!("{:?} launched for another fleet", entry.created));
        }
        if let Some(brakes) = self.shape.fleets[fleet].brakes
            && seen.steps.is_empty()
            && !late
        {
            let within = within(&seen.grown[&fleet], HOUR, now);
            if within > brakes.launches as usize {
                let name = self.name(fleet);
                let most = brakes.launches;
                seen.wrong.push(format!("{name} launched {within} within an hour, of {most}"));
            }
        }
    }

    pub(super) fn name(&self, fleet: usize) -> String {
        let shape = &self.shape.fleets[fleet];
        if self.shape.installations.len() == 1 {
            shape.name.clone()
        } else {
            format!("{} of installation {}", shape.name, shape.installation)
        }
    }

    /// Whether so many may have ended within the hour.
    pub(super) fn braked(&self, seen: &mut CheckState, fleet: usize, now: Timestamp) {
        let Some(brakes) = self.shape.fleets[fleet].brakes else { return };
        if !seen.steps.is_empty() {
            return;
        }
        let Some(shrunk) = seen.shrunk.get(&fleet) else { return };
        let ended = within(shrunk, HOUR, now);
        let there_were = seen.ledger.exist(fleet, now) + ended;
        let share = (there_were * brakes.percent as usize).div_ceil(100).max(1);
        let most = share.min(brakes.removals as usize);
        if ended > most {
            let name = self.name(fleet);
            seen.wrong.push(format!("{name} ended {ended} within an hour, of {most} at most"));
        }
    }
}

/// The instances that a call names.
pub(super) fn ids(entry: &Entry) -> Vec<String> {
    (1..=100).map_while(|n| entry.parameters.get(&format!("InstanceId.{n}")).cloned()).collect()
}

fn within(times: &[Timestamp], span: Duration, now: Timestamp) -> usize {
    times.iter().filter(|at| clock::age(now, **at) < span).count()
}
