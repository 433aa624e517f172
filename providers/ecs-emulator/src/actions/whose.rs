//! `GetCallerIdentity` of STS: whose key it is that asks. Every key may.

use serde_json::{Value, json};

use crate::world::World;

pub(crate) const WHOSE: &str = "GetCallerIdentity";

pub(crate) fn whose(world: &World, key: &str) -> Value {
    let account = world.accounts.get(key).unwrap_or(&world.account);
    json!({
        "IdentityType": "RAMUser",
        "AccountId": account,
        "PrincipalId": "200000000000000001",
        "UserId": "200000000000000001",
        "Arn": format!("acs:ram::{account}:user/fleetscaler"),
    })
}
