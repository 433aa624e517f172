//! Which instances may be ended, in which order, and how many.

use std::time::Duration;

use cloud::{Clock, Timestamp, clock};
use ecs_emulator::Entry;

use super::ledger::KNOWN_AFTER;
use super::{Asked, CheckState, Checks, Key, Known, TICK_TAKES, Whose, calls};
use crate::who::{Ticking, Who};

/// One that has run for so long is known to run.
const SURELY: Duration = Duration::from_secs(60);
/// A stray is known as one for so long before it goes.
const STRAY_GRACE: Duration = Duration::from_secs(15 * 60);
/// For so long after a host's clock was set, nobody asks how long a drain took.
const CLOCKS_SETTLED: Duration = Duration::from_secs(15 * 60);
/// Two hosts' clocks are at most so far apart, one before and one after the true time.
const CLOCKS_APART: Duration = Duration::from_secs(45);
/// A boot may take so long, unless the configuration says less.
const BOOT_FLOOR: Duration = Duration::from_secs(5 * 60);
/// As configured where it is not learned.
const BOOT_TIMEOUT: Duration = Duration::from_secs(180);
/// One that refused its end, or of whose end nobody heard, is passed over for half an hour at the
/// longest; one whose tags or protection changed, for less.
const PASSED_OVER: Duration = Duration::from_secs(45 * 60);

impl Checks {
    /// A call that stops or deletes has had its effect, if any.
    pub(super) fn ended(&self, seen: &mut CheckState, entry: &Entry, asked: &Asked, late: bool) {
        let now = self.clock.now();
        let named = calls::ids(entry);
        let before: Vec<(Key, Option<Known>)> = named
            .iter()
            .map(|id| (asked.account, id.clone()))
            .map(|key| (key.clone(), seen.ledger.known.get(&key).cloned()))
            .collect();
        let views = self.emulators[asked.account].instances();
        let ending = |id: &String| {
            let view = views.iter().find(|view| view.id == *id);
            view.is_some_and(|view| matches!(view.status.as_str(), "Stopping" | "Stopped" | "Gone"))
        };
        let took_effect = |(key, known): &(Key, Option<Known>)| {
            let was_on = known.as_ref().is_none_or(|known| {
                matches!(known.status.as_str(), "Pending" | "Starting" | "Running")
            });
            let deleted = entry.deleted.contains(&key.1);
            was_on && (deleted || (entry.action == "StopInstances" && ending(&key.1)))
        };
        let ended: Vec<(Key, Option<Known>)> =
            before.iter().filter(|e| took_effect(e)).cloned().collect();
        for (key, _) in &before {
            if ended.iter().all(|(other, _)| other != key)
                && let Some(known) = seen.ledger.known.get_mut(key)
            {
                known.touched_at = Some(now);
            }
        }
        if ended.is_empty() {
            return;
        }
        seen.deletions += 1;
        let Some(who) = asked.who else { return };
        for (key, known) in &ended {
            if let Err(why) = self.may_end(seen, known.as_ref(), who, now) {
                seen.wrong.push(format!("{} was ended, {why}", key.1));
            }
            seen.ledger.ended(key, now);
        }
        seen.ledger.look(asked.account, &views, &std::collections::BTreeMap::new(), now);
        if let Some(tick) = who.tick
            && !late
        {
            self.too_early(seen, tick, &ended, now);
            self.too_many(seen, tick, &ended, now);
            self.oldest_first(seen, tick, &ended, now);
        }
    }

    /// Why an instance must not be ended, if so.
    fn may_end(
        &self,
        seen: &CheckState,
        known: Option<&Known>,
        who: Who,
        now: Timestamp,
    ) -> Result<(), String> {
        let Some(known) = known else { return Err("which nobody knows".to_owned()) };
        let fleet = match known.whose {
            Whose::Fleet(fleet) => fleet,
            Whose::Base(fleet) => {
                return Err(format!("which is a base instance of {}", self.name(fleet)));
            }
            Whose::Nobodys => return Err(format!("which is a stranger: {:?}", known.tags)),
        };
        let (of, asker) = (self.shape.fleets[fleet].installation, who.installation);
        if of != asker {
            return Err(format!("which is installation {of}'s, by installation {asker}"));
        }
        match who.tick {
            Some(tick) if tick.fleet != fleet => {
                let (of, by) = (self.name(fleet), self.name(tick.fleet));
                return Err(format!("which {of} launched, by {by}"));
            }
            None => {
                let removed = seen.removed.get(&fleet);
                if removed.is_none_or(|at| clock::age(now, *at) < STRAY_GRACE) {
                    return Err(format!("as a stray of {}", self.name(fleet)));
                }
                return Ok(());
            }
            Some(_) => {}
        }
        let protected = |at: Timestamp| clock::age(now, at) > TICK_TAKES;
        if known.protected_since.is_some_and(protected) {
            return Err("which is protected".to_owned());
        }
        let learned = self.shape.fleets[fleet].learns_boots;
        let may_boot = if learned { BOOT_FLOOR } else { BOOT_TIMEOUT };
        let boots = matches!(known.status.as_str(), "Pending" | "Starting");
        let age = clock::age(now, known.created_at);
        // Seconds pass between the launch and the moment from which its age is counted.
        if boots && age + Duration::from_secs(10) < may_boot {
            return Err(format!("while it boots, after {} s", age.as_secs()));
        }
        Ok(())
    }

