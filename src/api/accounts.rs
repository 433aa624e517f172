//! `/v1/places`, `/v1/budget`, `/v1/audit`: what fleets of an account share.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use cloud::Timestamp;

use super::Api;
use super::shape::{
    ActionView, AuditView, AuditsView, BudgetView, BudgetsView, PlaceView, PlacesView, at,
};
use crate::model::{Account, AccountId, Cold, Gate, Place, fingerprint};

/// Each account as the newest tick of one of its fleets knew it.
fn known(api: &Api) -> BTreeMap<AccountId, Arc<Account>> {
    let mut known: BTreeMap<AccountId, (Timestamp, Arc<Account>)> = BTreeMap::new();
    for member in api.world.fleets.all().iter() {
        let Some(report) = member.shown.newest().report else { continue };
        let newest = known.get(&report.account).is_none_or(|(at, _)| *at < report.at);
        if newest {
            known.insert(report.account.clone(), (report.at, report.shared.clone()));
        }
    }
    known.into_iter().map(|(id, (_, account))| (id, account)).collect()
}

/// The stock-out board: every place in which a fleet may launch, and whether it is left alone.
#[utoipa::path(get, path = "/v1/places", tag = "accounts", responses((status = 200, body = PlacesView)))]
pub(super) async fn places(State(api): State<Arc<Api>>) -> Json<PlacesView> {
    let now = api.world.clock.now();
    let known = known(&api);
    let mut places: BTreeMap<(AccountId, Place), PlaceView> = BTreeMap::new();
    for member in api.world.fleets.all().iter() {
        let fleet = &member.fleet;
        let spec = fingerprint(&fleet.launch.spec);
        for instance_type in &fleet.launch.instance_types {
            for vswitch in &fleet.launch.vswitches {
                let place =
                    Place { instance_type: instance_type.clone(), vswitch: vswitch.clone() };
                let of = || view(&fleet.account, known.get(&fleet.account), &place, &spec, now);
                let key = (fleet.account.clone(), place.clone());
                places.entry(key).or_insert_with(of).fleets.push(fleet.id.0.clone());
            }
        }
    }
    Json(PlacesView { places: places.into_values().collect() })
}

fn view(
    id: &AccountId,
    account: Option<&Arc<Account>>,
    place: &Place,
    spec: &str,
    now: Timestamp,
) -> PlaceView {
    let cold = account.and_then(|account| {
        let refused = account.refused.iter().filter(|(scope, _)| scope.covers(spec, place));
        let refused = refused.map(|(_, cold)| cold);
        refused.chain(account.cold.get(place)).max_by_key(|cold| cold.until)
    });
    let state = match (account, cold.map(|cold| cold.gate(now))) {
        (None, _) => "unknown",
        (Some(_), None | Some(Gate::Open)) => "open",
        (Some(_), Some(Gate::Probe)) => "tried_next",
        (Some(_), Some(Gate::Closed(_))) => "left_alone",
    };
    let cold: Option<&Cold> = cold.filter(|_| state != "open");
    PlaceView {
        account: id.0.clone(),
        instance_type: place.instance_type.clone(),
        vswitch: place.vswitch.clone(),
        fleets: Vec::new(),
        state: state.to_owned(),
        why: cold.map(|cold| cold.why.clone()),
        until: cold.map(|cold| at(cold.until)),
        failed_at: cold.map(|cold| at(cold.last)),
        failed_in_a_row: cold.map(|cold| cold.strikes),
    }
}

/// The cost of calls: by account, and by the provider's action.
#[utoipa::path(get, path = "/v1/budget", tag = "accounts", responses((status = 200, body = BudgetsView)))]
pub(super) async fn budget(State(api): State<Arc<Api>>) -> Json<BudgetsView> {
    let known = known(&api);
    let accounts = api.world.accounts.iter().map(|(id, account)| {
        let (budget, calls) = (account.meter.budget(), account.meter.calls());
        let all = budget.iter().find(|budget| budget.action == "*");
        let stop = known.get(id).and_then(|account| account.stop.as_ref());
        BudgetView {
            account: id.0.clone(),
            calls_last_minute: api.pace.last_minute(id, &*account.meter),
            calls_per_minute_max: all.map(|all| super::shape::rounded(all.per_second * 60.0)),
            launches_stopped: stop.map(|stop| stop.message.clone()),
            actions: budget.iter().map(|budget| ActionView::of(budget, &calls)).collect(),
        }
    });
    Json(BudgetsView { accounts: accounts.collect() })
}

/// The findings of the newest audits.
#[utoipa::path(get, path = "/v1/audit", tag = "accounts", responses((status = 200, body = AuditsView)))]
pub(super) async fn audits(State(api): State<Arc<Api>>) -> Json<AuditsView> {
    let audits = api.instruments.audits();
    let audits = audits.iter().map(|(account, findings)| AuditView::of(&account.0, findings));
    Json(AuditsView { audits: audits.collect() })
}
