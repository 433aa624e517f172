//! Tags that a user sets, or selects instances by.

use cloud::Tags;

use super::problem::shown;
use super::value::{Value, pairs};
use crate::model::tags;

/// The vendor takes 20 tags per instance, and 5 are ours.
const TAGS_MAX: usize = 15;
/// The vendor's longest key and value, in characters.
const CHARS_MAX: usize = 128;
/// All our keys begin so; those of later versions will, too.
const OURS: &str = "scale-";

/// Tags that the vendor accepts and that cannot be taken for ours.
pub(super) fn read(value: &Value<'_>) -> Option<Tags> {
    let pairs = pairs(value)?;
    if pairs.len() > TAGS_MAX {
        value.problem::<()>(
            format!("`tags` has {} tags", pairs.len()),
            format!("an instance can carry {TAGS_MAX}, beside the daemon's own 5"),
        );
    }
    let mut read = Tags::new();
    for (key, (place, text)) in pairs {
        match complaint(&key, text) {
            Some((problem, hint)) => drop(place.problem::<()>(problem, hint)),
            None => drop(read.insert(key, text.to_owned())),
        }
    }
    Some(read)
}

fn complaint(key: &str, value: &str) -> Option<(String, String)> {
    let shown = shown(key);
    let chars = key.chars().count();
    if key.starts_with(OURS) {
        debug_assert!(tags::FLEET.starts_with(OURS));
        return Some((
            format!("the tag `{shown}` begins with `{OURS}`"),
            "the daemon finds its instances by such tags: choose another key".to_owned(),
        ));
    }
    if key.starts_with("aliyun") || key.starts_with("acs:") {
        return Some((
            format!("the tag `{shown}` begins with `aliyun` or `acs:`"),
            "the vendor keeps these for itself: choose another key".to_owned(),
        ));
    }
    if chars == 0 || chars > CHARS_MAX || value.chars().count() > CHARS_MAX {
        return Some((
            format!("the tag `{shown}` is too long or too short"),
            format!("a key has 1 to {CHARS_MAX} characters, a value at most {CHARS_MAX}"),
        ));
    }
    let urls = ["http://", "https://"];
    urls.iter().any(|url| key.contains(url) || value.contains(url)).then(|| {
        (
            format!("the tag `{shown}` has `http://` or `https://` in it"),
            "the vendor refuses such tags: leave the scheme out".to_owned(),
        )
    })
}
