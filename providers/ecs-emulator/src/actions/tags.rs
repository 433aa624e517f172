//! TagResources, UntagResources and ListTagResources.

use serde_json::{Value, json};

use super::Call;
use crate::answer::{ApiError, Outcome};
use crate::state::State;

/// The ids, all of existing instances.
fn resources(state: &State, call: &Call<'_>, required: bool) -> Result<Vec<String>, ApiError> {
    if call.required("ResourceType")? != "instance" {
        return Err(ApiError::invalid("ResourceType", "only instance is emulated"));
    }
    let ids = call.list("ResourceId");
    if required && ids.is_empty() {
        return Err(ApiError::missing("ResourceId.1"));
    }
    if ids.len() > 50 {
        return Err(ApiError::new(400, "NumberExceed.ResourceIds", "More than 50 ids."));
    }
    if ids.iter().any(|id| state.existing(id).is_none()) {
        return Err(ApiError::not_found("InvalidResourceId.NotFound", "ResourceId"));
    }
    Ok(ids)
}

pub(super) fn tag_resources(state: &mut State, call: &mut Call<'_>) -> Outcome {
    let ids = resources(state, call, true)?;
    let tags = call.tags();
    if tags.is_empty() {
        return Err(ApiError::missing("Tag.1.Key"));
    }
    if tags.len() > 20 {
        return Err(ApiError::new(400, "NumberExceed.Tags", "More than 20 tags."));
    }
    for id in &ids {
        let machine = state.existing(id).expect("checked above");
        let new = tags.iter().filter(|(key, _)| !machine.tags.contains_key(key)).count();
        if machine.tags.len() + new > 20 {
            return Err(ApiError::new(403, "QuotaExceed.Tags", "More than 20 tags."));
        }
    }
    for id in &ids {
        for (key, value) in &tags {
            state.instances.tag(id, key, value.as_deref().unwrap_or_default());
        }
    }
    Ok(json!({}))
}

pub(super) fn untag_resources(state: &mut State, call: &mut Call<'_>) -> Outcome {
    let ids = resources(state, call, true)?;
    let keys = call.list("TagKey");
    let all = call.is_true("All");
    if keys.is_empty() && !all {
        return Err(ApiError::missing("TagKey.1"));
    }
    for id in &ids {
        state.instances.untag(id, |key| keys.is_empty() || keys.iter().any(|goes| goes == key));
    }
    Ok(json!({}))
}

pub(super) fn list_tag_resources(state: &mut State, call: &mut Call<'_>) -> Outcome {
    let ids = resources(state, call, false)?;
    let wanted = call.tags();
    if ids.is_empty() && wanted.is_empty() {
        return Err(ApiError::missing("ResourceId.1"));
    }
    let (now, boot) = (state.now(), state.world.boot.0);
    let selected = state.instances.iter().filter(|machine| {
        let has = |(key, value): &(String, Option<String>)| {
            machine.tags.get(key).is_some_and(|got| value.as_ref().is_none_or(|v| v == got))
        };
        machine.status(now, boot).is_some()
            && now >= machine.tags_visible_at
            && (ids.is_empty() || ids.contains(&machine.id))
            && wanted.iter().all(has)
    });
    let rows: Vec<Value> = selected
        .flat_map(|machine| {
            machine.tags.iter().map(|(key, value)| {
                json!({
                    "ResourceType": "instance", "ResourceId": machine.id,
                    "TagKey": key, "TagValue": value,
                })
            })
        })
        .collect();
    Ok(json!({ "TagResources": { "TagResource": rows }, "NextToken": "" }))
}
