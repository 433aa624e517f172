//! DescribePrice.

use serde_json::json;

use super::Call;
use crate::answer::{ApiError, Outcome};
use crate::state::State;
use crate::world::World;

pub(super) fn describe_price(state: &mut State, call: &mut Call<'_>) -> Outcome {
    let world = &state.world;
    if call.get("ResourceType").is_some_and(|kind| kind != "instance") {
        return Err(ApiError::invalid("ResourceType", "only instance is emulated"));
    }
    if call.get("PriceUnit").is_some_and(|unit| unit != "Hour") {
        return Err(ApiError::invalid("PriceUnit", "only Hour is emulated"));
    }
    let instance_type = call.required("InstanceType")?;
    if !world.instance_types.iter().any(|known| known == instance_type) {
        let message = "The specified InstanceType is not supported.";
        return Err(ApiError::new(400, "InvalidInstanceType.ValueNotSupported", message));
    }
    let zone = call.get("ZoneId");
    if zone.is_some_and(|zone| !world.zones.iter().any(|known| known == zone)) {
        return Err(ApiError::not_found("InvalidZoneId.NotFound", "ZoneId"));
    }
    let amount = f64::from(call.number("Amount", 1..=1_000, 1)?);
    let price = amount * per_hour(world, instance_type, zone.unwrap_or_default());
    Ok(json!({ "PriceInfo": {
        "Price": {
            "Currency": "CNY",
            "OriginalPrice": price,
            "DiscountPrice": 0.0,
            "TradePrice": price,
        },
        "Rules": { "Rule": [] },
    } }))
}

/// The world's own figure, or one that follows from the name: twice the size, twice the price.
fn per_hour(world: &World, instance_type: &str, zone: &str) -> f64 {
    let figure = world.prices.get(&format!("{zone}/{instance_type}"));
    if let Some(figure) = figure.or_else(|| world.prices.get(instance_type)) {
        return *figure;
    }
    let mut parts = instance_type.split('.').skip(1);
    let family = parts.next().unwrap_or_default();
    let size = parts.next().unwrap_or_default();
    // Computing, general purpose, memory: as their prices are to each other, roughly.
    let large = match family.as_bytes().first() {
        Some(b'c') => 0.4,
        Some(b'g') => 0.5,
        Some(b'r') => 0.65,
        _ => 0.45,
    };
    let times = match size.strip_suffix("xlarge") {
        Some("") => 2.0,
        Some(n) => 2.0 * n.parse().unwrap_or(1.0),
        None => 1.0,
    };
    large * times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_follow_from_the_name_unless_the_world_says_otherwise() {
        let mut world = World::default();
        let zone = "cn-hangzhou-h";
        for (instance_type, price) in
            [("ecs.c7.large", 0.4), ("ecs.g7.xlarge", 1.0), ("ecs.c7.4xlarge", 3.2)]
        {
            assert_eq!(per_hour(&world, instance_type, zone), price, "{instance_type}");
        }
        world.prices.insert("ecs.c7.large".to_owned(), 7.0);
        world.prices.insert("cn-hangzhou-h/ecs.c7.large".to_owned(), 8.0);
        assert_eq!(per_hour(&world, "ecs.c7.large", zone), 8.0);
        assert_eq!(per_hour(&world, "ecs.c7.large", "cn-hangzhou-i"), 7.0);
    }
}
