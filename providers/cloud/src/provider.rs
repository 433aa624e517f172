//! The contract of a provider.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::limit::ActionBudget;
use crate::{
    BackendChange, BackendGroup, Backends, Class, Error, ErrorKind, FreeCalls, Instance,
    InstanceId, Launch, MetricPoint, MetricQuery, Permit, TagFilter, Tags, Terminate, Timestamp,
};

/// Why a read is made: where calls wait for the rate limit, those that somebody acts on go first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Urgency {
    /// Something is done on the answer at once.
    #[default]
    Act,
    /// Nothing waits for it but the next look.
    Look,
}

/// Whose key signs the calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signer {
    /// The provider's id of the account; `None` where the provider could not be asked for it.
    pub account: Option<String>,
    /// Differs from one key to the next and tells nothing else of it; `None` for temporary keys, which
    /// change by themselves.
    pub key: Option<String>,
}

/// Counts the pages of a listing as they arrive, so that others who wait for it see that it goes on.
#[derive(Debug, Default)]
pub struct Pages(AtomicU32);

impl Pages {
    /// One more page has arrived.
    pub fn arrived(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many have arrived so far.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Reads. None of them changes anything, so all of them may be repeated.
///
/// Every method fails with `Throttled`, `Transient`, `Auth` or `Permanent`, and with `Ambiguous`
/// never: a read whose answer was lost is `Transient`.
#[async_trait]
pub trait Observe: Debug + Send + Sync {
    /// Every instance that carries all tags of `filter`, all pages, in no particular order. Each
    /// page that arrives is counted in `pages`.
    ///
    /// An instance launched or tagged a moment ago may be missing: listings lag. A success means
    /// that every page was read; a listing is never silently short.
    async fn listing(
        &self,
        filter: &TagFilter,
        urgency: Urgency,
        pages: &Pages,
    ) -> Result<Vec<Instance>, Error>;

    /// The same for a caller who acts on it and does not follow its pages.
    async fn instances_by_tags(&self, filter: &TagFilter) -> Result<Vec<Instance>, Error> {
        self.listing(filter, Urgency::Act, &Pages::default()).await
    }

    /// How many pages of listings a second the rate limit lets through.
    fn pages_per_second(&self) -> f64;

    /// Those of `ids` that exist, in no particular order; an id that is gone (or not visible yet)
    /// is absent from the result. With no ids it returns nothing and sends nothing.
    async fn instances_by_ids(&self, ids: &[InstanceId]) -> Result<Vec<Instance>, Error>;

    /// Asks whether these credentials may list instances, without listing any. `Ok` means yes.
    ///
    /// A listing that answers "none" may only mean "not permitted": this probe tells the two
    /// apart.
    async fn probe_list(&self) -> Result<(), Error>;

    /// Asks whether `launch` (for one instance) would be accepted: credentials, parameters,
    /// stock. `Ok` means yes, and nothing was launched.
    async fn probe_launch(&self, launch: &Launch) -> Result<(), Error>;

    /// Asks whether these credentials may end the instance `id` in this way. `Ok` means yes, and
    /// nothing was ended.
    async fn probe_end(&self, id: &InstanceId, how: Terminate) -> Result<(), Error>;

    /// The actions that these credentials may take on instances that are none of ours, in words such as `delete`.
    /// It is asked about an instance that does not exist, so nothing can be changed by it.
    async fn excess(&self) -> Result<Vec<&'static str>, Error>;

    /// Whose key signs the calls. `reread`: the key is read from its source anew, where that was not
    /// done in the last seconds. Fails only where there is no key.
    async fn signer(&self, _reread: bool) -> Result<Signer, Error> {
        Ok(Signer::default())
    }

    /// From now on calls are sent for this account only: a key that is known to belong to another one
    /// signs nothing (then: `Auth`, kind `OtherAccount`). Where it is not known whose a key is, calls
    /// go on.
    fn expect_account(&self, _account: &str) {}

    /// The backends of `group`, on its port, whoever put them there; all pages. A success means that
    /// every page was read.
    async fn backends(&self, group: &BackendGroup) -> Result<Backends, Error>;

    /// The newest point of `query` of each of `ids` that has one: who is absent has no data, which is
    /// not 0. With no ids it returns nothing and sends nothing. A provider without metrics refuses.
    async fn metric(
        &self,
        query: &MetricQuery,
        _ids: &[InstanceId],
    ) -> Result<Vec<MetricPoint>, Error> {
        Err(Error {
            action: query.metric.clone(),
            class: Class::Permanent,
            kind: ErrorKind::NotSent { why: "this provider has no metrics".to_owned() },
            status: None,
            request_id: None,
            attempts: 0,
        })
    }

    /// Where `instance_type` is on sale, by zone. A hint, not a reservation.
    async fn offers(&self, instance_type: &str) -> Result<Vec<Offer>, Error>;

    /// The price of an instance of `instance_type` in `zone`, pay-as-you-go, with the provider's
    /// default system disk. Discounts of the account are in it.
    async fn price_per_hour(&self, instance_type: &str, zone: &str) -> Result<Price, Error>;
}

/// Writes. Each needs a [`Permit`] and sends nothing at or after its `send_before`
/// (then: `Permanent`, kind `NotSent`).
///
/// `Ambiguous` means that the effect may have happened, by any attempt of this call: what a later
/// attempt was told (it is in the error's kind) does not undo it. All other classes mean that it
/// did not happen, except where a method says otherwise. `Throttled` with kind `NotSent`: the rate
/// limit would not let it through in time, come back after `retry_after`.
#[async_trait]
pub trait Mutate: Debug + Send + Sync {
    /// Until when this kind of mutation would be refused for being asked too often, if so: then it
    /// need not be tried. `None` where nobody can tell.
    fn closed_until(&self, _mutation: &Mutation) -> Option<Timestamp> {
        None
    }

    /// Launches `launch.min_amount..=launch.amount` instances and returns their ids.
    ///
    /// After `Ok` the ids are *accepted*: they may not be listed yet, and may still vanish if the
    /// capacity turns out to be missing. The same launch (same token, same parameters) may be
    /// repeated for half an hour and answers with the same ids. `NoCapacity`: this type is sold
    /// out in this zone, use another and a **new** token.
    async fn launch(&self, permit: &Permit, launch: &Launch) -> Result<Vec<InstanceId>, Error>;

    /// Sets `tags` on every instance of `ids`, overwriting equal keys. May be repeated.
    /// Above the provider's batch size several calls are made; a failure of a later one leaves
    /// the earlier ones done.
    async fn tag(&self, permit: &Permit, ids: &[InstanceId], tags: &Tags) -> Result<(), Error>;

    /// Begins to start stopped instances. One result per id. May be repeated.
    async fn start(
        &self,
        permit: &Permit,
        ids: &[InstanceId],
    ) -> Result<Vec<InstanceResult>, Error>;

    /// Begins to stop running instances, the operating system first. One result per id. May be
    /// repeated.
    async fn stop(&self, permit: &Permit, ids: &[InstanceId])
    -> Result<Vec<InstanceResult>, Error>;

    /// Begins to release instances: after `Ok` for an id it will disappear within minutes. One
    /// result per id; an id that is already gone has reached the goal (`Ok`). May be repeated.
    ///
    /// [`Terminate::StopThenDelete`] deletes instances that are stopped already and refuses
    /// (`Conflict`) those that are not: the stop is a call of its own.
    async fn delete(
        &self,
        permit: &Permit,
        ids: &[InstanceId],
        how: Terminate,
    ) -> Result<Vec<InstanceResult>, Error>;

    /// Changes backends of `group`. One result per id; a change that is done already is `Ok`. After
    /// `Ok` it may still be under way. May be repeated. `Conflict`: another change is under way, or the
    /// balancer is busy.
    async fn route(
        &self,
        permit: &Permit,
        group: &BackendGroup,
        ids: &[InstanceId],
        change: BackendChange,
    ) -> Result<Vec<InstanceResult>, Error>;
}

/// Says how much of its rate limits a provider has used, and what came of its calls. Cheap: it asks
/// nobody.
pub trait Meter: Debug + Send + Sync {
    /// Every action asked for so far, and the account as a whole under `*`.
    fn budget(&self) -> Vec<ActionBudget>;

    /// Attempts that were sent, by action and by outcome: `ok` or the name of a
    /// [`Class`].
    fn calls(&self) -> Vec<(String, &'static str, u64)>;

    /// The calls to metrics of this month; `None` where none was made, or none is counted.
    fn metric_calls(&self) -> Option<FreeCalls> {
        None
    }
}

/// Says what a mutation would send, to the byte, without sending it.
pub trait Preview: Debug + Send + Sync {
    /// The calls in the order in which they would be sent. Secrets and signatures are elided.
    fn preview(&self, mutation: &Mutation) -> Vec<PlannedCall>;
}

/// A mutation as a value: what the journal records and a dry run prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Mutation {
    Launch(Box<Launch>),
    Tag { ids: Vec<InstanceId>, tags: Tags },
    Start { ids: Vec<InstanceId> },
    Stop { ids: Vec<InstanceId> },
    Delete { ids: Vec<InstanceId>, how: Terminate },
    Route { group: BackendGroup, ids: Vec<InstanceId>, change: BackendChange },
}

impl Mutation {
    /// The existing instances that it changes.
    #[must_use]
    pub fn ids(&self) -> &[InstanceId] {
        match self {
            Mutation::Launch(_) => &[],
            Mutation::Tag { ids, .. }
            | Mutation::Start { ids }
            | Mutation::Stop { ids }
            | Mutation::Delete { ids, .. }
            | Mutation::Route { ids, .. } => ids,
        }
    }
}

/// One call as it would be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedCall {
    /// `POST`.
    pub method: String,
    /// Scheme, host and path.
    pub url: String,
    /// The provider's name of the action.
    pub action: String,
    /// Query parameters in order, values as they would be sent before percent-encoding; a value
    /// that is secret or made at sending time reads `<...>`.
    pub query: Vec<(String, String)>,
    /// Form parameters in order, likewise.
    pub form: Vec<(String, String)>,
    /// Headers that carry the signature or the version, likewise.
    pub headers: BTreeMap<String, String>,
}

/// The outcome for one instance of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceResult {
    pub id: InstanceId,
    pub result: Result<(), Error>,
}

/// Whether one type can be had in one zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    pub zone: String,
    pub instance_type: String,
    pub stock: Stock,
}

/// An amount of money. Prices are compared and added up, not paid from here: a float is exact
/// enough.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// Finite and not negative.
    pub amount: f64,
    /// Such as `CNY`.
    pub currency: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stock {
    Available,
    Low,
    SoldOut,
    /// Not offered here, or not any more.
    Closed,
}
