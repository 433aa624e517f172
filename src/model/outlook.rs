//! The outlook of the adaptive rule on a load, for people.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::decision::number;
use super::{SignalName, Span};

/// The load, the load expected when an instance asked for now would serve, and the
/// size that this calls for. Loads are in instances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    pub signal: SignalName,
    /// In the signal's own unit.
    pub value: f64,
    pub load: f64,
    /// The highest load of the minute that begins when an instance asked for now would serve.
    pub expected: f64,
    /// By how much the forecast is usually wrong.
    pub spread: f64,
    /// How far ahead that minute ends.
    pub ahead: Span,
    /// The cost of a missing instance, in idle ones.
    pub price: f64,
    pub size: u32,
    /// The size is what the load needs now, since the forecast asks for less.
    pub reacts: bool,
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} = {} fills {} instances, and within {} up to {} ± {}",
            self.signal,
            number(self.value),
            number(self.load),
            self.ahead,
            number(self.expected),
            number(self.spread),
        )?;
        if self.reacts {
            return write!(f, ": {}, which it needs now", self.size);
        }
        write!(f, "; a missing one costs as much as {} idle: {}", number(self.price), self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlook_is_a_sentence() {
        let outlook = Outlook {
            signal: "load".into(),
            value: 2310.0,
            load: 11.2,
            expected: 11.94,
            spread: 0.6,
            ahead: Span::secs(165),
            price: 10.0,
            size: 13,
            reacts: false,
        };
        assert_eq!(
            outlook.to_string(),
            "load = 2310 fills 11.2 instances, and within 2m45s up to 11.94 ± 0.6; a missing one \
             costs as much as 10 idle: 13"
        );
        let reacting = Outlook { size: 12, reacts: true, ..outlook };
        assert!(reacting.to_string().ends_with("± 0.6: 12, which it needs now"));
    }
}
