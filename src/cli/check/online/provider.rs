//! The questions to one provider, one after the other. When the first one fails, or one gets no
//! answer, the others would fare the same: they are counted, and not asked.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cloud::{BackendGroup, Class, ClientToken, ErrorKind, InstanceId, Observe};

use super::question::{Question, SignalAsked};
use super::row::{CheckFinding, CheckRow, REACH, is_silent, todo};
use super::{Asking, Event, monitor, permissions, source};
use crate::config::FleetConfig;
use crate::model::{FleetId, IntentId, Place, plural};
use crate::plan;

/// The vendor gives so many instances on a page of a listing.
const PAGE: u32 = 100;

/// Why nothing more is asked.
const REFUSED: &str = "not asked, they would be refused as the first one";
const UNREACHED: &str = "not asked, since the provider does not answer";
const UNMONITORED: &str = "not asked, since CloudMonitor would not answer them either";

/// What to do about a provider that nobody finds.
const FIND: &str =
    "check `region`, the endpoint and the way there (DNS, proxy, firewall), then try again";

/// Whether the key may delete, stop or tag anything, and launch without our tags: a call each.
const EXCESS_CALLS: u32 = 4;

pub(super) struct ProviderLane<'q, 'a> {
    asking: &'q Asking<'a>,
    name: &'q str,
    cloud: Arc<dyn Observe>,
    /// Set once nothing more is asked.
    stopped: Option<&'static str>,
    skipped: u32,
    /// Launches are refused for a reason that is the same for each.
    refuses_launches: bool,
    skipped_launches: u32,
    monitor_is_silent: bool,
    /// Fleets whose monitored signals know who serves.
    told: BTreeSet<&'a FleetId>,
}

impl<'q, 'a> ProviderLane<'q, 'a> {
    pub(super) fn new(asking: &'q Asking<'a>, name: &'q str) -> Self {
        let cloud = asking.clouds[name].clone();
        ProviderLane {
            asking,
            name,
            cloud,
            stopped: None,
            skipped: 0,
            refuses_launches: false,
            skipped_launches: 0,
            monitor_is_silent: false,
            told: BTreeSet::new(),
        }
    }

