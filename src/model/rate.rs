//! Limits on how fast a fleet changes its size in one direction: `100% or 4 per 15s`.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use cloud::{Timestamp, clock};
use serde::{Deserialize, Serialize};

use super::{Amounts, Direction, Span};

/// An hour: the longest time that a limit may speak of. More is the affair of a schedule.
pub(crate) const RATE_PER_MOST: Span = Span::secs(3600);

/// At most so many instances, or such a share of the fleet, within a time. Of both the larger counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RateLimit {
    pub count: Option<u32>,
    /// Of the instances that there were when the time began; one may always move.
    pub percent: Option<f64>,
    pub per: Span,
}

/// The changes of size of the newest hour, the oldest first.
pub type Moves = VecDeque<(Timestamp, Amounts)>;

/// Why there is no room for more, and when there is some again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Used {
    /// How many more may move now.
    pub left: u32,
    /// How many have moved within the time.
    pub used: u32,
    /// When the oldest of these is forgotten; `now` when there is none.
    pub until: Timestamp,
}

impl RateLimit {
    /// How much of it is used, for a fleet that has `size` instances now. `open`: instances that may have
    /// moved already, and are in no record yet.
    #[must_use]
    pub fn used(
        &self,
        direction: Direction,
        size: u32,
        moves: &Moves,
        open: u32,
        now: Timestamp,
    ) -> Used {
        let within = moves.iter().filter(|(at, _)| clock::age(now, *at) < self.per.get());
        let mut sum = Amounts::default();
        let mut until = None;
        for (at, moved) in within {
            sum.launches = sum.launches.saturating_add(moved.launches);
            sum.removals = sum.removals.saturating_add(moved.removals);
            if moved.of(direction) > 0 {
                until.get_or_insert(clock::after(*at, self.per.get()));
            }
        }
        let began = size.saturating_add(sum.removals).saturating_sub(sum.launches);
        let used = sum.of(direction).saturating_add(open);
        let left = self.most(began).saturating_sub(used);
        Used { left, used, until: until.unwrap_or(now) }
    }

    /// How many may move within the time, of `size` at its beginning.
    fn most(&self, size: u32) -> u32 {
        let share = self.percent.map(|percent| share_of(size, percent));
        share.into_iter().chain(self.count).max().unwrap_or(u32::MAX)
    }
}

/// So many percent of `size`, and one at least: a small share must not stop a small fleet for ever.
pub(crate) fn share_of(size: u32, percent: f64) -> u32 {
    let exact = (f64::from(size) * percent / 100.0).floor().clamp(1.0, f64::from(u32::MAX));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number in 1..=u32::MAX after the clamp"
    )]
    let whole = exact as u32;
    whole
}

impl Amounts {
    /// Those that moved in `direction`.
    #[must_use]
    pub fn of(self, direction: Direction) -> u32 {
        match direction {
            Direction::Out => self.launches,
            Direction::In => self.removals,
        }
    }

    /// So many in `direction`, and none in the other.
    #[must_use]
    pub fn moved(direction: Direction, amount: u32) -> Amounts {
        match direction {
            Direction::Out => Amounts { launches: amount, removals: 0 },
            Direction::In => Amounts { launches: 0, removals: amount },
        }
    }
}

impl FromStr for RateLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<RateLimit, String> {
        let (amounts, per) =
            text.split_once(" per ").ok_or("it does not say `per` which time".to_owned())?;
        let per: Span = per.trim().parse()?;
        if per < Span::secs(1) || per > RATE_PER_MOST {
            return Err(format!("{per} is not between 1s and {RATE_PER_MOST}"));
        }
        let mut limit = RateLimit { count: None, percent: None, per };
        for amount in amounts.split(" or ").map(str::trim) {
            let number = amount.strip_prefix(['+', '-', '−']).unwrap_or(amount);
            let wrong = || format!("`{amount}` is neither a number of instances nor a percentage");
            let twice = || format!("`{amount}` is the second of its kind");
            if let Some(percent) = number.strip_suffix('%') {
                let percent = percent.trim().parse().ok();
                let percent = percent.filter(|p: &f64| *p > 0.0 && *p <= 10_000.0);
                let before = limit.percent.replace(percent.ok_or_else(wrong)?);
                before.map_or(Ok(()), |_| Err(twice()))?;
            } else {
                let count = number.parse().ok().filter(|count| *count <= 10_000);
                let before = limit.count.replace(count.ok_or_else(wrong)?);
                before.map_or(Ok(()), |_| Err(twice()))?;
            }
        }
        Ok(limit)
    }
}

impl TryFrom<String> for RateLimit {
    type Error = String;

    fn try_from(text: String) -> Result<RateLimit, String> {
        text.parse()
    }
}

impl From<RateLimit> for String {
    fn from(limit: RateLimit) -> String {
        limit.to_string()
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.percent, self.count) {
            (Some(percent), Some(count)) => write!(f, "{percent}% or {count}")?,
            (Some(percent), None) => write!(f, "{percent}%")?,
            (None, count) => write!(f, "{}", count.unwrap_or_default())?,
        }
        write!(f, " per {}", self.per)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::{ago, now};

    #[test]
    fn a_limit_is_read_as_it_is_written() {
        for (text, shown) in [
            ("+100% or 4 per 15s", "100% or 4 per 15s"),
            ("4 or 100% per 15s", "100% or 4 per 15s"),
            ("−10 per 20m", "10 per 20m"),
            ("-10 per 20m", "10 per 20m"),
            ("12.5% per 1h", "12.5% per 1h"),
            ("0 per 1m", "0 per 1m"),
        ] {
            let limit: RateLimit = text.parse().expect(text);
            assert_eq!(limit.to_string(), shown);
            assert_eq!(limit.to_string().parse(), Ok(limit));
        }
        for (text, why) in [
            ("4", "does not say `per`"),
            ("4 per day", "is not a duration"),
            ("4 per 2h", "not between 1s and 1h"),
            ("4 per 0s", "not between 1s and 1h"),
            ("a few per 1m", "neither a number"),
            ("0% per 1m", "neither a number"),
            ("4 or 5 per 1m", "second of its kind"),
            ("1% or 5% per 1m", "second of its kind"),
            (" per 1m", "neither a number"),
        ] {
            let refused = text.parse::<RateLimit>().expect_err(text);
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }

    #[test]
    fn what_moved_within_the_time_counts_and_a_share_is_of_the_size_at_its_beginning() {
        let moves: Moves = [
            (ago(90), Amounts { launches: 9, removals: 0 }),
            (ago(40), Amounts { launches: 2, removals: 0 }),
            (ago(20), Amounts { launches: 0, removals: 1 }),
        ]
        .into();
        let limit = |text: &str| text.parse::<RateLimit>().expect(text);
        let of = |text, size, open| limit(text).used(Direction::Out, size, &moves, open, now());
        let until = clock::after(ago(40), Span::secs(60).get());
        assert_eq!(of("5 per 1m", 11, 0), Used { left: 3, used: 2, until });
        assert_eq!(of("5 per 1m", 11, 2), Used { left: 1, used: 4, until });
        // 11 now, 2 launched and 1 removed since: 10 then.
        assert_eq!(of("50% per 1m", 11, 0).left, 3);
        assert_eq!(of("50% or 9 per 1m", 11, 0).left, 7);
        assert_eq!(of("5 per 30s", 11, 0), Used { left: 5, used: 0, until: now() });
        let none = limit("10% per 1m").used(Direction::Out, 0, &Moves::new(), 0, now());
        assert_eq!(none.left, 1, "a fleet of none can begin");
    }
}
