//! JSON of a peer, taken value by value.
//!
//! Nothing is built of what is not wanted, and no error repeats what was read: serde's own errors
//! hold the whole text that did not fit, and a text may be as large as the answer.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The message about a value of another kind than expected. The caller knows the place.
const WRONG: &str = "a value of another kind";

/// Takes one value. The kinds that it does not expect are refused.
pub(super) trait Take<'de>: Sized {
    type Taken;

    fn null<E: Error>(self) -> Result<Self::Taken, E> {
        Err(E::custom(WRONG))
    }

    fn flag<E: Error>(self, _flag: bool) -> Result<Self::Taken, E> {
        Err(E::custom(WRONG))
    }

    fn number<E: Error>(self, _number: f64) -> Result<Self::Taken, E> {
        Err(E::custom(WRONG))
    }

    fn text<E: Error>(self, _text: &str) -> Result<Self::Taken, E> {
        Err(E::custom(WRONG))
    }

    fn list<A: SeqAccess<'de>>(self, _list: A) -> Result<Self::Taken, A::Error> {
        Err(A::Error::custom(WRONG))
    }

    fn map<A: MapAccess<'de>>(self, _map: A) -> Result<Self::Taken, A::Error> {
        Err(A::Error::custom(WRONG))
    }
}

/// A [`Take`] as serde wants it.
pub(super) struct Taking<T>(pub(super) T);

impl<'de, T: Take<'de>> DeserializeSeed<'de> for Taking<T> {
    type Value = T::Taken;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T::Taken, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Take<'de>> Visitor<'de> for Taking<T> {
    type Value = T::Taken;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another value")
    }

    fn visit_unit<E: Error>(self) -> Result<T::Taken, E> {
        self.0.null()
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<T::Taken, E> {
        self.0.flag(flag)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T::Taken, E> {
        self.0.number(number as f64)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T::Taken, E> {
        self.0.number(number as f64)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T::Taken, E> {
        self.0.number(number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T::Taken, E> {
        self.0.text(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T::Taken, A::Error> {
        self.0.list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T::Taken, A::Error> {
        self.0.map(map)
    }
}

/// A value that is small, or only looked at from outside. Texts are made a line by `line`.
pub(super) struct Small<F>(pub(super) F);

/// The values that [`Small`] takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Null,
    Flag(bool),
    Number(f64),
    Text(String),
    /// A list or a table, with or without something in it.
    Composed {
        is_empty: bool,
    },
}

impl Scalar {
    pub(super) fn into_text(self) -> Option<String> {
        match self {
            Scalar::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl<'de, F: Fn(&str) -> String> Take<'de> for Small<F> {
    type Taken = Scalar;

    fn null<E: Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn flag<E: Error>(self, flag: bool) -> Result<Scalar, E> {
        Ok(Scalar::Flag(flag))
    }

    fn number<E: Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number))
    }

    fn text<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(self.0(text)))
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar, A::Error> {
        let mut is_empty = true;
        while list.next_element::<IgnoredAny>()?.is_some() {
            is_empty = false;
        }
        Ok(Scalar::Composed { is_empty })
    }

    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        let mut is_empty = true;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            is_empty = false;
        }
        Ok(Scalar::Composed { is_empty })
    }
}

/// The name of a key; one that is longer than any that is known is empty.
pub(super) struct KeyName;

/// No key that is looked for is longer.
const NAME_BYTES_MAX: usize = 64;

impl Take<'_> for KeyName {
    type Taken = String;

    fn text<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(if text.len() <= NAME_BYTES_MAX { text.to_owned() } else { String::new() })
    }
}
