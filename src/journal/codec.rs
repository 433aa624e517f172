//! Records as text, and back: every version that was ever written is read, a newer one is refused.
//!
//! A body of an older version is turned into the present form before it is read, step by step from
//! version to version.

use cloud::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::store::{NewRecord, Scope};
use crate::model::{AccountEvent, Event, History, Inputs, OperatorEvent};

/// The version that this program writes. 1: the first journal; a tick carried its whole decision.
pub const VERSION: i64 = 2;

/// Why a record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("it is of version {found}, this program reads up to version {VERSION}")]
    Newer { found: i64 },
    /// A newer program wrote it, and says that an older one may do without.
    #[error("a newer version wrote it, which this one may do without")]
    Ignorable,
    #[error("{0}")]
    Malformed(String),
}

/// Everything that can be recorded.
pub(super) trait Recorded: Serialize {
    fn kind(&self) -> &'static str;
    fn at(&self) -> Timestamp;
}

impl Recorded for Event {
    fn kind(&self) -> &'static str {
        Event::kind(self)
    }

    fn at(&self) -> Timestamp {
        Event::at(self)
    }
}

impl Recorded for AccountEvent {
    fn kind(&self) -> &'static str {
        AccountEvent::kind(self)
    }

    fn at(&self) -> Timestamp {
        AccountEvent::at(self)
    }
}

impl Recorded for OperatorEvent {
    fn kind(&self) -> &'static str {
        OperatorEvent::kind(self)
    }

    fn at(&self) -> Timestamp {
        OperatorEvent::at(self)
    }
}

pub(super) fn encode(scope: &Scope, event: &impl Recorded) -> NewRecord {
    NewRecord {
        scope: scope.clone(),
        at: event.at(),
        kind: event.kind(),
        v: VERSION,
        body: bounded(text(event)),
    }
}

/// 16 KiB: a tick of a hundred instances that all change their phase. Above it long texts are cut.
const RECORD_BYTES: usize = 16 * 1024;
/// No id, tag or reason of ours is half as long.
const TEXT_CHARS: usize = 1000;

/// `body` with long texts cut where it is large: whatever somebody managed to have told, a record
/// takes no more than its own facts.
fn bounded(body: String) -> String {
    if body.len() <= RECORD_BYTES {
        return body;
    }
    match serde_json::from_str(&body) {
        Ok(mut value) => {
            cut(&mut value);
            text(&value)
        }
        // It was written a moment ago.
        Err(_) => body,
    }
}

fn cut(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(TEXT_CHARS) {
                text.truncate(end);
                text.push('…');
            }
        }
        Value::Array(items) => items.iter_mut().for_each(cut),
        Value::Object(fields) => fields.values_mut().for_each(cut),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

pub(super) fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("records have text keys and finite numbers only")
}

/// A fleet's event from its record.
pub fn event(v: i64, body: &str) -> Result<Event, Unreadable> {
    decode(v, body, |value| match value.get("event").and_then(Value::as_str) {
        Some("ticked") => ticked_of_1(value),
        Some("settled") => settled_of_1(value),
        _ => value,
    })
}

/// A fact about an account from its record.
pub fn account_event(v: i64, body: &str) -> Result<AccountEvent, Unreadable> {
    decode(v, body, |value| value)
}

/// A person's word, from its record.
pub fn operator_event(v: i64, body: &str) -> Result<OperatorEvent, Unreadable> {
    decode(v, body, |value| value)
}

/// A fleet's history from its snapshot.
pub fn history(v: i64, body: &str) -> Result<History, Unreadable> {
    decode(v, body, history_of_1)
}

/// The fold of another scope from its snapshot.
pub fn fold<T: DeserializeOwned>(v: i64, body: &str) -> Result<T, Unreadable> {
    decode(v, body, |value| value)
}

fn decode<T: DeserializeOwned>(
    v: i64,
    body: &str,
    from_1: impl FnOnce(Value) -> Value,
) -> Result<T, Unreadable> {
    let malformed = |error: serde_json::Error| Unreadable::Malformed(error.to_string());
    let read = match v {
        VERSION => serde_json::from_str(body).map_err(malformed),
        1 => {
            let value = serde_json::from_str(body).map_err(malformed)?;
            serde_json::from_value(from_1(value)).map_err(malformed)
        }
        found => Err(Unreadable::Newer { found }),
    };
    read.map_err(|why| if v >= VERSION && is_ignorable(body) { Unreadable::Ignorable } else { why })
}

