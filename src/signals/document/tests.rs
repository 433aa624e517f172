//! Every answer that a server of documents may give, over real HTTP.

use std::time::Duration;

use cloud::{ManualClock, Secret};
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::signals::Auth;

fn spec(url: &str) -> JsonSpec {
    JsonSpec {
        url: format!("{url}/stats?queue=web"),
        pointer: Pointer::parse("/queue/depth").expect("a pointer"),
        time_pointer: None,
        max_age: Span::secs(90),
        timeout: Span::secs(5),
        access: ServerAccess::default(),
    }
}

async fn server(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/stats"))
        .and(query_param("queue", "web"))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

async fn read(spec: &JsonSpec) -> Reading {
    let clock = ManualClock::at("2026-01-02T12:00:00Z".parse().expect("a valid time"));
    let clients = Clients::new(Arc::new(clock), Duration::from_secs(7));
    HttpJson::new(spec, &clients).expect("a source").read().await
}

fn body(text: impl Into<String>) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_string(text.into())
}

#[tokio::test]
async fn a_number_without_a_time_is_of_the_moment_of_asking() {
    let server = server(body(r#"{"queue":{"depth":42.5}}"#)).await;
    let sample = read(&spec(&server.uri())).await.expect("a sample");
    assert_eq!((sample.value, sample.age), (42.5, Span::secs(0)));
    assert_eq!(sample.measured_at.timestamp(), 1_767_355_200);
}

#[tokio::test]
async fn the_time_in_the_document_is_the_age_of_the_number() {
    for (time, age) in [
        ("1767355170", Ok(30)),
        ("1767355170000", Ok(30)),
        (r#""2026-01-02T11:59:30Z""#, Ok(30)),
        (r#""1767355170""#, Ok(30)),
        ("1767355210", Ok(0)),
        ("1767355080", Err("120s old")),
        ("1767355300", Err("100 s in the future")),
        ("null", Err("`/at` is null, not a time")),
        ("17", Err("old")),
        ("-5", Err("no Unix time")),
        (r#""noon""#, Err("neither a Unix time nor RFC 3339")),
    ] {
        let server = server(body(format!(r#"{{"queue":{{"depth":1}},"at":{time}}}"#))).await;
        let time_pointer = Some(Pointer::parse("/at").expect("a pointer"));
        let reading = read(&JsonSpec { time_pointer, ..spec(&server.uri()) }).await;
        match (reading, age) {
            (Ok(sample), Ok(age)) => assert_eq!(sample.age, Span::secs(age), "{time}"),
            (Err(gap), Err(says)) => {
                let gap = gap.to_string().replace("2m", "120s");
                assert!(gap.contains(says), "{time}: {gap}");
            }
            (reading, _) => panic!("{time}: {reading:?}"),
        }
    }
    let server = server(body(r#"{"queue":{"depth":1}}"#)).await;
    let time_pointer = Some(Pointer::parse("/at").expect("a pointer"));
    let gap = read(&JsonSpec { time_pointer, ..spec(&server.uri()) }).await.expect_err("a gap");
    assert_eq!(gap.name(), "age_unknown", "{gap}");
}

#[tokio::test]
async fn every_other_answer_is_a_gap_with_its_reason() {
    let html = "<!DOCTYPE html><html><body>Log in</body></html>";
    let huge = format!(r#"{{"pad":"{}","queue":{{"depth":1}}}}"#, "x".repeat(4 * 1024 * 1024));
    let moved = ResponseTemplate::new(302).insert_header("location", "https://login/?back=x");
    for (name, answer, gap, says) in [
        ("HTML", body(html), "bad_answer", "an HTML page"),
        ("nothing", body(""), "bad_answer", "it is empty"),
        ("half", body(r#"{"queue":{"depth":1}"#), "bad_answer", "ends too early"),
        ("too much", body(huge), "bad_answer", "larger than 4194304 bytes"),
        ("null", body(r#"{"queue":{"depth":null}}"#), "bad_answer", "is null, not a number"),
        ("NaN", body(r#"{"queue":{"depth":"NaN"}}"#), "not_finite", "NaN"),
        ("another", body(r#"{"queue":{"length":1}}"#), "bad_answer", "an object with length"),
        ("500", ResponseTemplate::new(500).set_body_string("down"), "http", "HTTP 500: down"),
        ("204", ResponseTemplate::new(204), "http", "HTTP 204"),
        ("a redirect", moved, "http", "redirects to https://login/, and is not followed"),
    ] {
        let server = server(answer).await;
        let found = read(&spec(&server.uri())).await.expect_err(name);
        assert_eq!(found.name(), gap, "{name}: {found}");
        assert!(found.to_string().contains(says), "{name}: {found}");
    }
}

#[tokio::test]
async fn a_server_that_is_slow_or_not_there_is_a_gap() {
    let slow = server(body(r#"{"queue":{"depth":1}}"#).set_delay(Duration::from_secs(3))).await;
    let hasty = JsonSpec { timeout: Span::secs(1), ..spec(&slow.uri()) };
    assert_eq!(read(&hasty).await, Err(Gap::TimedOut { after: Span::secs(1) }));
    let gone = read(&spec("http://127.0.0.1:1")).await.expect_err("nobody");
    assert_eq!(gone.name(), "unreachable", "{gone}");
}

#[tokio::test]
async fn credentials_are_sent_and_no_gap_repeats_them() {
    let server = MockServer::start().await;
    Mock::given(header("authorization", "Bearer hunter2"))
        .and(header("x-team", "sesame"))
        .respond_with(ResponseTemplate::new(403).set_body_string("no: hunter2, sesame"))
        .mount(&server)
        .await;
    let access = ServerAccess {
        auth: Some(Auth::Bearer { token: Secret::new("hunter2".to_owned()) }),
        ca_file: None,
        headers: [("x-team".to_owned(), Secret::new("sesame".to_owned()))].into(),
    };
    let spec = JsonSpec { access, ..spec(&server.uri()) };
    let gap = read(&spec).await.expect_err("refused");
    let shown = format!("{gap} {gap:?} {spec:?}");
    assert!(shown.contains("403"), "{shown}");
    assert!(!shown.contains("hunter2") && !shown.contains("sesame"), "{shown}");
}
