//! What people ask for beside the configuration: the size for a while, and what becomes of single
//! instances and vSwitches. Each has an author, a reason and an end.

use std::fmt;

use cloud::text::one_line;
use cloud::{InstanceId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{FleetId, clock_time};

/// A person's instruction. It is in force until it ends or is withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instruction {
    pub id: Uuid,
    /// `None`: whichever fleet has the instance or the vSwitch.
    pub fleet: Option<FleetId>,
    pub what: Instructed,
    pub author: String,
    pub reason: String,
    pub placed: Timestamp,
    pub until: Timestamp,
}

/// The thing that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Instructed {
    /// Other bounds, within those of the configuration; the same twice: a size.
    Size { min: Option<u32>, max: Option<u32> },
    /// The instance is not ended.
    Protect { instance: InstanceId },
    /// The instance leaves service and is kept; another one is launched for it.
    Standby { instance: InstanceId },
    /// An instance on standby comes back.
    Return { instance: InstanceId },
    /// Another one is launched; once it serves, this one is ended.
    Replace { instance: InstanceId },
    /// Nothing is launched in the vSwitch, and what is there is replaced.
    Evacuate { vswitch: String },
    /// What was launched by an older template is replaced, some at a time.
    Refresh,
    /// Somebody found that the instance serves well. It replaces what the same author reported before.
    ReportHealthy { instance: InstanceId },
    /// Somebody found that the instance cannot serve.
    ReportUnhealthy { instance: InstanceId },
}

/// The longest part of an id behind its prefix: the vendor's have 20 letters and digits.
const ID_LONGEST: usize = 60;

/// A text that is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is no {kind}: ids are `{prefix}` and up to {ID_LONGEST} letters, digits and `-`",
    one_line(text)
)]
pub struct NoId {
    text: String,
    kind: &'static str,
    prefix: &'static str,
}

/// The id of an instance, as a person wrote it.
///
/// # Errors
/// It is none by its form.
pub fn instance_id(text: &str) -> Result<InstanceId, NoId> {
    id(text, "i-", "instance").map(InstanceId)
}

/// The id of a vSwitch, as a person wrote it.
///
/// # Errors
/// It is none by its form.
pub fn vswitch_id(text: &str) -> Result<String, NoId> {
    id(text, "vsw-", "vSwitch")
}

fn id(text: &str, prefix: &'static str, kind: &'static str) -> Result<String, NoId> {
    let fits = |rest: &str| {
        (1..=ID_LONGEST).contains(&rest.len())
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    match text.strip_prefix(prefix) {
        Some(rest) if fits(rest) => Ok(text.to_owned()),
        _ => Err(NoId { text: text.to_owned(), kind, prefix }),
    }
}

impl Instructed {
    /// With ids that stay on one line each, whoever wrote them.
    fn in_lines(self) -> Instructed {
        let id = |instance: InstanceId| InstanceId(one_line(&instance.0));
        match self {
            Instructed::Size { .. } | Instructed::Refresh => self,
            Instructed::Protect { instance } => Instructed::Protect { instance: id(instance) },
            Instructed::Standby { instance } => Instructed::Standby { instance: id(instance) },
            Instructed::Return { instance } => Instructed::Return { instance: id(instance) },
            Instructed::Replace { instance } => Instructed::Replace { instance: id(instance) },
            Instructed::ReportHealthy { instance } => {
                Instructed::ReportHealthy { instance: id(instance) }
            }
            Instructed::ReportUnhealthy { instance } => {
                Instructed::ReportUnhealthy { instance: id(instance) }
            }
            Instructed::Evacuate { vswitch } => {
                Instructed::Evacuate { vswitch: one_line(&vswitch) }
            }
        }
    }

    /// One word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Instructed::Size { .. } => "size",
            Instructed::Protect { .. } => "protect",
            Instructed::Standby { .. } => "standby",
            Instructed::Return { .. } => "return",
            Instructed::Replace { .. } => "replace",
            Instructed::Evacuate { .. } => "evacuate",
            Instructed::Refresh => "refresh",
            Instructed::ReportHealthy { .. } => "report_healthy",
            Instructed::ReportUnhealthy { .. } => "report_unhealthy",
        }
    }

    /// The instance that it is about.
    #[must_use]
    pub fn instance(&self) -> Option<&InstanceId> {
        match self {
            Instructed::Protect { instance }
            | Instructed::Standby { instance }
            | Instructed::Return { instance }
            | Instructed::Replace { instance }
            | Instructed::ReportHealthy { instance }
            | Instructed::ReportUnhealthy { instance } => Some(instance),
            Instructed::Size { .. } | Instructed::Evacuate { .. } | Instructed::Refresh => None,
        }
    }

    /// Whether it is a report of an instance's health.
    #[must_use]
    pub fn is_report(&self) -> bool {
        matches!(self, Instructed::ReportHealthy { .. } | Instructed::ReportUnhealthy { .. })
    }
}