    /// What served gets no new work for as long as was configured before it goes.
    fn too_early(
        &self,
        seen: &mut CheckState,
        tick: Ticking,
        ended: &[(Key, Option<Known>)],
        now: Timestamp,
    ) {
        let Some(secs) = self.shape.fleets[tick.fleet].drain_secs else { return };
        // The ages of what is recorded follow a clock that is set, but not what is on its way just then.
        if seen.steps.values().any(|at| clock::age(now, *at) < CLOCKS_SETTLED) {
            return;
        }
        let drained = Duration::from_secs(secs.into());
        let early = ended.iter().find(|((_, id), _)| {
            let last = seen.in_service.get(&(tick.fleet, id.clone()));
            last.is_some_and(|at| clock::age(now, *at) + CLOCKS_APART < drained)
        });
        if let Some(((_, id), _)) = early {
            let wrong = format!("{id} was ended before it had been drained for {secs} s");
            seen.wrong.push(wrong);
        }
    }

    /// Never fewer than `min` serve because of us.
    fn too_many(
        &self,
        seen: &mut CheckState,
        tick: Ticking,
        ended: &[(Key, Option<Known>)],
        now: Timestamp,
    ) {
        let served = |known: &Option<Known>| {
            let since = known.as_ref().and_then(|known| known.serves_since);
            since.is_some_and(|since| clock::age(now, since) >= SURELY)
        };
        let count = ended.iter().filter(|(_, known)| served(known)).count();
        if count == 0 {
            return;
        }
        let shrunk = seen.shrunk.entry(tick.fleet).or_default();
        shrunk.extend(std::iter::repeat_n(now, count));
        self.braked(seen, tick.fleet, now);
        let left = seen.ledger.serving_for_all_it_knows(tick.fleet, now);
        if left < tick.min as usize {
            let (name, min) = (self.name(tick.fleet), tick.min);
            seen.wrong.push(format!(
                "{name} ended {count} that served at {now}: {left} serve, min = {min}"
            ));
        }
    }

    /// No eligible one stays that is older than one that goes.
    fn oldest_first(
        &self,
        seen: &mut CheckState,
        tick: Ticking,
        ended: &[(Key, Option<Known>)],
        now: Timestamp,
    ) {
        // One that may still be taken for warming up goes before those that serve.
        let served = |known: &Known| {
            known.serves_since.is_some_and(|since| clock::age(now, since) >= KNOWN_AFTER)
        };
        // One that was drained while it warmed up may be ended much later.
        let was_seen = |key: &Key| seen.in_service.contains_key(&(tick.fleet, key.1.clone()));
        // The vendor gives the minute.
        let order = |key: &Key, known: &Known| (known.created_at.timestamp() / 60, key.1.clone());
        // What a person has replaced goes out of turn.
        let in_turn = |key: &Key| !seen.is_replaced(key);
        let goes = ended.iter().filter(|(key, _)| in_turn(key));
        let goes = goes.filter_map(|(key, known)| Some((key, known.as_ref()?)));
        let youngest = goes
            .filter(|(key, known)| served(known) && was_seen(key))
            .map(|(key, known)| order(key, known))
            .max();
        let Some(youngest) = youngest else { return };
        let settled = |known: &Known| {
            let long = |since: Timestamp| clock::age(now, since) >= TICK_TAKES;
            known.serves_since.is_some_and(long)
                && known.ended_at.is_none()
                && known.protected_since.is_none()
                && known.touched_at.is_none_or(|at| clock::age(now, at) >= PASSED_OVER)
        };
        let older = seen.ledger.known.iter().find(|(key, known)| {
            known.whose == Whose::Fleet(tick.fleet)
                && settled(known)
                && in_turn(key)
                && order(key, known) < youngest
        });
        if let Some(((_, id), _)) = older {
            let wrong = format!("{} was ended before {id}, which is older", youngest.1);
            seen.wrong.push(wrong);
        }
    }
}