    pub(super) async fn ask(&mut self, questions: &[(usize, Question<'a>)]) {
        for (slot, question) in questions {
            if self.stopped.is_none() && question.is_asked() {
                self.asking.begins(*slot, question);
            }
            let found = self.answer(question).await;
            if let Some(CheckFinding::Silent { .. }) = found.as_ref().map(|row| &row.found) {
                self.stopped.get_or_insert(UNREACHED);
            }
            self.asking.answered(*slot, found);
        }
    }

    async fn answer(&mut self, question: &Question<'a>) -> Option<CheckRow> {
        let row = |found| Some(CheckRow::new(question.what(), found));
        match question {
            Question::Rest(_) => self.rest(),
            Question::MoreLaunches(fleet) => self.more_launches(fleet),
            _ if self.stopped.is_some() => {
                self.skipped += u32::from(question.is_asked());
                None
            }
            Question::Launch(..) if self.refuses_launches => {
                self.skipped_launches += 1;
                None
            }
            Question::List(_) => row(self.list().await),
            Question::Base(fleet) => row(self.base(fleet).await),
            Question::Launch(fleet, place) => row(self.launch(fleet, place).await),
            Question::Backends(_, group) => row(self.backends(group).await),
            Question::End(fleet) => {
                let limit = self.asking.limit + self.listing(fleet);
                row(within(limit, permissions::end(fleet, &*self.cloud))
                    .await
                    .unwrap_or_else(|f| f))
            }
            Question::Signal(signal) => self.signal(signal).await,
            Question::Excess(name, fleet) => Some(self.excess(name, *fleet).await),
            Question::State(_) | Question::Month(_) => None,
        }
    }

    /// What is said of all that was not asked.
    fn rest(&self) -> Option<CheckRow> {
        let checks = match self.skipped {
            0 => return None,
            1 => "1 more check".to_owned(),
            n => format!("{n} more checks"),
        };
        let why = self.stopped.unwrap_or(UNMONITORED).to_owned();
        let what = format!("provider {}: {checks}", self.name);
        Some(CheckRow::new(what, CheckFinding::Skipped(why)))
    }

    fn more_launches(&mut self, fleet: &FleetConfig) -> Option<CheckRow> {
        let launches = match std::mem::take(&mut self.skipped_launches) {
            0 => return None,
            1 => "1 launch".to_owned(),
            n => format!("{n} launches"),
        };
        let what = format!("fleet {}: {launches} more", fleet.fleet.id);
        Some(CheckRow::new(what, CheckFinding::Skipped(REFUSED.to_owned())))
    }

    /// The first question. A provider that refuses it refuses the others, unless it was only asked
    /// too often.
    async fn list(&mut self) -> CheckFinding {
        let error = match within(self.asking.limit, self.cloud.probe_list()).await {
            Ok(Ok(())) => return CheckFinding::Fine("accepted".to_owned()),
            Ok(Err(error)) => error,
            Err(CheckFinding::Silent { wrong, .. }) => {
                return CheckFinding::Silent { wrong, todo: FIND.to_owned() };
            }
            Err(other) => return other,
        };
        if matches!(error.kind, ErrorKind::NoCredentials { .. }) {
            self.asking.tell(Event::LacksCredentials);
        }
        if !matches!(error.class, Class::Throttled { .. }) {
            self.stopped = Some(if is_silent(&error) { UNREACHED } else { REFUSED });
        }
        let names_region = error.code().is_some_and(|code| code.starts_with("InvalidRegion"));
        let todo = match error.class {
            _ if names_region => "correct `region` in [provider.…]",
            Class::Transient | Class::Ambiguous => FIND,
            Class::Permanent => "correct what the message names in [provider.…]",
            _ => todo(&error),
        };
        CheckFinding::failed(&error, todo)
    }

    /// Whether the base instances that are named exist.
    async fn base(&self, fleet: &FleetConfig) -> CheckFinding {
        let named: Vec<InstanceId> =
            fleet.fleet.base.iter().flat_map(|base| base.ids.iter().cloned()).collect();
        let listed = within(self.asking.limit, self.cloud.instances_by_ids(&named)).await;
        let listed = match listed {
            Ok(Ok(listed)) => listed,
            Ok(Err(error)) => return CheckFinding::of(Err(error), ""),
            Err(silent) => return silent,
        };
        let is_listed = |id: &InstanceId| listed.iter().any(|instance| instance.id == *id);
        let missing: Vec<&str> =
            named.iter().filter(|id| !is_listed(id)).map(|id| id.0.as_str()).collect();
        if missing.is_empty() {
            let count = u32::try_from(named.len()).unwrap_or(u32::MAX);
            return CheckFinding::Fine(format!("{} found", plural(count, "instance")));
        }
        CheckFinding::Wrong {
            wrong: format!("not found: {}", missing.join(", ")),
            todo: Some(
                "correct `ids` in [fleet.….base], and see whether `region` and the account are the \
                 instances' own"
                    .to_owned(),
            ),
        }
    }

    /// Asks for one instance at `place`, with every parameter and tag that a real launch would have.
    async fn launch(&mut self, fleet: &FleetConfig, place: &Place) -> CheckFinding {
        let intent = IntentId(uuid::Uuid::new_v4());
        let token: ClientToken = uuid::Uuid::new_v4().into();
        let now = self.asking.clock.now();
        let launch = plan::launch_of(&fleet.fleet, place, 1, intent, token, now);
        match within(self.asking.limit, self.cloud.probe_launch(&launch)).await {
            Ok(answer) => {
                self.refuses_launches =
                    answer.as_ref().is_err_and(|error| error.class == Class::Auth);
                CheckFinding::of(answer, "would be accepted (asked with DryRun)")
            }
            Err(silent) => silent,
        }
    }

    async fn backends(&self, group: &BackendGroup) -> CheckFinding {
        match within(self.asking.limit, self.cloud.backends(group)).await {
            Ok(Ok(found)) => {
                let count = u32::try_from(found.backends.len()).unwrap_or(u32::MAX);
                let count = plural(count, "backend");
                CheckFinding::Fine(format!("can be read, {count} on that port now"))
            }
            Ok(Err(error)) => CheckFinding::of(Err(error), ""),
            Err(silent) => silent,
        }
    }

    /// A signal from the provider's own monitoring, which is another server than the provider's.
    async fn signal(&mut self, signal: &SignalAsked<'a>) -> Option<CheckRow> {
        if self.monitor_is_silent {
            self.skipped += 1;
            return None;
        }
        let fleet = signal.fleet;
        if self.told.insert(&fleet.fleet.id) {
            let sources = &self.asking.sources[&fleet.fleet.id];
            let limit = self.asking.limit + self.listing(fleet);
            // A listing that does not come is told of elsewhere.
            drop(within(limit, monitor::tell(fleet, &*self.cloud, sources)).await);
        }
        let (row, is_silent) = source::alone(self.asking, signal).await;
        self.monitor_is_silent = is_silent;
        Some(row)
    }

    async fn excess(&self, name: &str, fleet: Option<&FleetConfig>) -> CheckRow {
        let fleet = fleet.filter(|_| !self.refuses_launches);
        let asked = permissions::excess(name, &*self.cloud, fleet, &*self.asking.clock);
        within(self.asking.limit * EXCESS_CALLS, asked).await.unwrap_or_else(|silent| {
            let what = Question::Excess(name, fleet).what();
            CheckRow::new(what, CheckFinding::Skipped(format!("not known: {}", silent.texts().0)))
        })
    }

    /// The time that all pages of the fleet's listing may take beside the first.
    fn listing(&self, fleet: &FleetConfig) -> Duration {
        let pages = f64::from(fleet.fleet.bounds.max / PAGE);
        Duration::try_from_secs_f64(pages / self.cloud.pages_per_second()).unwrap_or_default()
    }
}

/// The answer, or that there is none within `limit`.
async fn within<T>(limit: Duration, asked: impl Future<Output = T>) -> Result<T, CheckFinding> {
    let answer = tokio::time::timeout(limit, asked).await;
    answer.map_err(|_| CheckFinding::no_answer(limit, REACH))
}
