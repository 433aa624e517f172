//! "Did you mean …?": the nearest of the names that would have been right.

/// How far a word may be from a suggestion, in edits: a third of its length, at least 1. Farther
/// suggestions mislead more often than they help.
fn reach(word: &str) -> usize {
    (word.chars().count() / 3).max(1)
}

/// The candidate that `word` was probably meant to be; none when several are equally near.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let folded = fold(word);
    let distance = |candidate| strsim::damerau_levenshtein(&folded, &fold(candidate));
    let mut near: Vec<(usize, &str)> = candidates
        .into_iter()
        .map(|candidate| (distance(candidate), candidate))
        .filter(|(distance, _)| *distance <= reach(word))
        .collect();
    near.sort();
    match near[..] {
        [(best, _), (second, _), ..] if best == second => None,
        [(_, candidate), ..] => Some(candidate),
        [] => None,
    }
}

/// Case, `-` and `_` are confused by habit, not by ignorance.
fn fold(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

/// A hint for `word`: the nearest candidate, else all of them after `otherwise`.
pub(crate) fn hint<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    otherwise: &str,
) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    match nearest(word, candidates.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => format!("{otherwise}: {}", listed(candidates)),
    }
}

/// `` `a`, `b`, `c` ``.
pub(super) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        for (name, word, expected) in [
            ("a missing letter", "mx", Some("max")),
            ("swapped letters", "mni", Some("min")),
            ("a dash for an underscore", "image-id", Some("image_id")),
            ("the wrong case", "Image_ID", Some("image_id")),
            ("something else entirely", "colour", None),
            ("two that are equally near", "mix", None),
        ] {
            assert_eq!(nearest(word, ["min", "max", "image_id"]), expected, "{name}");
        }
    }
}
