//! DescribePrice: what an hour costs.

use cloud::{Class, Error, Price};
use serde::Deserialize;

use super::params::put;
use super::{Ecs, malformed};
use crate::call::CallAccess;
use crate::wire::Text;

const ACTION: &str = "DescribePrice";

pub(super) async fn per_hour(ecs: &Ecs, instance_type: &str, zone: &str) -> Result<Price, Error> {
    let mut params = ecs.params();
    put(&mut params, "ResourceType", "instance");
    put(&mut params, "InstanceType", instance_type);
    put(&mut params, "ZoneId", zone);
    put(&mut params, "PriceUnit", "Hour");
    let answer = ecs.caller.call(ACTION, CallAccess::Read, &params).await?;
    let answer: Option<PriceAnswer> = answer.read().ok();
    answer.and_then(read).ok_or_else(|| {
        malformed(ACTION, "it has no usable TradePrice with its Currency", Class::Transient)
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PriceAnswer {
    price_info: PriceInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PriceInfo {
    price: Figures,
}

/// The documents show numbers, some answers have strings.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Figures {
    /// The price to pay, discounts included.
    #[serde(default)]
    trade_price: Text,
    #[serde(default)]
    currency: Text,
}

fn read(answer: PriceAnswer) -> Option<Price> {
    let Figures { trade_price, currency } = answer.price_info.price;
    let amount: f64 = trade_price.0?.trim().parse().ok()?;
    let is_a_price = f64::is_finite(amount) && amount >= 0.0;
    Some(Price { amount, currency: currency.0? }).filter(|_| is_a_price)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn priced(answer: &serde_json::Value) -> Option<Price> {
        read(serde_json::from_value(answer.clone()).expect("it has a price"))
    }

    #[test]
    fn a_price_is_read_from_numbers_and_from_strings_and_from_nothing_else() {
        for (trade, amount) in [
            (json!(0.65), Some(0.65)),
            (json!("0.65"), Some(0.65)),
            (json!(1), Some(1.0)),
            (json!("free"), None),
            (json!("NaN"), None),
            (json!(-1.0), None),
            (json!(null), None),
        ] {
            let answer = json!({ "PriceInfo": { "Price": {
                "Currency": "CNY", "OriginalPrice": 9.0, "TradePrice": trade,
            } } });
            assert_eq!(priced(&answer).map(|price| price.amount), amount, "{answer}");
        }
        assert_eq!(priced(&json!({ "PriceInfo": { "Price": { "TradePrice": 1.0 } } })), None);
    }
}