/// Whether a record says of itself that it may be left out: its field `ignorable` is `true`. Whoever
/// adds a kind of record that changes no decision writes that into it, so that one may go back to the
/// version before.
fn is_ignorable(body: &str) -> bool {
    #[derive(Deserialize)]
    struct Marked {
        ignorable: bool,
    }
    serde_json::from_str::<Marked>(body).is_ok_and(|marked| marked.ignorable)
}

/// Of the decision only its numbers were ever folded.
fn ticked_of_1(value: Value) -> Value {
    let decision = |key: &str| value.pointer(&format!("/decision/{key}")).cloned();
    let mut samples = Map::new();
    let mut gaps = Map::new();
    for (signal, reading) in value.get("signals").and_then(Value::as_object).into_iter().flatten() {
        if let Some(sample) = reading.get("Ok") {
            samples.insert(signal.clone(), sample.clone());
        } else {
            let gap = reading.pointer("/Err/gap").cloned();
            gaps.insert(signal.clone(), gap.unwrap_or_else(|| json!("unknown")));
        }
    }
    json!({
        "event": "ticked",
        "at": value.get("at"),
        "samples": samples,
        "gaps": gaps,
        "phases": value.get("phases"),
        "current": decision("current"),
        // Not recorded then; what was there is the nearest.
        "in_service": decision("current"),
        "recommended": decision("recommended"),
        "desired": decision("desired"),
    })
}

/// Refusals had no class.
fn settled_of_1(mut value: Value) -> Value {
    let failed = value.pointer_mut("/settlement/failed").and_then(Value::as_object_mut);
    for refusal in failed.into_iter().flat_map(Map::values_mut) {
        *refusal = json!({ "class": "permanent", "message": refusal.take() });
    }
    value
}

/// Sold-out places are not carried over: they are the account's now, and each is tried once more.
fn history_of_1(value: Value) -> Value {
    let at = |key: &str| value.pointer(&format!("/{key}/at")).cloned();
    let object = |key: &str| value.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
    let signals = object("samples").into_iter().map(|(signal, window)| {
        let samples = window.as_array().cloned().unwrap_or_default().into_iter();
        let window: Vec<Value> = samples
            .map(|mut sample| {
                sample["true_at"] = sample["measured_at"].clone();
                sample
            })
            .collect();
        (signal, json!({ "window": window }))
    });
    let instances = object("instances").into_iter().map(|(id, mut tracked)| {
        tracked["served"] = json!(tracked["phase"] == "in_service");
        (id, tracked)
    });
    let open = object("open").into_iter().map(|(id, mut intent)| {
        intent["sent_at"] = intent["at"].clone();
        intent["repeat"] = json!(true);
        (id, intent)
    });
    let standing = value
        .get("unfinished")
        .filter(|unfinished| unfinished.is_object())
        .map(|u| json!({ "target": u["target"], "since": u["since"], "why": "remainder" }));
    json!({
        "began": value.get("began"),
        "signals": signals.collect::<Map<_, _>>(),
        "last_out": at("last_out"),
        "last_in": at("last_in"),
        "instances": instances.collect::<Map<_, _>>(),
        "open": open.collect::<Map<_, _>>(),
        "last_desired": value.get("last_desired"),
        "standing": standing,
    })
}

/// The inputs of a decision as they are kept.
#[derive(Serialize, Deserialize)]
struct Kept<T> {
    v: i64,
    inputs: T,
}

/// Compressed: a fleet of a hundred instances has some 60 kB of inputs, of which a tenth is left.
/// `None` where they are too large to be kept.
pub(super) fn encode_inputs(inputs: &Inputs) -> Option<Vec<u8>> {
    use std::io::Write;
    let text = text(&Kept { v: VERSION, inputs });
    if text.len() > INPUTS_KEPT {
        return None;
    }
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).expect("a vector takes everything");
    Some(encoder.finish().expect("a vector takes everything"))
}

/// 8 MiB: a fleet of five thousand instances has some 3 MB. What is larger is made so by somebody's
/// tags, and is not worth the disk.
const INPUTS_KEPT: usize = 8 * 1024 * 1024;

/// A replay holds no more than this in memory: ten times what the largest fleet needs.
const INPUTS_MOST: u64 = 256 * 1024 * 1024;

