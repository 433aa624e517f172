//! How often an account is looked at. Pure.
//!
//! Looking takes at most a third of the calls that listings may make, whatever the size of the
//! account: a quarter for the account's listing, a twelfth for questions by id. The rest is there for
//! those who act.

use std::time::Duration;

/// Three listings a minute are enough to look: instances that change are asked for by id in between,
/// and who acts reads anew.
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// The account's listing takes one call of so many.
const LISTING_SHARE: f64 = 4.0;
/// Questions by id take one call of so many.
const BY_ID_SHARE: f64 = 12.0;
/// A listing that comes within this is waited for; a longer one is read beside the ticks.
const WAITED_FOR: Duration = Duration::from_secs(2);
/// What a page takes however high the quota is: one is asked for when the one before it has come.
const PAGE_TAKES: Duration = Duration::from_millis(100);
/// Rates below a call in a thousand seconds are as good as none.
const RATE_LEAST: f64 = 0.001;

/// From the beginning of one listing of `pages` to the beginning of the next, at `rate` calls a
/// second.
pub(super) fn between_listings(pages: u32, rate: f64) -> Duration {
    reading(pages, rate).mul_f64(LISTING_SHARE).max(LOOK_EVERY)
}

/// From one question by id to the next.
pub(super) fn between_questions(rate: f64) -> Duration {
    Duration::from_secs_f64(BY_ID_SHARE / rate.max(RATE_LEAST))
}

/// How long the rate limit takes to let a listing of `pages` through.
fn reading(pages: u32, rate: f64) -> Duration {
    Duration::from_secs_f64(f64::from(pages.max(1)) / rate.max(RATE_LEAST))
}

/// Whether a tick waits for such a listing, or goes on with the one before it.
pub(super) fn is_waited_for(pages: u32, rate: f64) -> bool {
    // As many calls as come in a second are let through at once.
    let let_through = f64::from(pages) <= rate.max(1.0) * WAITED_FOR.as_secs_f64();
    let_through && PAGE_TAKES * pages <= WAITED_FOR
}

/// How old the newest listing may be where everything is well: as long as it takes until the next one
/// is read, its reading included.
pub(super) fn oldest(pages: u32, rate: f64) -> Duration {
    between_listings(pages, rate) + reading(pages, rate).max(PAGE_TAKES * pages)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_account_is_looked_at_three_times_a_minute_or_as_often_as_its_size_allows() {
        for (name, pages, rate, secs) in [
            ("a small one", 1, 5.0, 20),
            ("50 fleets of 40", 20, 5.0, 20),
            ("100 fleets of 100", 100, 5.0, 80),
            ("100,000 instances", 1_000, 5.0, 800),
            ("the same with a quota of 1,000 a second", 1_000, 1_000.0, 20),
            ("a quota of a call in ten seconds", 1, 0.1, 40),
        ] {
            assert_eq!(between_listings(pages, rate), Duration::from_secs(secs), "{name}");
        }
        assert!(is_waited_for(1, 0.1) && is_waited_for(10, 5.0) && !is_waited_for(20, 5.0));
        assert!(!is_waited_for(1_000, 1_000.0), "its pages come one after the other");
    }

    proptest! {
        #[test]
        fn looking_takes_at_most_a_third_of_the_budget(pages in 1u32..20_000, rate in 0.01f64..1e4) {
            let minute = 60.0;
            let listings = minute / between_listings(pages, rate).as_secs_f64() * f64::from(pages);
            let questions = minute / between_questions(rate).as_secs_f64();
            prop_assert!(listings + questions <= rate * minute / 3.0 * 1.000_1);
        }
    }
}
