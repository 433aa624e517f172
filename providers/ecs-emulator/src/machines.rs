//! Every machine that ever was, found by its id and by its tags: a cloud of 100,000 answers a page
//! as fast as one of ten.
//!
//! A machine is never taken out, so its place among them is its number for good: listings page by it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;

use crate::machine::Machine;

/// A filter by one tag: its key, and its value unless any will do.
pub(crate) type TagWanted = (String, Option<String>);

/// The tags of one machine. They change through [`Machines`] only, which finds machines by them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tags(BTreeMap<String, String>);

impl Deref for Tags {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

impl FromIterator<(String, String)> for Tags {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(tags: T) -> Tags {
        Tags(tags.into_iter().collect())
    }
}

/// All machines, in the order of their creation.
#[derive(Debug, Default)]
pub(crate) struct Machines {
    all: Vec<Machine>,
    by_id: HashMap<String, usize>,
    /// Key → value → numbers, ascending.
    by_tag: HashMap<String, HashMap<String, Vec<usize>>>,
}

impl Machines {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Machine> {
        self.all.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Machine> {
        self.all.iter_mut()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Machine> {
        self.by_id.get(id).map(|number| &self.all[*number])
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Machine> {
        self.by_id.get(id).map(|number| &mut self.all[*number])
    }

    pub(crate) fn push(&mut self, machine: Machine) {
        let number = self.all.len();
        self.by_id.insert(machine.id.clone(), number);
        for (key, value) in machine.tags.iter() {
            note(&mut self.by_tag, key, value, number);
        }
        self.all.push(machine);
    }

    /// Sets a tag of a machine, if there is such a machine.
    pub(crate) fn tag(&mut self, id: &str, key: &str, value: &str) {
        let Some(&number) = self.by_id.get(id) else { return };
        let before = self.all[number].tags.0.insert(key.to_owned(), value.to_owned());
        if let Some(before) = before {
            forget(&mut self.by_tag, key, &before, number);
        }
        note(&mut self.by_tag, key, value, number);
    }

    /// Takes the tags off a machine whose keys `goes` names.
    pub(crate) fn untag(&mut self, id: &str, goes: impl Fn(&str) -> bool) {
        let Some(&number) = self.by_id.get(id) else { return };
        let by_tag = &mut self.by_tag;
        self.all[number].tags.0.retain(|key, value| {
            let goes = goes(key);
            if goes {
                forget(by_tag, key, value, number);
            }
            !goes
        });
    }

    /// Machines that may satisfy the filters, each with its number, the newest first, of those with
    /// a number below `below`: no others do, but not all of these need to.
    pub(crate) fn candidates<'a>(
        &'a self,
        ids: Option<&[String]>,
        tags: &[TagWanted],
        below: usize,
    ) -> Box<dyn Iterator<Item = (usize, &'a Machine)> + 'a> {
        let of = |number: usize| (number, &self.all[number]);
        if let Some(ids) = ids {
            let mut numbers: Vec<usize> =
                ids.iter().filter_map(|id| self.by_id.get(id.as_str()).copied()).collect();
            numbers.sort_unstable();
            numbers.dedup();
            return Box::new(numbers.into_iter().rev().filter(move |n| *n < below).map(of));
        }
        let by_value = tags.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
        let lists = by_value.map(|(key, value)| {
            self.by_tag.get(key).and_then(|of_key| of_key.get(value)).map_or(&[][..], Vec::as_slice)
        });
        match lists.min_by_key(|numbers| numbers.len()) {
            Some(numbers) => {
                let end = numbers.partition_point(|number| *number < below);
                Box::new(numbers[..end].iter().rev().copied().map(of))
            }
            None => Box::new((0..below.min(self.all.len())).rev().map(of)),
        }
    }
}

type ByTag = HashMap<String, HashMap<String, Vec<usize>>>;

fn note(by_tag: &mut ByTag, key: &str, value: &str, number: usize) {
    let of_key = by_tag.entry(key.to_owned()).or_default();
    let numbers = of_key.entry(value.to_owned()).or_default();
    if let Err(at) = numbers.binary_search(&number) {
        numbers.insert(at, number);
    }
}

fn forget(by_tag: &mut ByTag, key: &str, value: &str, number: usize) {
    let Some(of_key) = by_tag.get_mut(key) else { return };
    if let Some(numbers) = of_key.get_mut(value) {
        numbers.retain(|other| *other != number);
        if numbers.is_empty() {
            of_key.remove(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use cloud::{Clock, ManualClock, Timestamp};

    use crate::state::State;
    use crate::world::World;

    use super::*;

    fn state() -> State {
        let at: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a valid time");
        let clock: std::sync::Arc<dyn Clock> = std::sync::Arc::new(ManualClock::at(at));
        State::new(World::default(), clock)
    }

    fn found(state: &State, tags: &[(&str, Option<&str>)], below: usize) -> Vec<usize> {
        let wanted: Vec<TagWanted> =
            tags.iter().map(|(k, v)| ((*k).to_owned(), v.map(str::to_owned))).collect();
        state.instances.candidates(None, &wanted, below).map(|(number, _)| number).collect()
    }

    #[test]
    fn machines_are_found_by_the_rarest_tag_the_newest_first() {
        let mut state = state();
        let ids: Vec<String> = ["web", "db", "web", "web"]
            .iter()
            .map(|fleet| state.place_foreign(&[("source", "auto"), ("fleet", fleet)]))
            .collect();
        let web = [("source", Some("auto")), ("fleet", Some("web"))];
        assert_eq!(found(&state, &web, usize::MAX), [3, 2, 0]);
        assert_eq!(found(&state, &web, 3), [2, 0], "a page goes on below the last one");
        assert_eq!(found(&state, &[("fleet", None)], usize::MAX), [3, 2, 1, 0]);
        assert_eq!(found(&state, &[("fleet", Some("api"))], usize::MAX), [0; 0]);

        state.instances.tag(&ids[1], "fleet", "web");
        state.instances.untag(&ids[2], |key| key == "fleet");
        assert_eq!(found(&state, &web, usize::MAX), [3, 1, 0], "tags change where machines are");
        assert_eq!(found(&state, &[("fleet", Some("db"))], usize::MAX), [0; 0]);
        let by_id = state.instances.candidates(Some(&ids[..2]), &[], usize::MAX);
        assert_eq!(by_id.map(|(number, _)| number).collect::<Vec<_>>(), [1, 0]);
    }
}
