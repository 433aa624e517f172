//! Questions that were asked lately, with their answers. Each operation costs the same however many
//! there are.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloud::{Timestamp, clock};
use tokio::sync::OnceCell;

use super::answer::{Answer, Want};
use crate::model::Gap;

/// 20,000: half an interval of 3,000 fleets with two signals of their own. What is dropped before
/// its time is asked once more.
const QUESTIONS_MAX: usize = 20_000;

/// One question to one server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub(super) query: Arc<str>,
    /// The time of evaluation in Unix milliseconds; `None`: the server's now.
    pub(super) at_millis: Option<i64>,
    pub(super) want: Want,
}

pub(super) type Reply = Result<Arc<Answer>, Gap>;

/// The first caller asks, the others wait for the same answer. A gap is shared, too.
pub(super) type Cell = Arc<OnceCell<Reply>>;

/// The questions of one window.
#[derive(Debug)]
pub(super) struct QuestionCache {
    window: Duration,
    lately: Mutex<Lately>,
}

#[derive(Debug, Default)]
struct Lately {
    cells: HashMap<Arc<Question>, (Timestamp, Cell)>,
    /// In the order in which they were asked.
    order: VecDeque<(Timestamp, Arc<Question>)>,
}

impl QuestionCache {
    /// An answer younger than `window` is shared.
    pub(super) fn new(window: Duration) -> QuestionCache {
        QuestionCache { window, lately: Mutex::default() }
    }

    /// The place for the answer to `question`, which is asked at `now`.
    pub(super) fn cell(&self, question: Question, now: Timestamp) -> Cell {
        let is_new = |at: Timestamp| at <= now && clock::age(now, at) < self.window;
        let mut lately = self.lately.lock().expect("no holder of this lock can panic");
        while lately.order.front().is_some_and(|(at, _)| !is_new(*at))
            || lately.order.len() > QUESTIONS_MAX
        {
            if let Some((at, question)) = lately.order.pop_front()
                && lately.cells.get(&question).is_some_and(|(asked_at, _)| *asked_at == at)
            {
                lately.cells.remove(&question);
            }
        }
        if let Some((_, cell)) = lately.cells.get(&question).filter(|(at, _)| is_new(*at)) {
            return cell.clone();
        }
        let (question, cell) = (Arc::new(question), Cell::default());
        lately.cells.insert(question.clone(), (now, cell.clone()));
        lately.order.push_back((now, question));
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(n: usize) -> Question {
        Question { query: n.to_string().into(), at_millis: None, want: Want::One(None) }
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_timestamp(1_767_355_200 + secs, 0).expect("a time")
    }

    #[test]
    fn a_question_has_one_place_for_a_window_and_no_longer() {
        let asked = QuestionCache::new(Duration::from_secs(7));
        let first = asked.cell(question(1), at(0));
        assert!(Arc::ptr_eq(&first, &asked.cell(question(1), at(6))));
        assert!(!Arc::ptr_eq(&first, &asked.cell(question(2), at(6))));
        let second = asked.cell(question(1), at(7));
        assert!(!Arc::ptr_eq(&first, &second));
        // The clock was set back: what was asked later is not waited for.
        assert!(!Arc::ptr_eq(&second, &asked.cell(question(1), at(-3600))));
    }

    #[test]
    fn what_is_over_is_forgotten_and_never_more_than_a_bound_is_kept() {
        let asked = QuestionCache::new(Duration::from_secs(7));
        let kept = |asked: &QuestionCache| {
            let lately = asked.lately.lock().expect("no panic");
            (lately.cells.len(), lately.order.len())
        };
        for n in 0..QUESTIONS_MAX + 500 {
            asked.cell(question(n), at(0));
        }
        assert!(kept(&asked).0 <= QUESTIONS_MAX + 1, "{:?}", kept(&asked));
        asked.cell(question(0), at(60));
        assert_eq!(kept(&asked), (1, 1));
    }
}
