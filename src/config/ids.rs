//! Ids of the vendor's resources. Whether one exists, only the vendor knows; but an id of another
//! kind, or one that stands twice, is a slip that can be seen here.

use super::problem::shown;
use super::value::{Value, word};

/// Prefixes of ids and what they belong to.
const PREFIXES: [(&str, &str); 6] = [
    ("vsw-", "a vSwitch"),
    ("sg-", "a security group"),
    ("ecs.", "an instance type"),
    ("m-", "an image"),
    ("i-", "an instance"),
    ("vpc-", "a VPC"),
];

/// The kind that an id tells by its prefix, in words.
pub(super) fn kind_of(id: &str) -> Option<&'static str> {
    PREFIXES.iter().find(|(prefix, _)| id.starts_with(prefix)).map(|(_, kind)| *kind)
}

/// One id. Ids of unknown form pass (the vendor has old ones); those of another kind do not.
pub(super) fn one(prefix: &'static str) -> impl Fn(&Value<'_>) -> Option<String> {
    move |value| {
        let id = word(value)?;
        let other = PREFIXES.iter().find(|(other, _)| *other != prefix && id.starts_with(other));
        match other {
            Some((_, kind)) => value.problem(
                format!("`{}` in `{}` is {kind}", shown(&id), value.key),
                format!("ids begin with `{prefix}` here"),
            ),
            None => Some(id),
        }
    }
}

/// A list of at least one id, none twice.
pub(super) fn some(prefix: &'static str) -> impl Fn(&Value<'_>) -> Option<Vec<String>> {
    move |value| {
        let items = value.items(&format!("\"{prefix}…\""))?;
        if items.is_empty() {
            return value.problem(
                format!("`{}` is empty", value.key),
                format!("name at least one, such as \"{prefix}…\""),
            );
        }
        let mut ids = Vec::new();
        for item in items {
            let Some(id) = one(prefix)(&item) else {
                continue;
            };
            if ids.contains(&id) {
                item.problem::<()>(
                    format!("`{}` stands twice in `{}`", shown(&id), value.key),
                    "remove one of them",
                );
            }
            ids.push(id);
        }
        Some(ids)
    }
}
