//! The permissions of a key, by a RAM policy as it is attached to a user: actions, resources, and the
//! conditions on tags.
//!
//! Only what policies of autoscalers use: `StringEquals` and `StringLike` on `acs:RequestTag/…`,
//! `acs:ResourceTag/…` and `acs:Service`. A condition that is not known is never met.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::actions::Call;
use crate::answer::ApiError;
use crate::state::State;

type Tags = BTreeMap<String, String>;

/// One thing that a call needs to be allowed.
struct Need {
    action: String,
    /// Such as `acs:ecs:cn-hangzhou:1:instance/i-1`.
    resource: String,
    /// Tags in the request, and of the resource.
    request: Tags,
    tagged: Tags,
}

/// Refuses a call that the world's policy does not allow.
pub(crate) fn authorize(state: &State, call: &Call<'_>) -> Result<(), ApiError> {
    let Some(policy) = &state.world.policy else { return Ok(()) };
    let statements = policy.get("Statement").and_then(Value::as_array);
    let statements: Vec<&Value> = statements.into_iter().flatten().collect();
    for need in needs(state, call) {
        let of = |effect: &str| {
            statements.iter().any(|statement| {
                statement.get("Effect").and_then(Value::as_str) == Some(effect)
                    && applies(statement, &need)
            })
        };
        if of("Deny") || !of("Allow") {
            let message = format!(
                "User not authorized to operate on the specified resource: {} on {}.",
                need.action, need.resource
            );
            return Err(ApiError::new(403, "Forbidden.RAM", message));
        }
    }
    Ok(())
}

fn needs(state: &State, call: &Call<'_>) -> Vec<Need> {
    let prefix = crate::api_prefix(call.version).unwrap_or("ecs");
    let action = format!("{prefix}:{}", call.action);
    let ecs = |what: &str| format!("acs:ecs:{}:1:{what}", state.world.region);
    let vpc = |what: &str| format!("acs:vpc:{}:1:{what}", state.world.region);
    let request: Tags =
        call.tags().into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect();
    let need = |resource: String, tagged: Tags| Need {
        action: action.clone(),
        resource,
        request: request.clone(),
        tagged,
    };
    let mut needs: Vec<Need> = match call.action {
        "RunInstances" => {
            let text = |name: &str| call.parameters.get(name).cloned().unwrap_or_default();
            let groups = call.list("SecurityGroupIds").into_iter();
            let mut resources: Vec<String> =
                groups.map(|id| ecs(&format!("securitygroup/{id}"))).collect();
            resources.extend([
                ecs("instance/*"),
                ecs(&format!("image/{}", text("ImageId"))),
                vpc(&format!("vswitch/{}", text("VSwitchId"))),
            ]);
            if call.parameters.contains_key("KeyPairName") {
                resources.push(ecs(&format!("keypair/{}", text("KeyPairName"))));
            }
            resources.into_iter().map(|resource| need(resource, Tags::new())).collect()
        }
        _ if prefix != "ecs" => vec![need("*".to_owned(), Tags::new())],
        action if action.starts_with("Describe") => vec![need("*".to_owned(), Tags::new())],
        _ => {
            let mut ids = call.list("InstanceId");
            ids.extend(call.list("ResourceId"));
            ids.extend(call.parameters.get("InstanceId").cloned());
            let tags = |id: &str| state.existing(id).map(|m| (*m.tags).clone()).unwrap_or_default();
            ids.iter().map(|id| need(ecs(&format!("instance/{id}")), tags(id))).collect()
        }
    };
    if let Some(role) = call.parameters.get("RamRoleName") {
        let role = need(format!("acs:ram::1:role/{role}"), Tags::new());
        needs.push(Need { action: "ram:PassRole".to_owned(), ..role });
    }
    needs
}

fn applies(statement: &Value, need: &Need) -> bool {
    let lists = |key: &str, wanted: &str| {
        texts(statement.get(key)).iter().any(|pattern| like(pattern, wanted))
    };
    let conditions = statement.get("Condition").and_then(Value::as_object);
    lists("Action", &need.action)
        && lists("Resource", &need.resource)
        && conditions.into_iter().flatten().all(|(operator, keys)| {
            let keys = keys.as_object().into_iter().flatten();
            keys.into_iter().all(|(key, values)| is_met(operator, key, &texts(Some(values)), need))
        })
}

fn is_met(operator: &str, key: &str, values: &[&str], need: &Need) -> bool {
    let found = match key.split_once('/') {
        Some(("acs:RequestTag", tag)) => need.request.get(tag),
        Some(("acs:ResourceTag" | "ecs:tag", tag)) => need.tagged.get(tag),
        // The role is handed to instances.
        _ if key == "acs:Service" => {
            return need.action == "ram:PassRole" && values.contains(&"ecs.aliyuncs.com");
        }
        _ => None,
    };
    let Some(found) = found else { return false };
    values.iter().any(|value| match operator {
        "StringEquals" => value == found,
        "StringLike" => like(value, found),
        _ => false,
    })
}

/// A text, or a list of them.
fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(text)) => vec![text],
        _ => Vec::new(),
    }
}

/// Whether `text` fits `pattern`, in which each `*` stands for anything.
fn like(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(head) else { return false };
    if rest.is_empty() {
        return true;
    }
    text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| like(rest, &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, wanted) in [
            ("*", "", true),
            ("ecs:*", "ecs:RunInstances", true),
            ("acs:ecs:*:*:instance/*", "acs:ecs:cn-hangzhou:1:instance/i-1", true),
            ("acs:ecs:*:*:image/m-1", "acs:ecs:cn-hangzhou:1:image/m-12", false),
            ("acs:ecs:cn-beijing:*:instance/*", "acs:ecs:cn-hangzhou:1:instance/i-1", false),
        ] {
            assert_eq!(like(pattern, text), wanted, "{pattern} {text}");
        }
    }
}
