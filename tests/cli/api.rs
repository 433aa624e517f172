//! The API of a running daemon, over its socket and its port.

use std::path::Path;
use std::time::Duration;

use cloud::{Clock, SystemClock};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::harness::World;
use crate::http::Daemon;

/// Status and body of what a socket answers to a request.
pub(crate) async fn ask(socket: &Path, method: &str, page: &str, body: &str) -> (u16, Value) {
    let mut stream = connected(socket).await;
    let length = body.len();
    let request = format!(
        "{method} {page} HTTP/1.1\r\nHost: fleetscaler\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
    (status.expect("a status"), value)
}

async fn connected(socket: &Path) -> UnixStream {
    for _ in 0..300 {
        if let Ok(stream) = UnixStream::connect(socket).await {
            return stream;
        }
        SystemClock.sleep(Duration::from_millis(100)).await;
    }
    panic!("{} does not answer", socket.display());
}

pub(crate) async fn get(socket: &Path, page: &str) -> Value {
    let (status, value) = ask(socket, "GET", page, "").await;
    assert_eq!(status, 200, "{page}: {value}");
    value
}

/// Waits until `page` is as `wanted` says.
pub(crate) async fn until(socket: &Path, page: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut value = Value::Null;
    for _ in 0..1_200 {
        value = get(socket, page).await;
        if wanted(&value) {
            return value;
        }
        SystemClock.sleep(Duration::from_millis(100)).await;
    }
    panic!("{page} stays {value:#}");
}

#[tokio::test]
async fn the_api_tells_of_a_fleet_why_and_takes_a_hold() {
    let world = World::new().await;
    let socket = world.socket();
    let daemon = Daemon::start(&world);
    let web = "/v1/fleets/web";
    let fleet = until(&socket, web, |fleet| fleet["instances"]["serving"] == 1).await;
    assert_eq!(fleet["acts"], "this_replica", "{fleet:#}");
    assert_eq!(fleet["bounds"], json!({ "min_instances": 1, "max_instances": 3 }), "{fleet:#}");
    assert_eq!(fleet["signals"][0]["signal"], "cpu", "{fleet:#}");
    let instances = get(&socket, "/v1/fleets/web/instances").await;
    assert_eq!(instances["instances"][0]["phase"], "in_service", "{instances:#}");
    assert_eq!(instances["instances"][0]["ownership"], "managed", "{instances:#}");

    // Above 75 it adds one; the decision says what was seen, wanted and done.
    world.cpu(88.0);
    let page = "/v1/fleets/web/decisions?limit=200";
    let acted = |decision: &&Value| {
        decision["launched_instances"] == 1 && decision["current_instances"] == 1
    };
    let served = |all: &Value| {
        let decision = all["decisions"].as_array().and_then(|all| all.iter().find(acted));
        decision.is_some_and(|decision| decision["actions"][0]["served_after_secs"].is_number())
    };
    let all = until(&socket, page, served).await;
    let decision = all["decisions"].as_array().and_then(|all| all.iter().find(acted));
    let decision = decision.expect("it was there");
    assert_eq!(decision["rules"][0]["asks_instances"], 2, "{decision:#}");
    let saw = decision["saw"]["instances"].as_object().expect("counts by phase");
    let counted: u64 = saw.values().filter_map(Value::as_u64).sum();
    assert_eq!(counted, 1, "{decision:#}");
    assert_eq!(decision["signals"][0]["value"], 88.0, "{decision:#}");
    let outcome = decision["actions"][0]["outcome"].as_str().expect("it is settled");
    assert!(outcome.contains("accepted as i-"), "{decision:#}");
    world.cpu(50.0);

    let hold =
        json!({ "holds": "scale_in", "for_secs": 3600, "author": "mei", "reason": "a\nlook" });
    let (status, placed) = ask(&socket, "POST", "/v1/fleets/web/holds", &hold.to_string()).await;
    assert_eq!((status, &placed["reason"]), (201, &json!("a look")), "{placed}");
    let fleet = get(&socket, web).await;
    assert_eq!(fleet["holds"][0]["author"], "mei", "{fleet:#}");
    let listed = world.run(&["holds"]).await;
    assert!(listed.out.contains("scale-in held by mei"), "{listed:?}");
    let id = placed["id"].as_str().expect("an id");
    let page = format!("/v1/fleets/web/holds/{id}?author=mei");
    assert_eq!(ask(&socket, "DELETE", &page, "").await.0, 200);
    assert_eq!(ask(&socket, "DELETE", &page, "").await.0, 404);

    let budget = get(&socket, "/v1/budget").await;
    assert!(budget["accounts"][0]["calls_last_minute"].as_u64() > Some(0), "{budget:#}");
    let places = get(&socket, "/v1/places").await;
    assert_eq!(places["places"][0]["state"], "open", "{places:#}");
    let about = get(&socket, "/v1/daemon").await;
    assert_eq!((&about["acts_for_fleets"], &about["not_ready"]), (&json!(1), &Value::Null));
    daemon.stop();
    assert!(!socket.exists(), "it goes with the daemon");
}

#[tokio::test]
async fn what_is_not_there_is_said_with_what_to_do() {
    let world = World::new().await;
    let socket = world.socket();
    let daemon = Daemon::start(&world);
    for (method, page, body, status, code, hint) in [
        ("GET", "/v1/fleets/wep", "", 404, "unknown_fleet", "did you mean `web`?"),
        ("GET", "/v1/nothing", "", 404, "unknown_page", "docs/api.md"),
        ("PUT", "/v1/fleets", "", 405, "method_not_allowed", "openapi"),
        ("GET", "/v1/fleets/web/decisions?at=noon", "", 400, "bad_request", "2026"),
        ("GET", "/v1/fleets/web/decisions?limit=0", "", 400, "bad_request", "1 to 200"),
        ("GET", "/v1/fleets/web/decisions?limits=1", "", 400, "bad_request", "openapi"),
        ("POST", "/v1/holds", "{}", 400, "bad_request", "for_secs"),
        ("POST", "/v1/holds", "nonsense", 400, "bad_request", "for_secs"),
        ("DELETE", "/v1/holds/x?author=mei", "", 404, "unknown_hold", "/v1/holds"),
    ] {
        let (got, value) = ask(&socket, method, page, body).await;
        let error = &value["error"];
        assert_eq!((got, error["code"].as_str()), (status, Some(code)), "{method} {page}: {value}");
        let said = error["hint"].as_str().expect("a hint");
        assert!(said.contains(hint), "{method} {page}: {value}");
    }
    // At the port everybody may look and nobody may change anything.
    let (status, fleets) = daemon.get("/v1/fleets").await;
    assert!(status == 200 && fleets.contains("\"web\""), "{fleets}");
    let client = cloud::http::client_builder().tls_certs_only([]).build().expect("a client");
    let asked = client.post(format!("{}/v1/holds", daemon.address)).body("{}").send().await;
    let response = asked.expect("an answer");
    assert_eq!(response.status().as_u16(), 403);
    assert!(response.text().await.expect("a body").contains("api_socket"));
}

#[tokio::test]
async fn events_go_on_after_the_last_one_that_was_seen() {
    let world = World::new().await;
    let socket = world.socket();
    let _daemon = Daemon::start(&world);
    let first = streamed(&socket, 0, 3).await;
    assert!(first.windows(2).all(|two| two[0] < two[1]), "{first:?}");
    let again = streamed(&socket, first[0], 2).await;
    assert_eq!(again, first[1..3], "from the one after");
}

/// The ids of the first so many events after `after`.
async fn streamed(socket: &Path, after: i64, count: usize) -> Vec<i64> {
    let mut stream = connected(socket).await;
    let request =
        format!("GET /v1/events HTTP/1.1\r\nHost: fleetscaler\r\nLast-Event-ID: {after}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.expect("read");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        let ids: Vec<i64> =
            text.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect();
        if ids.len() >= count {
            assert!(text.contains("event: ") && text.contains("\"record\":{"), "{text}");
            return ids[..count].to_vec();
        }
        assert!(read > 0, "it ended: {text}");
    }
}

#[tokio::test]
async fn instructions_are_given_and_withdrawn_over_the_socket() {
    let world = World::new().await;
    let socket = world.socket();
    let _daemon = Daemon::start(&world);
    until(&socket, "/v1/fleets/web", |fleet| fleet["instances"]["serving"] == 1).await;
    let body = json!({ "kind": "size", "fleet": "web", "min": 2, "for_secs": 600, "author": "mei",
        "reason": "two\nlines" });
    let (status, placed) = ask(&socket, "POST", "/v1/instructions", &body.to_string()).await;
    assert_eq!(status, 201, "{placed:#}");
    assert!(!placed["reason"].as_str().expect("a text").contains('\n'), "{placed:#}");
    let listed = get(&socket, "/v1/fleets/web/instructions").await;
    assert_eq!(listed["instructions"][0]["min"], 2, "{listed:#}");
    until(&socket, "/v1/fleets/web", |fleet| fleet["instances"]["serving"] == 2).await;
    for (body, hint) in [
        (json!({ "kind": "size", "for_secs": 600, "author": "m", "reason": "r" }), "fleet"),
        (json!({ "kind": "stop", "for_secs": 600, "author": "m", "reason": "r" }), "protect"),
        (
            json!({ "kind": "protect", "instance": "x", "for_secs": 600, "author": "m",
            "reason": "r" }),
            "i-",
        ),
        (json!({ "kind": "evacuate", "for_secs": 600, "author": "m", "reason": "r" }), "vsw-"),
        (
            json!({ "kind": "protect", "instance": "i-1", "for_secs": 1, "author": "m",
            "reason": "r" }),
            "60",
        ),
    ] {
        let (status, refused) = ask(&socket, "POST", "/v1/instructions", &body.to_string()).await;
        assert_eq!(status, 400, "{body}: {refused:#}");
        assert!(refused.to_string().contains(hint), "{body}: {refused:#}");
    }
    let id = placed["id"].as_str().expect("an id");
    let page = format!("/v1/instructions/{id}?author=mei");
    let (status, withdrawn) = ask(&socket, "DELETE", &page, "").await;
    assert_eq!(status, 200, "{withdrawn:#}");
    let (status, _) = ask(&socket, "DELETE", &page, "").await;
    assert_eq!(status, 404);
}
