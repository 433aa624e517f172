//! Fields as they are answered, read without trusting their shape or their number.
//!
//! Memory is bounded here: an answer of the largest size takes no more than a few times
//! that size, however many elements it claims to have.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

/// A text or a number, as text; `None` for null, an empty text and every other shape.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(Some(text.to_owned()).filter(|text| !text.is_empty())))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Text, E> {
                Ok(Text(Some(text).filter(|text| !text.is_empty())))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Text, E> {
                Ok(Text(Some(number.to_string())))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Text, E> {
                Ok(Text(Some(number.to_string())))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Text, E> {
                Ok(Text(Some(number.to_string())))
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut rest: A) -> Result<Text, A::Error> {
                while rest.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut rest: A) -> Result<Text, A::Error> {
                while rest.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A list of at most `MOST` elements. More are an error: to leave some out could lose what matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AtMost<T, const MOST: usize>(pub(crate) Vec<T>);

impl<T, const MOST: usize> Default for AtMost<T, MOST> {
    fn default() -> Self {
        AtMost(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for AtMost<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T, const MOST: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Elements<T, MOST> {
            type Value = AtMost<T, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = seq.next_element()? {
                    if list.len() == MOST {
                        return Err(Error::custom(format_args!(
                            "a list of more than {MOST} elements"
                        )));
                    }
                    list.push(element);
                }
                Ok(AtMost(list))
            }
        }
        deserializer.deserialize_seq(Elements(PhantomData))
    }
}

/// For `#[serde(deserialize_with)]`: null counts as absent.
pub(crate) fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_from_texts_and_numbers_and_from_nothing_else() {
        for (json, text) in [
            (r#""ok""#, Some("ok")),
            ("200", Some("200")),
            ("-1", Some("-1")),
            ("0.5", Some("0.5")),
            (r#""""#, None),
            ("null", None),
            ("true", None),
            (r#"[1, "x"]"#, None),
            (r#"{"x": {"y": 1}}"#, None),
        ] {
            let read: Text = serde_json::from_str(json).expect(json);
            assert_eq!(read.0.as_deref(), text, "{json}");
        }
    }

    #[test]
    fn a_list_that_is_too_long_is_refused() {
        type Few = AtMost<u8, 2>;
        assert_eq!(serde_json::from_str::<Few>("[1,2]").expect("two").0, [1, 2]);
        let error = serde_json::from_str::<Few>("[1,2,3]").expect_err("three");
        assert!(error.to_string().contains("more than 2"), "{error}");
    }
}