/// The inputs of a decision, read back.
pub fn decode_inputs(bytes: &[u8]) -> Result<Inputs, Unreadable> {
    use std::io::Read;
    let mut text = String::new();
    flate2::read::ZlibDecoder::new(bytes)
        .take(INPUTS_MOST)
        .read_to_string(&mut text)
        .map_err(|error| Unreadable::Malformed(error.to_string()))?;
    let malformed = |error: serde_json::Error| Unreadable::Malformed(error.to_string());
    let kept: Kept<serde_json::Value> = serde_json::from_str(&text).map_err(malformed)?;
    if kept.v != VERSION {
        return Err(Unreadable::Newer { found: kept.v });
    }
    // Straight from the text: a detour over values could cost the last bit of a number.
    let kept: Kept<Inputs> = serde_json::from_str(&text).map_err(malformed)?;
    Ok(kept.inputs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures;

    #[test]
    fn a_newer_record_is_refused_and_a_broken_one_says_what_is_wrong() {
        assert_eq!(event(VERSION + 1, "{}"), Err(Unreadable::Newer { found: VERSION + 1 }));
        assert!(matches!(event(VERSION, "{"), Err(Unreadable::Malformed(_))));
        assert!(matches!(event(1, "[]"), Err(Unreadable::Malformed(_))));
    }

    #[test]
    fn an_older_version_does_without_what_is_marked_ignorable_and_without_nothing_else() {
        let marked = r#"{"event":"weighed","at":"2026-01-02T12:00:00Z","ignorable":true}"#;
        let unmarked = r#"{"event":"weighed","at":"2026-01-02T12:00:00Z"}"#;
        for v in [VERSION, VERSION + 1] {
            assert_eq!(event(v, marked), Err(Unreadable::Ignorable));
            assert_eq!(account_event(v, marked), Err(Unreadable::Ignorable));
            assert_eq!(operator_event(v, marked), Err(Unreadable::Ignorable));
            assert!(!matches!(event(v, unmarked), Ok(_) | Err(Unreadable::Ignorable)));
        }
        let known =
            r#"{"event":"resumed","at":"2026-01-02T12:00:00Z","why":"new","ignorable":true}"#;
        assert!(account_event(VERSION, known).is_ok(), "a field that is not known does no harm");
    }

    #[test]
    fn a_text_that_somebody_had_told_does_not_fill_the_journal() {
        let alert = |message: &str| Event::Alerted {
            at: fixtures::now(),
            alert: crate::model::Alert::new(crate::model::AlertCode::SignalMissing, "cpu", message),
        };
        let scope = Scope::Fleet("web".into());
        let short = encode(&scope, &alert("short")).body;
        assert_eq!(short, text(&alert("short")));
        let long = encode(&scope, &alert(&"é".repeat(4_000_000))).body;
        assert!(long.len() < RECORD_BYTES, "{} bytes", long.len());
        let read = event(VERSION, &long).expect("it is read all the same");
        let told = format!("{}…", "é".repeat(TEXT_CHARS));
        assert_eq!(read, alert(&told));
    }

    #[test]
    fn a_lift_is_read_whether_or_not_it_says_what_was_lifted() {
        let id = "abcdef01-0000-4000-8000-000000000000";
        let at = "2026-01-02T12:00:00Z";
        let old = format!(r#"{{"event":"lifted","at":"{at}","id":"{id}","author":"bob"}}"#);
        let read = operator_event(VERSION, &old).expect("read");
        assert!(matches!(&read, OperatorEvent::Lifted { hold: None, .. }), "{read:?}");
        assert_eq!(text(&read), old, "written as it was");
    }

    #[test]
    fn inputs_are_read_back_to_the_last_bit() {
        let mut inputs =
            fixtures::inputs(fixtures::fleet(1, 9), fixtures::running(3), History::default());
        let sample = crate::model::Sample {
            // Numbers that a sloppy reader changes.
            value: 0.1 + 0.2,
            measured_at: fixtures::now(),
            age: crate::model::Span::secs(3),
            reporting: Some(3),
        };
        inputs.signals.insert("cpu".into(), Ok(sample));
        inputs.signals.insert("odd".into(), Ok(crate::model::Sample { value: 1e-320, ..sample }));
        let bytes = encode_inputs(&inputs).expect("small enough");
        assert_eq!(decode_inputs(&bytes).expect("read"), inputs);
        assert!(matches!(decode_inputs(b"no"), Err(Unreadable::Malformed(_))));
    }
}
