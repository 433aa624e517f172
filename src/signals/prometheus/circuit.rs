//! A server that does not answer is left alone for some seconds, and whoever would ask it meanwhile
//! gets the same gap at once. Pure but for its lock.

use std::sync::Mutex;
use std::time::Duration;

use cloud::{Timestamp, clock};

use crate::model::{Gap, Span};

/// 5 s: long enough that hundreds of fleets do not hang on a dead server one after another, short
/// enough that one that is started again is found within an interval.
const LEFT_ALONE: Duration = Duration::from_secs(5);

/// The state of one server as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Circuit(Mutex<ServerState>);

#[derive(Debug, Default)]
struct ServerState {
    open: Option<LeftAlone>,
    /// Questions that were answered.
    answers: u64,
    /// How often it was found not to answer.
    failures: u64,
}

#[derive(Debug)]
struct LeftAlone {
    until: Timestamp,
    gap: Gap,
    /// A caller that is ready to wait for longer than this has not been refuted.
    waited: Span,
}

/// A question on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    answers: u64,
    failures: u64,
}

impl Circuit {
    /// Lets a question pass that would wait for `timeout`, or says why not. When the time is over one
    /// question passes, and the others wait for what comes of it.
    pub(super) fn pass(&self, now: Timestamp, timeout: Span) -> Result<Ticket, Gap> {
        let mut state = self.state();
        if let Some(open) = state.open.as_mut().filter(|open| timeout <= open.waited) {
            // A longer time ahead means that the clock was set back.
            if now < open.until && open.until <= clock::after(now, LEFT_ALONE) {
                return Err(open.gap.clone());
            }
            open.until = clock::after(now, LEFT_ALONE);
        }
        Ok(Ticket { answers: state.answers, failures: state.failures })
    }

    /// The outcome found since the question with `ticket` passed: it need not be asked any more.
    pub(super) fn refuted(&self, ticket: Ticket, timeout: Span) -> Option<Gap> {
        let state = self.state();
        let open = state.open.as_ref().filter(|open| timeout <= open.waited)?;
        (state.failures != ticket.failures).then(|| open.gap.clone())
    }

    /// A question was answered, whatever the answer.
    pub(super) fn answered(&self) {
        let mut state = self.state();
        state.open = None;
        state.answers += 1;
    }

    /// A question was not answered for as long as `waited` (`None`: nobody is there). A server that
    /// answered others meanwhile is there: then that one question is too much for it.
    pub(super) fn failed(&self, ticket: Ticket, now: Timestamp, waited: Option<Span>, gap: &Gap) {
        let mut state = self.state();
        if state.answers == ticket.answers {
            let waited = waited.unwrap_or(Span(Duration::MAX));
            let waited = state.open.as_ref().map_or(waited, |open| open.waited.max(waited));
            state.open =
                Some(LeftAlone { until: clock::after(now, LEFT_ALONE), gap: gap.clone(), waited });
            state.failures += 1;
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, ServerState> {
        self.0.lock().expect("no holder of this lock can panic")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Span = Span::secs(5);

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_timestamp(1_767_355_200 + secs, 0).expect("a time")
    }

    fn gap() -> Gap {
        Gap::TimedOut { after: TIMEOUT }
    }

    #[test]
    fn a_server_that_does_not_answer_is_left_alone_and_then_tried_by_one() {
        let circuit = Circuit::default();
        let (one, two) = (circuit.pass(at(0), TIMEOUT), circuit.pass(at(0), TIMEOUT));
        let (one, two) = (one.expect("closed"), two.expect("closed"));
        circuit.failed(one, at(5), Some(TIMEOUT), &gap());
        assert_eq!(circuit.refuted(two, TIMEOUT), Some(gap()), "who waits for a place");
        circuit.pass(at(9), TIMEOUT).expect_err("open");
        let probe = circuit.pass(at(10), TIMEOUT).expect("one tries");
        assert_eq!(circuit.refuted(probe, TIMEOUT), None);
        circuit.pass(at(10), TIMEOUT).expect_err("the others wait for it");
        circuit.answered();
        circuit.pass(at(10), TIMEOUT).expect("closed");
    }

    #[test]
    fn one_question_that_is_too_much_does_not_cut_off_the_others() {
        let circuit = Circuit::default();
        let heavy = circuit.pass(at(0), TIMEOUT).expect("closed");
        circuit.answered();
        circuit.failed(heavy, at(5), Some(TIMEOUT), &gap());
        circuit.pass(at(5), TIMEOUT).expect("closed");
        // A caller that waits for longer may well get an answer.
        let hasty = circuit.pass(at(5), Span::secs(1)).expect("closed");
        circuit.failed(hasty, at(6), Some(Span::secs(1)), &gap());
        circuit.pass(at(6), Span::secs(1)).expect_err("open");
        circuit.pass(at(6), TIMEOUT).expect("has not been refuted");
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_prolong_it() {
        let circuit = Circuit::default();
        let ticket = circuit.pass(at(0), TIMEOUT).expect("closed");
        circuit.failed(ticket, at(0), None, &gap());
        circuit.pass(at(1), Span::secs(120)).expect_err("nobody is there, however long one waits");
        circuit.pass(at(-3600), TIMEOUT).expect("tried again");
    }
}
