//! Faults of a rehearsal, each with its time: `no-stock:zone-h@10m+20m`. Pure.

use std::fmt;

use crate::config::hint;
use crate::model::Span;

/// Ten minutes: by then a fleet has reached the size that the load asks for.
const BEGINS: Span = Span::secs(600);
/// Twenty minutes: longer than every cool-down by default.
const LASTS: Span = Span::secs(1200);

/// One thing that goes wrong for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub kind: FaultKind,
    /// After the beginning.
    pub begins: Span,
    pub ends: Span,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// Nothing can be launched in this vSwitch.
    NoStock(String),
    /// Every instance of this vSwitch is lost, and none can be launched there.
    ZoneDown(String),
    /// Every call is refused for being made too often.
    Throttle,
    /// Launches and deletions happen, and their answers are lost.
    LostReplies,
    /// Boots take five times as long.
    SlowBoot,
    /// What is launched never runs.
    NeverBoots,
    /// No signal has a value.
    PrometheusAway,
}

/// Every kind as it is written, with whether it needs a place.
const KINDS: [(&str, bool); 7] = [
    ("no-stock", true),
    ("zone-down", true),
    ("throttle", false),
    ("lost-replies", false),
    ("slow-boot", false),
    ("never-boots", false),
    ("prometheus-away", false),
];

/// A text that is no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}: {problem}\n  hint: {hint}")]
pub struct FaultError {
    pub text: String,
    pub problem: String,
    pub hint: String,
}

impl Fault {
    /// Reads `NAME[:PLACE][@BEGIN][+DURATION]`; a place is one of `vswitches`, or the end of its id.
    ///
    /// # Errors
    /// When there is no such fault or place, or its times are none.
    pub fn read(text: &str, vswitches: &[String]) -> Result<Fault, FaultError> {
        let wrong =
            |problem: String, hint: String| FaultError { text: text.to_owned(), problem, hint };
        let (rest, lasts) = match text.split_once('+') {
            Some((rest, lasts)) => (rest, span(lasts).map_err(|(p, h)| wrong(p, h))?),
            None => (text, LASTS),
        };
        let (what, begins) = match rest.split_once('@') {
            Some((what, begins)) => (what, span(begins).map_err(|(p, h)| wrong(p, h))?),
            None => (rest, BEGINS),
        };
        let (name, place) = match what.split_once(':') {
            Some((name, place)) => (name, Some(place)),
            None => (what, None),
        };
        let Some((_, needs_place)) = KINDS.iter().find(|(known, _)| *known == name) else {
            let names = KINDS.iter().map(|(name, _)| *name);
            return Err(wrong(
                "there is no such fault".to_owned(),
                hint(name, names, "the faults are"),
            ));
        };
        let known = || vswitches.iter().map(String::as_str);
        let place = match (place, needs_place) {
            (None, false) => String::new(),
            (Some(place), true) => {
                let found = known().filter(|id| *id == place || id.ends_with(&format!("-{place}")));
                match found.collect::<Vec<_>>()[..] {
                    [one] => one.to_owned(),
                    _ => {
                        let hint = hint(place, known(), "the fleet's vSwitches are");
                        return Err(wrong(format!("the fleet has no vSwitch {place:?}"), hint));
                    }
                }
            }
            (None, true) => {
                let first = vswitches.first().map_or("vsw-zone-h", String::as_str);
                return Err(wrong(
                    "it does not say where".to_owned(),
                    format!("write {name}:{first}"),
                ));
            }
            (Some(_), false) => {
                return Err(wrong(format!("`{name}` has no place"), format!("write {name}")));
            }
        };
        let kind = match name {
            "no-stock" => FaultKind::NoStock(place),
            "zone-down" => FaultKind::ZoneDown(place),
            "throttle" => FaultKind::Throttle,
            "lost-replies" => FaultKind::LostReplies,
            "slow-boot" => FaultKind::SlowBoot,
            "never-boots" => FaultKind::NeverBoots,
            _ => FaultKind::PrometheusAway,
        };
        Ok(Fault { kind, begins, ends: Span(begins.get().saturating_add(lasts.get())) })
    }

    /// Whether it is in force so long after the beginning.
    #[must_use]
    pub fn is_on(&self, after: Span) -> bool {
        self.begins <= after && after < self.ends
    }
}

fn span(text: &str) -> Result<Span, (String, String)> {
    let wrong = |_| {
        let problem = format!("{text:?} is no duration");
        (problem, "write when it begins and how long it lasts, as in @10m+20m".to_owned())
    };
    text.parse().map_err(wrong)
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultKind::NoStock(place) => write!(f, "no-stock:{place}: nothing can be had there"),
            FaultKind::ZoneDown(place) => {
                write!(f, "zone-down:{place}: its instances are gone, and none can be had there")
            }
            FaultKind::Throttle => f.write_str("throttle: every call is refused as one too many"),
            FaultKind::LostReplies => {
                f.write_str("lost-replies: launches and deletions happen, their answers are lost")
            }
            FaultKind::SlowBoot => f.write_str("slow-boot: boots take five times as long"),
            FaultKind::NeverBoots => f.write_str("never-boots: what is launched never runs"),
            FaultKind::PrometheusAway => f.write_str("prometheus-away: no signal has a value"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Fault, FaultError> {
        Fault::read(text, &["vsw-zone-h".to_owned(), "vsw-zone-i".to_owned()])
    }

    #[test]
    fn a_fault_says_what_where_and_when() {
        let fault = |kind, begins, ends| {
            Ok(Fault { kind, begins: Span::secs(begins), ends: Span::secs(ends) })
        };
        let h = || "vsw-zone-h".to_owned();
        assert_eq!(read("throttle"), fault(FaultKind::Throttle, 600, 1800));
        assert_eq!(read("no-stock:zone-h"), fault(FaultKind::NoStock(h()), 600, 1800));
        assert_eq!(read("zone-down:vsw-zone-h@5m"), fault(FaultKind::ZoneDown(h()), 300, 1500));
        assert_eq!(read("slow-boot+30s"), fault(FaultKind::SlowBoot, 600, 630));
        assert_eq!(read("never-boots@0s+1m"), fault(FaultKind::NeverBoots, 0, 60));
    }

    #[test]
    fn what_is_no_fault_is_told_with_what_was_meant() {
        for (text, says) in [
            ("no-stok:zone-h", "did you mean `no-stock`?"),
            ("earthquake", "the faults are: `no-stock`, `zone-down`"),
            ("no-stock", "write no-stock:vsw-zone-h"),
            ("no-stock:vsw-zone-k", "the fleet has no vSwitch"),
            ("throttle:zone-h", "write throttle"),
            ("throttle@noon", "\"noon\" is no duration"),
            ("throttle+long", "\"long\" is no duration"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
