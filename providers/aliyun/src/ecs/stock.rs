//! DescribeAvailableResource: where a type is on sale. A hint, not a reservation.

use cloud::{Error, Offer, Stock};
use serde_json::Value;

use super::Ecs;
use super::params::put;
use crate::call::Access;

pub(super) async fn offers(ecs: &Ecs, instance_type: &str) -> Result<Vec<Offer>, Error> {
    let mut params = ecs.params();
    put(&mut params, "DestinationResource", "InstanceType");
    put(&mut params, "IoOptimized", "optimized");
    put(&mut params, "NetworkCategory", "vpc");
    put(&mut params, "InstanceType", instance_type);
    let answer = ecs.caller.call("DescribeAvailableResource", Access::Read, &params).await?;
    let zones = answer.value.pointer("/AvailableZones/AvailableZone").and_then(Value::as_array);
    let mut offers = Vec::new();
    for zone in zones.into_iter().flatten() {
        let Some(id) = zone.get("ZoneId").and_then(Value::as_str) else { continue };
        let resources = list(zone, "/AvailableResources/AvailableResource");
        let supported = resources.flat_map(|r| list(r, "/SupportedResources/SupportedResource"));
        for resource in supported {
            if resource.get("Value").and_then(Value::as_str) == Some(instance_type) {
                offers.push(Offer {
                    zone: id.to_owned(),
                    instance_type: instance_type.to_owned(),
                    stock: stock(resource),
                });
            }
        }
    }
    Ok(offers)
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn stock(resource: &Value) -> Stock {
    let text = |key: &str| resource.get(key).and_then(Value::as_str);
    match (text("StatusCategory"), text("Status")) {
        (Some("WithStock"), _) => Stock::Available,
        (Some("ClosedWithStock"), _) => Stock::Low,
        (Some("WithoutStock"), _) => Stock::SoldOut,
        (Some(_), _) => Stock::Closed,
        (None, Some("Available")) => Stock::Available,
        (None, _) => Stock::SoldOut,
    }
}
