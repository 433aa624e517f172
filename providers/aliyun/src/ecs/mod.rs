//! The ECS actions, behind the traits that every provider has.

mod balancers;
mod describe;
mod end;
mod monitor;
mod params;
mod price;
mod probe;
mod run;
mod stock;
mod tag;

pub use monitor::METRIC_CALLS_FREE;

use std::sync::Arc;

use async_trait::async_trait;
use cloud::limit::ActionBudget;
use cloud::{
    BackendChange, BackendGroup, Backends, Class, Clock, Error, ErrorKind, FreeCalls, Instance,
    InstanceId, InstanceResult, Launch, Meter, MetricPoint, MetricQuery, Mutate, Mutation, Observe,
    Offer, Pages, Permit, PlannedCall, Preview, Price, Signer, TagFilter, Tags, Terminate,
    Timestamp, Urgency,
};

use crate::call::{Api, CallAccess, Caller, is_dry_run_success};
use crate::rpc::Params;
use crate::settings::{Seams, Settings, SettingsError};

/// One account in one region.
#[derive(Debug)]
pub struct Ecs {
    caller: Caller,
    region: String,
    /// Filters by tag that are known to select more than the vendor's filters cover.
    beyond: describe::BeyondFilters,
    monitored: monitor::Month,
}

impl Ecs {
    /// Asks nothing of the network.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, SettingsError> {
        let seams = settings.seams()?;
        Ecs::with_seams(settings, clock, seams)
    }

    /// The same over another transport, a cloud in this process, and with other dice: equal seeds,
    /// equal runs.
    pub fn with_seams(
        settings: Settings,
        clock: Arc<dyn Clock>,
        seams: Seams,
    ) -> Result<Self, SettingsError> {
        Ok(Ecs {
            caller: Caller::new(&settings, clock, seams)?,
            region: settings.region,
            beyond: describe::BeyondFilters::default(),
            monitored: monitor::Month::default(),
        })
    }

    /// The business parameters of an action begin with the region.
    fn params(&self) -> Params {
        vec![("RegionId".to_owned(), self.region.clone())]
    }

    /// Whether the request would succeed.
    async fn probe(&self, action: &str, mut params: Params) -> Result<(), Error> {
        params.push(("DryRun".to_owned(), "true".to_owned()));
        match self.caller.call(action, CallAccess::Read, &params).await {
            Ok(_) => Ok(()),
            Err(error) if is_dry_run_success(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// An answer without a field that it must have. A write may have happened all the same.
fn malformed(action: &str, what: &str, class: Class) -> Error {
    Error {
        action: action.to_owned(),
        class,
        kind: ErrorKind::BadAnswer { what: what.to_owned(), head: String::new() },
        status: None,
        request_id: None,
        attempts: 1,
    }
}

#[async_trait]
impl Observe for Ecs {
    async fn listing(
        &self,
        filter: &TagFilter,
        urgency: Urgency,
        pages: &Pages,
    ) -> Result<Vec<Instance>, Error> {
        describe::by_tags(self, filter, urgency, pages).await
    }

    fn pages_per_second(&self) -> f64 {
        self.caller.per_second(describe::ACTION)
    }

    async fn instances_by_ids(&self, ids: &[InstanceId]) -> Result<Vec<Instance>, Error> {
        describe::by_ids(self, ids).await
    }

    async fn probe_list(&self) -> Result<(), Error> {
        self.probe("DescribeInstances", self.params()).await
    }

    async fn probe_launch(&self, launch: &Launch) -> Result<(), Error> {
        // A dry run is limited to one instance.
        let one = Launch { amount: 1, min_amount: 1, ..launch.clone() };
        self.probe("RunInstances", run::params(self, &one)?).await
    }

    async fn probe_end(&self, id: &InstanceId, how: Terminate) -> Result<(), Error> {
        probe::end(self, id, how).await
    }

    async fn excess(&self) -> Result<Vec<&'static str>, Error> {
        probe::excess(self).await
    }

    async fn signer(&self, reread: bool) -> Result<Signer, Error> {
        self.caller.signer(reread).await
    }

    fn expect_account(&self, account: &str) {
        self.caller.expect_account(account);
    }

    async fn backends(&self, group: &BackendGroup) -> Result<Backends, Error> {
        balancers::backends(self, group).await
    }

    async fn metric(
        &self,
        query: &MetricQuery,
        ids: &[InstanceId],
    ) -> Result<Vec<MetricPoint>, Error> {
        monitor::newest(self, query, ids).await
    }

    async fn offers(&self, instance_type: &str) -> Result<Vec<Offer>, Error> {
        stock::offers(self, instance_type).await
    }

    async fn price_per_hour(&self, instance_type: &str, zone: &str) -> Result<Price, Error> {
        price::per_hour(self, instance_type, zone).await
    }
}

#[async_trait]
impl Mutate for Ecs {
    fn closed_until(&self, mutation: &Mutation) -> Option<Timestamp> {
        self.caller.closed_until(match mutation {
            Mutation::Launch(_) => "RunInstances",
            Mutation::Tag { .. } => "TagResources",
            Mutation::Start { .. } => "StartInstances",
            Mutation::Stop { .. } => "StopInstances",
            Mutation::Delete { .. } => "DeleteInstances",
            Mutation::Route { group, change, .. } => balancers::action(group, *change),
        })
    }

    async fn launch(&self, permit: &Permit, launch: &Launch) -> Result<Vec<InstanceId>, Error> {
        run::launch(self, permit, launch).await
    }

    async fn tag(&self, permit: &Permit, ids: &[InstanceId], tags: &Tags) -> Result<(), Error> {
        tag::tag(self, permit, ids, tags).await
    }

    async fn start(
        &self,
        permit: &Permit,
        ids: &[InstanceId],
    ) -> Result<Vec<InstanceResult>, Error> {
        end::start(self, permit, ids).await
    }

    async fn stop(
        &self,
        permit: &Permit,
        ids: &[InstanceId],
    ) -> Result<Vec<InstanceResult>, Error> {
        end::stop(self, permit, ids).await
    }

    async fn delete(
        &self,
        permit: &Permit,
        ids: &[InstanceId],
        how: Terminate,
    ) -> Result<Vec<InstanceResult>, Error> {
        end::delete(self, permit, ids, how).await
    }

    async fn route(
        &self,
        permit: &Permit,
        group: &BackendGroup,
        ids: &[InstanceId],
        change: BackendChange,
    ) -> Result<Vec<InstanceResult>, Error> {
        Ok(balancers::route(self, permit, group, ids, change).await)
    }
}

impl Meter for Ecs {
    fn budget(&self) -> Vec<ActionBudget> {
        self.caller.budget()
    }

    fn calls(&self) -> Vec<(String, &'static str, u64)> {
        self.caller.calls()
    }

    fn metric_calls(&self) -> Option<FreeCalls> {
        monitor::used(self)
    }
}

impl Preview for Ecs {
    fn preview(&self, mutation: &Mutation) -> Vec<PlannedCall> {
        let call = |action: &str, params: &Params| self.caller.preview(Api::Ecs, action, params);
        match mutation {
            Mutation::Launch(launch) => match run::params(self, launch) {
                Ok(params) => vec![call("RunInstances", &params)],
                Err(_) => Vec::new(),
            },
            Mutation::Tag { ids, tags } => tag::batches(ids)
                .map(|ids| call("TagResources", &tag::params(self, ids, tags)))
                .collect(),
            Mutation::Start { ids } => end::batches(ids)
                .map(|ids| call("StartInstances", &end::start_params(self, ids)))
                .collect(),
            Mutation::Stop { ids } => end::batches(ids)
                .map(|ids| call("StopInstances", &end::stop_params(self, ids)))
                .collect(),
            Mutation::Delete { ids, how } => end::batches(ids)
                .map(|ids| {
                    let token = "<client token, from the intent>";
                    call("DeleteInstances", &end::delete_params(self, ids, *how, token))
                })
                .collect(),
            Mutation::Route { group, ids, change } => balancers::preview(self, group, ids, *change),
        }
    }
}
