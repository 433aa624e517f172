//! Answers come as they come, and are told in the order of their questions.

use std::collections::BTreeMap;

/// Holds what came before its turn.
#[derive(Debug)]
pub(super) struct InOrder<T> {
    /// The slot whose turn it is.
    next: usize,
    early: BTreeMap<usize, Option<T>>,
}

impl<T> InOrder<T> {
    pub(super) fn new() -> Self {
        InOrder { next: 0, early: BTreeMap::new() }
    }

    /// Takes what came for `slot` (which may be nothing), and gives what can be told now.
    pub(super) fn put(&mut self, slot: usize, came: Option<T>) -> Vec<T> {
        self.early.insert(slot, came);
        let mut ready = Vec::new();
        while let Some(came) = self.early.remove(&self.next) {
            self.next += 1;
            ready.extend(came);
        }
        ready
    }
}

/// The questions whose answers are waited for.
#[derive(Debug, Default)]
pub(super) struct Out {
    begun: usize,
    out: Vec<(usize, String)>,
}

impl Out {
    pub(super) fn begins(&mut self, slot: usize, what: String) {
        self.begun += 1;
        self.out.push((slot, what));
    }

    pub(super) fn answered(&mut self, slot: usize) {
        self.out.retain(|(asked, _)| *asked != slot);
    }

    /// How many questions went out, and the newest that is not answered.
    pub(super) fn newest(&self) -> Option<(usize, &str)> {
        self.out.last().map(|(_, what)| (self.begun, what.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_question_without_an_answer_is_named() {
        let mut out = Out::default();
        out.begins(1, "a".to_owned());
        out.begins(5, "b".to_owned());
        assert_eq!(out.newest(), Some((2, "b")));
        out.answered(5);
        assert_eq!(out.newest(), Some((2, "a")), "b is not waited for any more");
        out.answered(1);
        assert_eq!(out.newest(), None);
    }

    #[test]
    fn each_is_told_as_soon_as_all_before_it_are() {
        let mut order = InOrder::new();
        for (name, slot, came, ready) in [
            ("the second waits for the first", 1, Some("b"), vec![]),
            ("nothing is an answer too", 2, None, vec![]),
            ("the first lets both go", 0, Some("a"), vec!["a", "b"]),
            ("the fourth was next", 3, Some("d"), vec!["d"]),
        ] {
            assert_eq!(order.put(slot, came), ready, "{name}");
        }
    }
}
