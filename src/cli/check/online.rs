//! The questions of `check --online`: one peer is asked one thing after the other, and the peers are
//! asked at the same time. What was found is told in the order of the questions, as soon as it is
//! known.

mod monitor;
mod order;
mod permissions;
mod provider;
mod question;
mod row;
mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloud::{Clock, Observe, SystemClock, retry};
use futures::StreamExt;
use tokio::sync::mpsc;

use self::order::{InOrder, Out};
use self::question::{Lane, Peer, Question};
pub(super) use self::row::{CheckFinding, CheckRow};
use crate::config::{Config, StateUrl};
use crate::control::{clouds_that_retry, sources};
use crate::journal::{Examined, examine};
use crate::model::{FleetId, SignalName};
use crate::signals::{self, Source};

/// 10 s for a question: an API that works answers within one, and a person who waits for longer
/// thinks that nothing happens.
pub(super) const LIMIT: Duration = Duration::from_secs(10);
/// A failed call is repeated for a quarter of the limit: then its error is told, and not the limit.
const RETRIED_FOR: u32 = 4;
/// 8 peers: a configuration has a few providers and servers. A hundred programs at once would load
/// the machine that they measure.
const PEERS_AT_ONCE: usize = 8;

/// Who is told how the questions go.
pub(super) trait Listener {
    /// So many of `total` questions went out, and the answer to this one is waited for.
    fn asks(&mut self, number: usize, total: usize, what: &str);
    /// The next row, in the order of the questions.
    fn finds(&mut self, row: CheckRow);
}

/// What all questions need.
struct Asking<'a> {
    config: &'a Config,
    clouds: BTreeMap<String, Arc<aliyun::Ecs>>,
    sources: BTreeMap<&'a FleetId, BTreeMap<SignalName, Arc<dyn Source>>>,
    limit: Duration,
    clock: Arc<dyn Clock>,
    events: mpsc::UnboundedSender<Event>,
}

enum Event {
    Begins { slot: usize, what: String },
    Answered { slot: usize, row: Option<CheckRow> },
    LacksCredentials,
}

/// Asks everything, each question for `limit`, and changes nothing. Returns whether a provider has no
/// credentials at all.
pub(super) async fn ask(
    config: &Config,
    limit: Duration,
    listener: &mut dyn Listener,
) -> anyhow::Result<bool> {
    let questions = question::all(config);
    let total = questions.iter().filter(|question| question.is_asked()).count();
    let lanes = question::lanes(questions);
    let (events, mut told) = mpsc::unbounded_channel();
    let asking = Asking::of(config, limit, events)?;
    let working = async move {
        let asking = &asking;
        let lanes = futures::stream::iter(lanes).map(|lane| asking.lane(lane));
        lanes.buffer_unordered(PEERS_AT_ONCE).collect::<()>().await;
    };
    let listening = async {
        let (mut order, mut out, mut lacks_credentials) = (InOrder::new(), Out::default(), false);
        while let Some(event) = told.recv().await {
            match event {
                Event::Begins { slot, what } => out.begins(slot, what),
                Event::Answered { slot, row } => {
                    out.answered(slot);
                    order.put(slot, row).into_iter().for_each(|row| listener.finds(row));
                }
                Event::LacksCredentials => lacks_credentials = true,
            }
            if let Some((number, what)) = out.newest() {
                listener.asks(number, total, what);
            }
        }
        lacks_credentials
    };
    let ((), lacks_credentials) = tokio::join!(working, listening);
    Ok(lacks_credentials)
}

impl<'a> Asking<'a> {
    fn of(
        config: &'a Config,
        limit: Duration,
        events: mpsc::UnboundedSender<Event>,
    ) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let retry = retry::Policy { deadline: limit / RETRIED_FOR, ..retry::Policy::default() };
        let clouds = clouds_that_retry(&config.providers, &clock, None, retry)?;
        let window = config.daemon.interval.get() / 2;
        let shared = Arc::new(signals::Clients::new(clock.clone(), window));
        let mut by_fleet = BTreeMap::new();
        for fleet in &config.fleets {
            let cloud: Arc<dyn Observe> = clouds[&fleet.provider].clone();
            by_fleet.insert(&fleet.fleet.id, sources(fleet, &shared, &cloud)?);
        }
        Ok(Asking { config, clouds, sources: by_fleet, limit, clock, events })
    }

    /// Asks one peer everything that it is to be asked.
    async fn lane(&self, lane: Lane<'a>) {
        let Lane { peer, questions } = lane;
        match &peer {
            Peer::Provider(name) => {
                provider::ProviderLane::new(self, name).ask(&questions).await;
            }
            Peer::State => self.state(&questions).await,
            Peer::Nobody => self.nobody(&questions).await,
            Peer::Server { .. } | Peer::Program { .. } => {
                source::ask(self, &peer, &questions).await;
            }
        }
    }

    async fn state(&self, questions: &[(usize, Question<'a>)]) {
        for (slot, question) in questions {
            self.begins(*slot, question);
            let asked = tokio::time::timeout(self.limit, state(&self.config.daemon.state)).await;
            let todo = "check the way to the database (DNS, firewall), and its load";
            let found = asked.unwrap_or_else(|_| CheckFinding::no_answer(self.limit, todo));
            self.answered(*slot, Some(CheckRow::new(question.what(), found)));
        }
    }

    /// What can be said without asking.
    async fn nobody(&self, questions: &[(usize, Question<'a>)]) {
        for (slot, question) in questions {
            let row = match question {
                Question::Month(name) => monitor::month(self.config, name),
                Question::Signal(signal) => Some(source::alone(self, signal).await.0),
                _ => None,
            };
            self.answered(*slot, row);
        }
    }

    fn begins(&self, slot: usize, question: &Question<'_>) {
        self.tell(Event::Begins { slot, what: question.what() });
    }

    fn answered(&self, slot: usize, row: Option<CheckRow>) {
        self.tell(Event::Answered { slot, row });
    }

    fn tell(&self, event: Event) {
        // The listener waits for as long as somebody can tell something.
        drop(self.events.send(event));
    }
}

/// Whether the journal can be used, or will be.
async fn state(url: &StateUrl) -> CheckFinding {
    match examine(url).await {
        Ok(Examined::Usable) => CheckFinding::Fine("can be read".to_owned()),
        Ok(Examined::InUse { holder }) => {
            CheckFinding::Fine(format!("can be read, a daemon uses it{holder}"))
        }
        Ok(Examined::NotYet) => {
            CheckFinding::Fine("not there yet, the daemon makes it when it starts".to_owned())
        }
        Ok(Examined::Older) => CheckFinding::Fine(
            "of an older version, the daemon adapts it when it starts".to_owned(),
        ),
        Ok(Examined::Forgotten) => {
            CheckFinding::Fine("everything is forgotten at the end".to_owned())
        }
        Err(error) => CheckFinding::Wrong { wrong: error.to_string(), todo: None },
    }
}
