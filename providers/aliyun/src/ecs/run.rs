//! RunInstances.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloud::{Class, Error, ErrorKind, InstanceId, Launch, Permit, Spot};
use serde::Deserialize;

use super::params::{put, put_list, put_some, put_tags};
use super::{Ecs, malformed};
use crate::call::CallAccess;
use crate::rpc::Params;
use crate::wire::{AtMost, Text};

const ACTION: &str = "RunInstances";

/// Launches, and counts the ids in the answer against the amount.
pub(super) async fn launch(
    ecs: &Ecs,
    permit: &Permit,
    launch: &Launch,
) -> Result<Vec<InstanceId>, Error> {
    let params = params(ecs, launch)?;
    let answer = ecs.caller.call(ACTION, CallAccess::Write(permit), &params).await?;
    // The call was accepted, so something was launched: without the ids only a look tells what.
    let malformed = |what: &str| malformed(ACTION, what, Class::Ambiguous);
    let launched: Launched = answer.read().map_err(|why| malformed(&why))?;
    let ids = launched.sets.ids.0.into_iter().map(|id| id.0.map(InstanceId));
    let ids: Option<Vec<InstanceId>> = ids.collect();
    let ids =
        ids.filter(|ids| !ids.is_empty()).ok_or_else(|| malformed("it has no instance ids"))?;
    let wanted = launch.amount as usize;
    if ids.len() != wanted {
        tracing::warn!(
            asked = wanted, got = ids.len(), client_token = %launch.token,
            "RunInstances gave {} of {wanted} instances", ids.len(),
        );
    }
    Ok(ids)
}

/// A call launches 100 at most.
const LAUNCHED_MOST: usize = 500;

#[derive(Deserialize)]
struct Launched {
    #[serde(rename = "InstanceIdSets", default)]
    sets: IdSets,
}

#[derive(Deserialize, Default)]
struct IdSets {
    #[serde(rename = "InstanceIdSet", default)]
    ids: AtMost<Text, LAUNCHED_MOST>,
}

/// All business parameters. Fails when the launch cannot be sent as it is.
pub(super) fn params(ecs: &Ecs, launch: &Launch) -> Result<Params, Error> {
    let not_sent = |why: &str| Error {
        action: ACTION.to_owned(),
        class: Class::Permanent,
        kind: ErrorKind::NotSent { why: why.to_owned() },
        status: None,
        request_id: None,
        attempts: 0,
    };
    if !(1..=100).contains(&launch.amount) || !(1..=launch.amount).contains(&launch.min_amount) {
        return Err(not_sent("the amount must be 1 to 100, and min_amount 1 to the amount"));
    }
    let spec = &launch.spec;
    let mut params = ecs.params();
    put(&mut params, "Amount", launch.amount);
    put(&mut params, "MinAmount", launch.min_amount);
    put(&mut params, "ClientToken", &launch.token);
    put(&mut params, "ImageId", &spec.image_id);
    put(&mut params, "InstanceType", &launch.instance_type);
    put(&mut params, "VSwitchId", &launch.vswitch);
    put_list(&mut params, "SecurityGroupIds", &spec.security_group_ids);
    put_some(&mut params, "InstanceName", spec.instance_name.as_ref());
    put_some(&mut params, "HostName", spec.host_name.as_ref());
    put_some(&mut params, "KeyPairName", spec.key_pair_name.as_ref());
    put_some(&mut params, "RamRoleName", spec.ram_role_name.as_ref());
    put_some(&mut params, "ResourceGroupId", spec.resource_group_id.as_ref());
    put_some(&mut params, "InternetMaxBandwidthOut", spec.internet_max_bandwidth_out.as_ref());
    if let Some(disk) = &spec.system_disk {
        put(&mut params, "SystemDisk.Category", &disk.category);
        put_some(&mut params, "SystemDisk.Size", disk.size_gib.as_ref());
        put_some(&mut params, "SystemDisk.PerformanceLevel", disk.performance_level.as_ref());
    }
    match &spec.spot {
        None => {}
        Some(Spot::AsPriceGo) => put(&mut params, "SpotStrategy", "SpotAsPriceGo"),
        Some(Spot::PriceLimit(limit)) => {
            put(&mut params, "SpotStrategy", "SpotWithPriceLimit");
            // At most three decimals are taken.
            put(&mut params, "SpotPriceLimit", format!("{limit:.3}"));
        }
    }
    if spec.deletion_protection {
        put(&mut params, "DeletionProtection", true);
    }
    if let Some(data) = &spec.user_data {
        let text = data
            .text()
            .ok_or_else(|| not_sent("its start script is not the configured one any more"))?;
        put(&mut params, "UserData", STANDARD.encode(text));
    }
    put_tags(&mut params, launch.tags.iter().map(|(key, value)| (key, Some(value))));
    Ok(params)
}
