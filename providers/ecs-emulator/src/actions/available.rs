//! DescribeAvailableResource, DescribeRegions and DescribeZones.

use serde_json::{Value, json};

use super::Call;
use crate::answer::Outcome;
use crate::state::State;

pub(super) fn describe_available_resource(state: &mut State, call: &mut Call<'_>) -> Outcome {
    call.required("DestinationResource")?;
    let world = &state.world;
    let wanted = |name: &str, value: &str| call.get(name).is_none_or(|wanted| wanted == value);
    let resource = |zone: &str, instance_type: &str| {
        let stock = world.stock.get(&format!("{zone}/{instance_type}")).copied();
        let stock = if state.lost_zones.contains(zone) { Some(0) } else { stock };
        let (status, category) = match stock {
            Some(0) => ("SoldOut", "WithoutStock"),
            // A handful is "low".
            Some(1..=4) => ("Available", "ClosedWithStock"),
            _ => ("Available", "WithStock"),
        };
        json!({ "Value": instance_type, "Status": status, "StatusCategory": category })
    };
    let zones: Vec<Value> = world
        .zones
        .iter()
        .filter(|zone| wanted("ZoneId", zone))
        .map(|zone| {
            let types = world.instance_types.iter().filter(|t| wanted("InstanceType", t));
            let supported: Vec<Value> = types.map(|t| resource(zone, t)).collect();
            json!({
                "RegionId": world.region, "ZoneId": zone,
                "Status": "Available", "StatusCategory": "WithStock",
                "AvailableResources": { "AvailableResource": [{
                    "Type": "InstanceType",
                    "SupportedResources": { "SupportedResource": supported },
                }] },
            })
        })
        .collect();
    Ok(json!({ "AvailableZones": { "AvailableZone": zones } }))
}

pub(super) fn describe_regions(state: &mut State) -> Outcome {
    let region = &state.world.region;
    Ok(json!({ "Regions": { "Region": [{
        "RegionId": region, "LocalName": region, "RegionEndpoint": format!("ecs.{region}.aliyuncs.com"),
    }] } }))
}

pub(super) fn describe_zones(state: &mut State) -> Outcome {
    let world = &state.world;
    let zones: Vec<Value> = world
        .zones
        .iter()
        .map(|zone| {
            json!({
                "ZoneId": zone, "LocalName": zone, "ZoneType": "AvailabilityZone",
                "AvailableInstanceTypes": { "InstanceTypes": world.instance_types },
            })
        })
        .collect();
    Ok(json!({ "Zones": { "Zone": zones } }))
}
