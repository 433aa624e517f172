//! The scope of a refusal: a spec, a type, a vSwitch, or a combination of them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Place;

/// The launches that a refusal stands for: those that agree with everything that is named here.
/// A part that is not named may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope {
    /// The fingerprint of a spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vswitch: Option<String>,
}

impl Scope {
    /// `spec` in `place` only.
    #[must_use]
    pub fn of(spec: Option<String>, place: Place) -> Scope {
        Scope { spec, instance_type: Some(place.instance_type), vswitch: Some(place.vswitch) }
    }

    /// Whether a launch of `spec` in `place` is covered.
    #[must_use]
    pub fn covers(&self, spec: &str, place: &Place) -> bool {
        let agrees = |named: &Option<String>, is: &str| named.as_ref().is_none_or(|n| n == is);
        agrees(&self.spec, spec)
            && agrees(&self.instance_type, &place.instance_type)
            && agrees(&self.vswitch, &place.vswitch)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.instance_type {
            Some(instance_type) => f.write_str(instance_type)?,
            None => f.write_str("every type")?,
        }
        match &self.vswitch {
            Some(vswitch) => write!(f, " in {vswitch}")?,
            None => f.write_str(" in every vSwitch")?,
        }
        match &self.spec {
            Some(_) => f.write_str(", as it is configured"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_covers_what_agrees_with_all_that_it_names() {
        let place = |kind: &str, vswitch: &str| Place {
            instance_type: kind.to_owned(),
            vswitch: vswitch.to_owned(),
        };
        let named = |text: &str| Some(text.to_owned());
        let of_type = Scope { instance_type: named("c7"), ..Scope::default() };
        let of_vswitch = Scope { vswitch: named("h"), ..Scope::default() };
        let of_spec = Scope::of(named("web"), place("c7", "h"));
        for (spec, at, covered) in [
            ("web", place("c7", "h"), [true, true, true]),
            ("db", place("c7", "h"), [true, true, false]),
            ("web", place("c7", "i"), [true, false, false]),
            ("web", place("g7", "h"), [false, true, false]),
        ] {
            let scopes = [&of_type, &of_vswitch, &of_spec];
            assert_eq!(scopes.map(|scope| scope.covers(spec, &at)), covered, "{spec} at {at}");
        }
        assert_eq!(of_type.to_string(), "c7 in every vSwitch");
        assert_eq!(of_spec.to_string(), "c7 in h, as it is configured");
    }
}
