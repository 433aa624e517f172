//! Whether the loop goes round: what the service manager's watchdog is fed by. Pure but for its lock.
//!
//! A loop that does not begin the ticks that are due, or does not renew its leases, is stuck and is to be
//! restarted. A tick that waits for a slow cloud is not: every call that it makes ends by itself, and a
//! restart would only ask the cloud again.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::model::Span;

/// A tick that is due begins within milliseconds. A minute late, nothing runs any more.
const BEGINS_WITHIN: Duration = Duration::from_secs(60);
/// The longest tick: it waits for an account's first listing, which at the default rate limits takes ten
/// minutes for 100,000 instances, and for its own calls of at most 90 s each after that.
const ENDS_WITHIN: Duration = Duration::from_secs(30 * 60);
/// A renewal asks the journal six times at most, and each of them ends within 8 s.
const RENEWS_WITHIN: Duration = Duration::from_secs(2 * 60);

/// How far each fleet's loop has come. Times are those of a clock that is never set.
#[derive(Debug, Default)]
pub struct Pulse(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    renewed: Option<Duration>,
    fleets: Vec<At>,
}

/// Where a fleet's loop is.
#[derive(Debug, Clone, Copy)]
enum At {
    /// Its next tick begins then.
    Waits {
        until: Duration,
    },
    Ticks {
        since: Duration,
    },
    /// It was told to end.
    Ended,
}

impl Pulse {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder of this lock can panic")
    }

    fn set(&self, fleet: usize, at: At) {
        let mut state = self.state();
        if state.fleets.len() <= fleet {
            state.fleets.resize(fleet + 1, At::Ended);
        }
        state.fleets[fleet] = at;
    }

    /// The leases have been renewed, or could not be.
    pub(super) fn renewed(&self, now: Duration) {
        self.state().renewed = Some(now);
    }

    /// The fleet's next tick begins at `until`.
    pub(super) fn waits(&self, fleet: usize, until: Duration) {
        self.set(fleet, At::Waits { until });
    }

    pub(super) fn ticks(&self, fleet: usize, now: Duration) {
        self.set(fleet, At::Ticks { since: now });
    }

    pub(super) fn ended(&self, fleet: usize) {
        self.set(fleet, At::Ended);
    }

    /// Nothing of the loop runs any more, as it should at the end.
    pub(super) fn stopped(&self) {
        *self.state() = State::default();
    }

    /// Why the loop is stuck, if it is.
    #[must_use]
    pub fn stuck(&self, now: Duration) -> Option<String> {
        let state = self.state();
        let since = |at: Duration| Span::secs(now.saturating_sub(at).as_secs());
        if let Some(renewed) = state.renewed
            && now > renewed + RENEWS_WITHIN
        {
            return Some(format!("the leases have not been renewed for {}", since(renewed)));
        }
        let due = state.fleets.iter().filter_map(|at| match at {
            At::Waits { until } => Some(*until),
            _ => None,
        });
        if let Some(oldest) = due.min()
            && now > oldest + BEGINS_WITHIN
        {
            return Some(format!("a tick that was due {} ago does not begin", since(oldest)));
        }
        let under_way = state.fleets.iter().filter_map(|at| match at {
            At::Ticks { since } => Some(*since),
            _ => None,
        });
        let oldest = under_way.min().filter(|oldest| now > *oldest + ENDS_WITHIN);
        oldest.map(|oldest| format!("a tick that began {} ago does not end", since(oldest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_loop_that_does_not_go_round_is_stuck_and_a_slow_tick_is_not() {
        let pulse = Pulse::default();
        assert_eq!(pulse.stuck(at(1_000_000)), None, "it has not begun");
        pulse.renewed(at(100));
        pulse.waits(0, at(115));
        pulse.ticks(1, at(100));
        assert_eq!(pulse.stuck(at(160)), None);
        let late = pulse.stuck(at(176)).expect("a tick that is due does not begin");
        assert_eq!(late, "a tick that was due 1m1s ago does not begin");

        pulse.ticks(0, at(176));
        assert_eq!(pulse.stuck(at(220)), None, "both ticks wait for the cloud");
        let late = pulse.stuck(at(221)).expect("nobody renews");
        assert_eq!(late, "the leases have not been renewed for 2m1s");
        pulse.renewed(at(1_900));
        assert_eq!(pulse.stuck(at(1_900)), None);
        let late = pulse.stuck(at(1_901)).expect("no tick takes so long");
        assert_eq!(late, "a tick that began 30m1s ago does not end");
        pulse.ended(1);
        assert_eq!(pulse.stuck(at(1_901)), None);
        pulse.stopped();
        assert_eq!(pulse.stuck(at(1_000_000)), None);
    }
}
