//! One check of one instance: probes in a row, and the verdict that they came to. Pure.

/// The newest verdict, and how many probes in a row said otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Streak {
    verdict: Option<bool>,
    last: Option<bool>,
    in_a_row: u32,
}

impl Streak {
    /// One more probe.
    pub(super) fn probed(&mut self, is_good: bool, healthy_after: u32, unhealthy_after: u32) {
        self.in_a_row =
            if self.last == Some(is_good) { self.in_a_row.saturating_add(1) } else { 1 };
        self.last = Some(is_good);
        let needed = if is_good { healthy_after } else { unhealthy_after };
        if self.in_a_row >= needed {
            self.verdict = Some(is_good);
        }
    }

    /// `None` before the first verdict.
    pub(super) fn verdict(&self) -> Option<bool> {
        self.verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_changes_after_so_many_probes_in_a_row() {
        let mut streak = Streak::default();
        let mut verdicts = Vec::new();
        for is_good in
            [true, false, true, true, false, false, true, false, false, false, true, true]
        {
            streak.probed(is_good, 2, 3);
            verdicts.push(streak.verdict());
        }
        let (none, yes, no) = (None, Some(true), Some(false));
        let expected = [none, none, none, yes, yes, yes, yes, yes, yes, no, no, yes];
        assert_eq!(verdicts, expected);
    }
}
