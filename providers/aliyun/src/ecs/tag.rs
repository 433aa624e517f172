//! TagResources.

use cloud::{Error, InstanceId, Permit, Tags};

use super::Ecs;
use super::params::{put, put_list, put_tags};
use crate::call::CallAccess;
use crate::rpc::Params;

/// TagResources takes 1 to 50 ids.
const BATCH: usize = 50;

pub(super) async fn tag(
    ecs: &Ecs,
    permit: &Permit,
    ids: &[InstanceId],
    tags: &Tags,
) -> Result<(), Error> {
    for ids in batches(ids) {
        let params = params(ecs, ids, tags);
        ecs.caller.call("TagResources", CallAccess::Write(permit), &params).await?;
    }
    Ok(())
}

pub(super) fn batches(ids: &[InstanceId]) -> impl Iterator<Item = &[InstanceId]> {
    ids.chunks(BATCH)
}

pub(super) fn params(ecs: &Ecs, ids: &[InstanceId], tags: &Tags) -> Params {
    let mut params = ecs.params();
    put(&mut params, "ResourceType", "instance");
    put_list(&mut params, "ResourceId", ids);
    put_tags(&mut params, tags.iter().map(|(key, value)| (key, Some(value))));
    params
}
