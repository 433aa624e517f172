//! Percent-encoding as both signature versions want it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but `A-Z a-z 0-9 - _ . ~`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// `text` with every byte encoded but the unreserved ones (RFC 3986), hexadecimal in upper case.
#[must_use]
pub fn percent(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// `name=value` pairs joined by `&`, both sides encoded, in the given order: a query string or a
/// form body.
#[must_use]
pub fn query(params: &[(String, String)]) -> String {
    let pairs: Vec<String> = params
        .iter()
        .map(|(name, value)| format!("{}={}", percent(name), percent(value)))
        .collect();
    pairs.join("&")
}

/// The canonical query: sorted by raw name in byte order, then encoded and joined.
#[must_use]
pub fn canonical_query(params: &[(String, String)]) -> String {
    let mut sorted = params.to_vec();
    sorted.sort();
    query(&sorted)
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_form_encoders_get_wrong_is_right() {
        for (raw, encoded) in [
            (" ", "%20"),
            ("*", "%2A"),
            ("+", "%2B"),
            ("/", "%2F"),
            ("~", "~"),
            ("%20", "%2520"),
            ("节点", "%E8%8A%82%E7%82%B9"),
            ("", ""),
        ] {
            assert_eq!(percent(raw), encoded);
        }
    }

    proptest! {
        #[test]
        fn encoding_keeps_only_unreserved_bytes_and_loses_nothing(text in any::<String>()) {
            let encoded = percent(&text);
            let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-_.~%".contains(&b);
            prop_assert!(encoded.bytes().all(unreserved));
            let decoded = percent_decode_str(&encoded).decode_utf8().expect("UTF-8");
            prop_assert_eq!(decoded, text);
        }

        #[test]
        fn the_canonical_query_does_not_depend_on_the_order(
            mut params in prop::collection::vec((any::<String>(), any::<String>()), 0..8),
        ) {
            let once = canonical_query(&params);
            params.reverse();
            prop_assert_eq!(once, canonical_query(&params));
        }
    }
}
