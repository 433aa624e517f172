//! DescribePrice: what an hour costs.

use cloud::{Class, Error, Price};
use serde_json::Value;

use super::params::put;
use super::{Ecs, malformed};
use crate::call::Access;

const ACTION: &str = "DescribePrice";

pub(super) async fn per_hour(ecs: &Ecs, instance_type: &str, zone: &str) -> Result<Price, Error> {
    let mut params = ecs.params();
    put(&mut params, "ResourceType", "instance");
    put(&mut params, "InstanceType", instance_type);
    put(&mut params, "ZoneId", zone);
    put(&mut params, "PriceUnit", "Hour");
    let answer = ecs.caller.call(ACTION, Access::Read, &params).await?;
    read(&answer.value).ok_or_else(|| {
        malformed(ACTION, "it has no usable TradePrice with its Currency", Class::Transient)
    })
}

fn read(answer: &Value) -> Option<Price> {
    let price = answer.pointer("/PriceInfo/Price")?;
    // What is paid, discounts included; the documents show numbers, some answers have strings.
    let amount = match price.get("TradePrice")? {
        Value::String(text) => text.trim().parse().ok()?,
        number => number.as_f64()?,
    };
    let currency = price.get("Currency")?.as_str().filter(|currency| !currency.is_empty())?;
    let is_a_price = f64::is_finite(amount) && amount >= 0.0;
    is_a_price.then(|| Price { amount, currency: currency.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
            assert_eq!(read(&answer).map(|price| price.amount), amount, "{answer}");
        }
        assert_eq!(read(&json!({ "PriceInfo": { "Price": { "TradePrice": 1.0 } } })), None);
    }
}