impl fmt::Display for Instructed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Instructed::Size { min: Some(min), max: Some(max) } if min == max => {
                write!(f, "size {min}")
            }
            Instructed::Size { min, max } => {
                let min = min.map(|min| format!("at least {min}"));
                let max = max.map(|max| format!("at most {max}"));
                let both = min.into_iter().chain(max).collect::<Vec<_>>().join(", ");
                write!(f, "size {both}")
            }
            Instructed::Protect { instance } => write!(f, "protect {instance}"),
            Instructed::Standby { instance } => write!(f, "put {instance} on standby"),
            Instructed::Return { instance } => write!(f, "return {instance} to service"),
            Instructed::Replace { instance } => write!(f, "replace {instance}"),
            Instructed::Evacuate { vswitch } => write!(f, "evacuate {vswitch}"),
            Instructed::Refresh => f.write_str("replace what an older template launched"),
            Instructed::ReportHealthy { instance } => write!(f, "report {instance} as healthy"),
            Instructed::ReportUnhealthy { instance } => write!(f, "report {instance} as unhealthy"),
        }
    }
}

impl Instruction {
    /// Whether it concerns `fleet` at `now`.
    #[must_use]
    pub fn concerns(&self, fleet: &FleetId, now: Timestamp) -> bool {
        self.fleet.as_ref().is_none_or(|meant| meant == fleet) && now < self.until
    }

    /// Whether it is an author's newer report of the same instance.
    #[must_use]
    pub(crate) fn replaces(&self, older: &Instruction) -> bool {
        self.what.is_report()
            && older.what.is_report()
            && self.what.instance() == older.what.instance()
            && self.author == older.author
    }

    /// With texts that stay one line each, whoever wrote them.
    #[must_use]
    pub fn in_lines(self) -> Instruction {
        Instruction {
            what: self.what.in_lines(),
            author: one_line(&self.author),
            reason: one_line(&self.reason),
            ..self
        }
    }
}

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Instruction { what, author, reason, until, .. } = self;
        write!(f, "{what}, by {author} until {}: {reason}", clock_time(*until))
    }
}

/// Whether an instruction keeps `instance` from its end: it is protected, or on standby for somebody to
/// look at.
#[must_use]
pub(crate) fn is_kept(instructions: &[Instruction], instance: &InstanceId) -> bool {
    let protects = |one: &Instruction| matches!(&one.what, Instructed::Protect { instance: meant } if meant == instance);
    instructions.iter().any(protects) || standby(instructions, instance) == Some(true)
}

/// Whether an instance in `vswitch` is to be replaced.
#[must_use]
pub(crate) fn is_to_go(
    instructions: &[Instruction],
    instance: &InstanceId,
    vswitch: Option<&str>,
) -> bool {
    instructions.iter().any(|one| match &one.what {
        Instructed::Replace { instance: meant } => meant == instance,
        Instructed::Evacuate { vswitch: meant } => Some(meant.as_str()) == vswitch,
        _ => false,
    })
}

/// Whether what an older template launched is to be replaced.
#[must_use]
pub(crate) fn is_refreshed(instructions: &[Instruction]) -> bool {
    instructions.iter().any(|one| one.what == Instructed::Refresh)
}

/// The health of `instance` by what is reported, of each author the newest. One bad report is enough;
/// `None`: nobody reported anything.
#[must_use]
pub(crate) fn reported(instructions: &[Instruction], instance: &InstanceId) -> Option<bool> {
    let reports = instructions.iter().filter_map(|one| match &one.what {
        Instructed::ReportHealthy { instance: meant } if meant == instance => Some(true),
        Instructed::ReportUnhealthy { instance: meant } if meant == instance => Some(false),
        _ => None,
    });
    reports.min()
}

