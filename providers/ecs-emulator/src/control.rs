//! `/_emulator/`: what tests and people see and change from outside.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::request::RawRequest;
use crate::serve::{RawResponse, plain, respond};
use crate::{Fault, Shared, time};

const HELP: &str = "\
GET    /_emulator/transcript[?after=SEQ]   every call, its parameters and outcome
GET    /_emulator/instances                every instance that ever was
POST   /_emulator/instances {\"tags\": {}}   an instance that somebody else made
GET    /_emulator/violations               mistakes that the real API lets pass
GET    /_emulator/world                    what this cloud has to offer
GET    /_emulator/clock                    its time
POST   /_emulator/clock {\"advance\": \"30s\"}
GET    /_emulator/faults                   the faults in force
POST   /_emulator/faults [{\"kind\": \"cut_after\", \"action\": \"RunInstances\", \"times\": 1}]
DELETE /_emulator/faults                   no faults any more
";

/// A list, or one alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore<T> {
    More(Vec<T>),
    One(T),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance: time::Span,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Foreign {
    #[serde(default)]
    tags: std::collections::BTreeMap<String, String>,
}

pub(crate) fn answer(shared: &Shared, request: &RawRequest, what: &str) -> RawResponse {
    let mut state = shared.state();
    let body = request.body.as_slice();
    match (request.method.as_str(), what) {
        ("GET", "transcript") => {
            let after = request.query().split('&').find_map(|part| part.strip_prefix("after="));
            let after = after.and_then(|seq| seq.parse::<u64>().ok()).unwrap_or(0);
            let entries = state.transcript.entries();
            json_of(&entries.iter().filter(|entry| entry.seq > after).collect::<Vec<_>>())
        }
        ("GET", "instances") => json_of(&state.views()),
        ("POST", "instances") => with(body, |foreign: Foreign| {
            let tags: Vec<(&str, &str)> =
                foreign.tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            json_of(&json!({ "id": state.place_foreign(&tags) }))
        }),
        ("GET", "violations") => json_of(&state.violations),
        ("GET", "world") => {
            let mut world = serde_json::to_value(&state.world).unwrap_or_default();
            // The keys are secrets even here.
            if let Some(keys) = world.get_mut("keys").and_then(Value::as_object_mut) {
                keys.values_mut().for_each(|secret| *secret = json!("<secret>"));
            }
            json_of(&world)
        }
        ("GET", "clock") => json_of(&json!({ "now": state.now() })),
        ("POST", "clock") => with(body, |advance: Advance| {
            state.advance(advance.advance.0);
            json_of(&json!({ "now": state.now() }))
        }),
        ("GET", "faults") => json_of(&state.faults.list()),
        ("POST", "faults") => with(body, |faults: OneOrMore<Fault>| {
            match faults {
                OneOrMore::One(fault) => state.faults.add(fault),
                OneOrMore::More(faults) => faults.into_iter().for_each(|f| state.faults.add(f)),
            }
            json_of(&state.faults.list())
        }),
        ("DELETE", "faults") => {
            state.faults.clear();
            json_of(&state.faults.list())
        }
        _ => plain(404, HELP),
    }
}

fn json_of(value: &impl serde::Serialize) -> RawResponse {
    match serde_json::to_string_pretty(value) {
        Ok(text) => respond(200, "application/json", format!("{text}\n")),
        Err(error) => plain(500, &error.to_string()),
    }
}

fn with<T: for<'de> Deserialize<'de>>(
    body: &[u8],
    then: impl FnOnce(T) -> RawResponse,
) -> RawResponse {
    match serde_json::from_slice(body) {
        Ok(value) => then(value),
        Err(error) => plain(400, &format!("the body is not usable: {error}")),
    }
}
