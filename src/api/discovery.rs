//! `/v1/discovery/prometheus`: the instances as Prometheus's `http_sd_configs` wants them, so that a new
//! machine is scraped as soon as it runs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::{ErrorView, Refusal};
use super::shape::phase;
use super::{Api, Query};
use crate::control::FleetInWorld;
use crate::model::{Ownership, Phase};

/// node_exporter's.
const PORT: u16 = 9100;

#[derive(Debug, Deserialize, IntoParams)]
pub(super) struct Wanted {
    /// Only this fleet's instances
    fleet: Option<String>,
    /// The port that is scraped; 9100 where none is given
    port: Option<u16>,
}

/// Targets that have the same labels: one instance.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TargetGroup {
    /// `address:port`
    targets: Vec<String>,
    labels: BTreeMap<&'static str, String>,
}

/// Running instances as targets, in the form of Prometheus's HTTP service discovery.
#[utoipa::path(
    get, path = "/v1/discovery/prometheus", tag = "discovery", params(Wanted),
    responses((status = 200, body = Vec<TargetGroup>), (status = 404, body = ErrorView), (status = 503, body = ErrorView))
)]
pub(super) async fn prometheus(
    State(api): State<Arc<Api>>,
    Query(Wanted { fleet, port }): Query<Wanted>,
) -> Result<Json<Vec<TargetGroup>>, Refusal> {
    let members = match fleet {
        Some(name) => vec![api.fleet(&name)?],
        None => api.world.fleets.all().to_vec(),
    };
    let port = port.unwrap_or(PORT);
    let mut groups = Vec::new();
    for member in &members {
        // Prometheus keeps what it had when this fails; a fleet that is not known yet must not vanish.
        groups.extend(
            targets(member, port).ok_or_else(|| Refusal::not_seen_yet(&member.fleet.id.0))?,
        );
    }
    Ok(Json(groups))
}

/// `None` before the fleet was seen. The replica that acts for a fleet tells its instances, and no other.
fn targets(member: &FleetInWorld, port: u16) -> Option<Vec<TargetGroup>> {
    let newest = member.shown.newest();
    if newest.is_elsewhere {
        return Some(Vec::new());
    }
    let report = newest.report?;
    let groups = report.instances.iter().filter_map(|instance| {
        let listed = instance.listed.as_ref()?;
        let runs = matches!(
            instance.phase,
            Phase::Warming | Phase::InService | Phase::Draining | Phase::Standby | Phase::Failed
        );
        let address = SocketAddr::new(listed.private_ip.filter(|_| runs)?, port);
        let owner = match instance.ownership {
            Ownership::Managed => "managed",
            Ownership::Base => "base",
        };
        let labels = [
            ("__meta_fleetscaler_fleet", member.fleet.id.0.clone()),
            ("__meta_fleetscaler_instance", instance.id.0.clone()),
            ("__meta_fleetscaler_zone", listed.zone.clone()),
            ("__meta_fleetscaler_type", listed.instance_type.clone()),
            ("__meta_fleetscaler_phase", phase(instance.phase).to_owned()),
            ("__meta_fleetscaler_owner", owner.to_owned()),
            ("fleet", member.fleet.id.0.clone()),
        ];
        Some(TargetGroup { targets: vec![address.to_string()], labels: labels.into() })
    });
    Some(groups.collect())
}