/// Whether the newest word about `instance` is that it is on standby (`true`) or in service (`false`).
#[must_use]
pub(crate) fn standby(instructions: &[Instruction], instance: &InstanceId) -> Option<bool> {
    let about = instructions.iter().filter_map(|one| match &one.what {
        Instructed::Standby { instance: meant } if meant == instance => Some((one.placed, true)),
        Instructed::Return { instance: meant } if meant == instance => Some((one.placed, false)),
        _ => None,
    });
    about.max_by_key(|(placed, _)| *placed).map(|(_, is_standby)| is_standby)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::{ago, now};
    use crate::model::{INSTRUCTIONS_KEPT, OperatorEvent, Orders};

    pub(crate) fn instruction(what: Instructed, secs_ago: u64) -> Instruction {
        Instruction {
            id: Uuid::from_u128(u128::from(secs_ago)),
            fleet: None,
            what,
            author: "mei".to_owned(),
            reason: "a look".to_owned(),
            placed: ago(secs_ago),
            until: now() + chrono::TimeDelta::hours(1),
        }
    }

    #[test]
    fn the_newest_word_about_an_instance_counts() {
        let id = InstanceId::from("i-1");
        let on = |secs| instruction(Instructed::Standby { instance: id.clone() }, secs);
        let off = |secs| instruction(Instructed::Return { instance: id.clone() }, secs);
        assert_eq!(standby(&[], &id), None);
        assert_eq!(standby(&[on(60), off(30)], &id), Some(false));
        assert_eq!(standby(&[off(60), on(30)], &id), Some(true));
        assert_eq!(standby(&[on(60)], &"i-2".into()), None);
    }

    #[test]
    fn the_same_word_again_has_another_end_and_too_many_end_none() {
        let mut orders = Orders::default();
        let mut say = |n: usize, id: u128, hours: i64| {
            let what = Instructed::Protect { instance: InstanceId(format!("i-{n}")) };
            let until = now() + chrono::TimeDelta::hours(hours);
            let id = Uuid::from_u128(id);
            let instruction = Instruction { id, until, ..instruction(what, 5) };
            orders.apply(&OperatorEvent::Instructed { at: now(), instruction });
            orders.instructions.clone()
        };
        say(0, 1, 1);
        let kept = say(0, 2, 2);
        assert_eq!((kept.len(), kept[0].id), (1, Uuid::from_u128(2)));
        for n in 1..INSTRUCTIONS_KEPT + 5 {
            say(n, n as u128 + 2, 1);
        }
        let kept = say(0, 9_999, 3);
        assert_eq!(kept.len(), INSTRUCTIONS_KEPT);
        assert!(kept.iter().any(|one| one.id == Uuid::from_u128(9_999)), "it was there before");
        assert!(!kept.iter().any(|one| one.what.to_string().ends_with("i-1004")));
    }

    #[test]
    fn ids_have_a_form() {
        for good in ["i-bp1emu000000000001", "i-0"] {
            assert_eq!(instance_id(good), Ok(good.into()));
        }
        let long = format!("i-{}", "a".repeat(61));
        for bad in ["", "i-", "vsw-1", "i-a b", "i-a\nforged", "i-\u{202e}x", "i-<b>", &long] {
            let error = instance_id(bad).expect_err(bad).to_string();
            assert!(error.contains("is no instance") && !error.contains('\n'), "{error}");
        }
        assert_eq!(vswitch_id("vsw-zone-h").as_deref(), Ok("vsw-zone-h"));
        assert!(vswitch_id("vsw-zone/h").is_err());
        let forged = Instructed::Evacuate { vswitch: "vsw-h\nforged".to_owned() };
        let said = instruction(forged, 5).in_lines().to_string();
        assert!(!said.contains('\n'), "{said}");
    }

    #[test]
    fn an_instruction_reads_as_a_sentence() {
        for (what, text) in [
            (Instructed::Size { min: Some(4), max: Some(4) }, "size 4"),
            (Instructed::Size { min: Some(4), max: None }, "size at least 4"),
            (Instructed::Size { min: Some(4), max: Some(9) }, "size at least 4, at most 9"),
            (Instructed::Evacuate { vswitch: "vsw-h".to_owned() }, "evacuate vsw-h"),
        ] {
            let said = instruction(what, 5).to_string();
            assert!(said.starts_with(text) && said.contains("by mei"), "{said}");
        }
    }
}
