//! Putting parameters together.

use crate::rpc::Params;

/// Adds `name=value`.
pub(super) fn put(params: &mut Params, name: &str, value: impl ToString) {
    params.push((name.to_owned(), value.to_string()));
}

/// Adds `name=value` where there is a value.
pub(super) fn put_some<T: ToString>(params: &mut Params, name: &str, value: Option<&T>) {
    if let Some(value) = value {
        put(params, name, value.to_string());
    }
}

/// Adds `name.1`, `name.2`, …
pub(super) fn put_list(
    params: &mut Params,
    name: &str,
    values: impl IntoIterator<Item = impl ToString>,
) {
    for (n, value) in values.into_iter().enumerate() {
        put(params, &format!("{name}.{}", n + 1), value);
    }
}

/// Adds `Tag.1.Key`, `Tag.1.Value`, …; a filter without a value takes any.
pub(super) fn put_tags<'a>(
    params: &mut Params,
    tags: impl IntoIterator<Item = (&'a String, Option<&'a String>)>,
) {
    for (n, (key, value)) in tags.into_iter().enumerate() {
        put(params, &format!("Tag.{}.Key", n + 1), key);
        put_some(params, &format!("Tag.{}.Value", n + 1), value);
    }
}
