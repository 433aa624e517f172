//! DescribeAvailableResource: where a type is on sale. A hint, not a reservation.

use cloud::{Class, Error, Offer, Stock};
use serde::Deserialize;

use super::params::put;
use super::{Ecs, malformed};
use crate::call::CallAccess;
use crate::wire::{AtMost, Text, or_default};

const ACTION: &str = "DescribeAvailableResource";

pub(super) async fn offers(ecs: &Ecs, instance_type: &str) -> Result<Vec<Offer>, Error> {
    let mut params = ecs.params();
    put(&mut params, "DestinationResource", "InstanceType");
    put(&mut params, "IoOptimized", "optimized");
    put(&mut params, "NetworkCategory", "vpc");
    put(&mut params, "InstanceType", instance_type);
    let answer = ecs.caller.call(ACTION, CallAccess::Read, &params).await?;
    let answer: StockAnswer = answer.read().map_err(|why| {
        let what = format!("not a list of zones: {why}");
        malformed(ACTION, &what, Class::Transient)
    })?;
    let mut offers = Vec::new();
    for zone in answer.zones.list.0 {
        let Some(id) = zone.zone_id.0 else { continue };
        let resources = zone.resources.list.0.into_iter();
        for offered in resources.flat_map(|resource| resource.supported.list.0) {
            if offered.value.0.as_deref() == Some(instance_type) {
                offers.push(Offer {
                    zone: id.clone(),
                    instance_type: instance_type.to_owned(),
                    stock: stock(&offered),
                });
            }
        }
    }
    Ok(offers)
}

/// A region has a dozen zones at most.
const ZONES_MOST: usize = 50;
/// One kind of resource is asked for.
const RESOURCES_MOST: usize = 8;
/// One type is asked for.
const TYPES_MOST: usize = 500;

#[derive(Deserialize)]
struct StockAnswer {
    #[serde(rename = "AvailableZones", default, deserialize_with = "or_default")]
    zones: Zones,
}

#[derive(Deserialize, Default)]
struct Zones {
    #[serde(rename = "AvailableZone", default)]
    list: AtMost<ZoneStock, ZONES_MOST>,
}

#[derive(Deserialize)]
struct ZoneStock {
    #[serde(rename = "ZoneId", default)]
    zone_id: Text,
    #[serde(rename = "AvailableResources", default, deserialize_with = "or_default")]
    resources: Resources,
}

#[derive(Deserialize, Default)]
struct Resources {
    #[serde(rename = "AvailableResource", default)]
    list: AtMost<Resource, RESOURCES_MOST>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(rename = "SupportedResources", default, deserialize_with = "or_default")]
    supported: Supported,
}

#[derive(Deserialize, Default)]
struct Supported {
    #[serde(rename = "SupportedResource", default)]
    list: AtMost<Offered, TYPES_MOST>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Offered {
    value: Text,
    status: Text,
    status_category: Text,
}

fn stock(offered: &Offered) -> Stock {
    match (offered.status_category.0.as_deref(), offered.status.0.as_deref()) {
        (Some("WithStock"), _) => Stock::Available,
        (Some("ClosedWithStock"), _) => Stock::Low,
        (Some("WithoutStock"), _) => Stock::SoldOut,
        (Some(_), _) => Stock::Closed,
        (None, Some("Available")) => Stock::Available,
        (None, _) => Stock::SoldOut,
    }
}
