//! How often each action may be called.

use std::collections::BTreeMap;

/// The rate that each action may take. The vendor publishes figures only in each account's Quota Center:
/// [`Rates::parse_quota`] reads them.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates {
    /// Calls per second of an action without a figure of its own whose name begins with `Describe`,
    /// `List` or `Get`.
    pub reads: f64,
    /// Calls per second of any other action without a figure of its own.
    pub writes: f64,
    /// Calls per second, by action.
    pub by_action: BTreeMap<String, f64>,
    /// Calls per second of all actions together.
    pub account: f64,
    /// Instances per minute that may be asked for, however many calls that takes.
    pub instances_per_minute: u32,
}

impl Default for Rates {
    /// 5 reads, 2 writes and 1 RunInstances a second: far below any figure seen for these APIs,
    /// since console, scripts and other tools share the account's quota.
    ///
    /// 20 calls a second in all: some twice what a daemon does that lists, launches, tags, stops
    /// and deletes at those rates at once, so it bounds only what a rate set too high can take
    /// from the account's other users. 5,000 instances a minute are the vendor's rule.
    fn default() -> Self {
        Rates {
            reads: 5.0,
            writes: 2.0,
            by_action: [("RunInstances".to_owned(), 1.0)].into(),
            account: 20.0,
            instances_per_minute: 5_000,
        }
    }
}

impl Rates {
    /// These with other figures for some actions, and for the account. Without one for the account,
    /// what is given for actions can be used in full: a limit that was raised must not run into
    /// another one that nobody has set.
    #[must_use]
    pub fn with(mut self, by_action: &BTreeMap<String, f64>, account: Option<f64>) -> Rates {
        self.account = account.unwrap_or_else(|| self.account.max(by_action.values().sum()));
        self.by_action.extend(by_action.clone());
        self
    }

    /// Calls per second of `action`.
    pub(super) fn of(&self, action: &str) -> f64 {
        let is_read = ["Describe", "List", "Get"].iter().any(|verb| action.starts_with(verb));
        let rest = if is_read { self.reads } else { self.writes };
        self.by_action.get(action).copied().unwrap_or(rest)
    }

    /// Calls per second, from a figure as Quota Center shows it: `200/60(s)` is 200 calls in 60
    /// seconds.
    pub fn parse_quota(text: &str) -> Result<f64, String> {
        let wrong = || format!("{text:?} is not a quota such as \"200/60(s)\" or \"5/1(s)\"");
        let (calls, rest) = text.trim().split_once('/').ok_or_else(wrong)?;
        let secs = rest.trim_end().strip_suffix("(s)").ok_or_else(wrong)?;
        let number = |part: &str| part.trim().parse::<u32>().ok().filter(|number| *number > 0);
        match (number(calls), number(secs)) {
            (Some(calls), Some(secs)) => Ok(f64::from(calls) / f64::from(secs)),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_the_quota_center_are_read_as_calls_per_second() {
        for (text, calls) in [("200/60(s)", 200.0 / 60.0), ("5/1(s)", 5.0), (" 30 / 60 (s) ", 0.5)]
        {
            assert_eq!(Rates::parse_quota(text), Ok(calls), "{text}");
        }
    }

    #[test]
    fn a_raised_action_is_not_held_down_by_the_accounts_default() {
        let raised: BTreeMap<String, f64> = [("DescribeInstances".to_owned(), 1_000.0)].into();
        let rates = Rates::default().with(&raised, None);
        assert_eq!((rates.account, rates.of("DescribeInstances")), (1_000.0, 1_000.0));
        assert_eq!(rates.of("RunInstances"), 1.0, "what is not named stays");
        assert_eq!(Rates::default().with(&raised, Some(50.0)).account, 50.0, "what is set holds");
        assert_eq!(Rates::default().with(&[].into(), None), Rates::default());
    }

    #[test]
    fn what_is_no_figure_of_the_quota_center_is_refused_and_told_what_one_is() {
        for text in ["", "200", "200/60", "200/60(m)", "0/60(s)", "5/0(s)", "-5/1(s)", "x/y(s)"] {
            let error = Rates::parse_quota(text).expect_err(text);
            assert!(error.contains("200/60(s)"), "{error}");
        }
    }
}
