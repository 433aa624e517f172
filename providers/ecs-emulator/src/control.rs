//! `/_emulator/`: what tests and people see and change from outside.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::request::RawRequest;
use crate::response::{RawResponse, plain, respond};
use crate::state::State;
use crate::{Fault, FaultKind, SharedState, time};

const HELP: &str = "\
GET    /_emulator/transcript[?after=SEQ]   every call, its parameters and outcome
GET    /_emulator/instances                every instance that ever was
POST   /_emulator/instances {\"tags\": {}}   an instance that somebody else made
POST   /_emulator/instances/ID {\"do\": \"stop\"}
                                           somebody does stop, vanish, protect or unprotect it
GET    /_emulator/zones                    zones that are lost or hang
POST   /_emulator/zones {\"lose\": \"ZONE\"}   its instances disappear, none can be launched
POST   /_emulator/zones {\"hang\": \"ZONE\"}   its instances answer no more, listings go on
POST   /_emulator/zones {\"restore\": \"ZONE\"}
GET    /_emulator/backends                 who is in which load balancer's group
GET    /_emulator/violations               mistakes that the real API lets pass
GET    /_emulator/world                    what this cloud has to offer
POST   /_emulator/world {\"listing_lag\": \"60s\", \"deletion_lag\": \"30s\"}
                                           changes what is named: boot, stop, stock, quotas, ...
GET    /_emulator/clock                    its time
POST   /_emulator/clock {\"advance\": \"30s\"}
GET    /_emulator/faults                   the faults in force
POST   /_emulator/faults [{\"kind\": \"cut_after\", \"action\": \"RunInstances\", \"times\": 1}]
DELETE /_emulator/faults                   no faults any more
";

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

/// An action of somebody else on an instance.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deed {
    r#do: Verb,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verb {
    Stop,
    Vanish,
    Protect,
    Unprotect,
}

/// An event that befalls a zone.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ZoneEvent {
    Lose(String),
    Hang(String),
    Restore(String),
}

pub(crate) fn answer(shared: &SharedState, request: &RawRequest, what: &str) -> RawResponse {
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
        ("POST", what) if what.starts_with("instances/") => with(body, |deed: Deed| {
            let id = what.trim_start_matches("instances/");
            if state.existing(id).is_none() {
                return plain(404, &format!("there is no instance {id}"));
            }
            match deed.r#do {
                Verb::Stop => state.stop(id),
                Verb::Vanish => state.vanish(id),
                Verb::Protect => state.protect(id, true),
                Verb::Unprotect => state.protect(id, false),
            }
            json_of(&json!({ "id": id }))
        }),
        ("GET", "zones") => json_of(&zones(&state)),
        ("POST", "zones") => with(body, |zone: ZoneEvent| {
            let (ZoneEvent::Lose(name) | ZoneEvent::Hang(name) | ZoneEvent::Restore(name)) = &zone;
            if !state.world.zones.contains(name) {
                return plain(404, &format!("there is no zone {name}"));
            }
            match &zone {
                ZoneEvent::Lose(zone) => state.lose_zone(zone),
                ZoneEvent::Hang(zone) => state.hang_zone(zone),
                ZoneEvent::Restore(zone) => state.restore_zone(zone),
            }
            json_of(&zones(&state))
        }),
        ("GET", "backends") => json_of(&state.backend_views()),
        ("GET", "violations") => json_of(&state.violations),
        ("GET", "world") => json_of(&shown(&state)),
        ("POST", "world") => with(body, |change: serde_json::Map<String, Value>| {
            let mut world = serde_json::to_value(&state.world).unwrap_or_default();
            if let Some(fields) = world.as_object_mut() {
                fields.extend(change);
            }
            match serde_json::from_value(world) {
                Ok(world) => state.world = world,
                Err(error) => return plain(400, &format!("that is no world: {error}")),
            }
            json_of(&shown(&state))
        }),
        ("GET", "clock") => json_of(&json!({ "now": state.now() })),
        ("POST", "clock") => with(body, |advance: Advance| {
            state.advance(advance.advance.0);
            json_of(&json!({ "now": state.now() }))
        }),
        ("GET", "faults") => json_of(&state.faults.list()),
        ("POST", "faults") => with(body, |faults: Value| match faults_of(faults) {
            Ok(faults) => {
                faults.into_iter().for_each(|fault| state.faults.add(fault));
                json_of(&state.faults.list())
            }
            Err(error) => plain(400, &format!("that is no fault: {error}\n{}", kinds())),
        }),
        ("DELETE", "faults") => {
            state.faults.clear();
            json_of(&state.faults.list())
        }
        _ => plain(404, &format!("{HELP}\n{}", kinds())),
    }
}

/// A list, or one alone.
fn faults_of(body: Value) -> Result<Vec<Fault>, serde_json::Error> {
    match body {
        Value::Array(faults) => faults.into_iter().map(serde_json::from_value).collect(),
        fault => Ok(vec![serde_json::from_value(fault)?]),
    }
}

/// Every kind of fault, for 80 columns.
fn kinds() -> String {
    let mut lines = vec!["kinds of faults:".to_owned()];
    for kind in FaultKind::ALL {
        let name = kind.name();
        match lines.last_mut() {
            Some(line) if line.len() + 1 + name.len() <= 78 => line.push_str(&format!(" {name}")),
            _ => lines.push(format!("  {name}")),
        }
    }
    lines.join("\n") + "\n"
}

/// The world without its keys: they are secrets even here.
fn shown(state: &State) -> Value {
    let mut world = serde_json::to_value(&state.world).unwrap_or_default();
    if let Some(keys) = world.get_mut("keys").and_then(Value::as_object_mut) {
        keys.values_mut().for_each(|secret| *secret = json!("<secret>"));
    }
    world
}

fn zones(state: &State) -> Value {
    json!({ "lost": state.lost_zones, "hung": state.hung_zones })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_an_unknown_kind_is_told_all_that_there_are() {
        let error = faults_of(json!([{ "kind": "cut" }])).expect_err("unknown").to_string();
        for kind in FaultKind::ALL {
            assert!(error.contains(&format!("`{}`", kind.name())), "{error}");
            assert!(kinds().split_whitespace().any(|name| name == kind.name()), "{}", kinds());
        }
        let counted = error.matches('`').count() / 2 - 1;
        assert_eq!(counted, FaultKind::ALL.len(), "none is left out: {error}");
        assert!(kinds().lines().all(|line| line.len() <= 80), "{}", kinds());
        assert_eq!(faults_of(json!({ "kind": "slow" })).expect("one alone").len(), 1);
    }
}
