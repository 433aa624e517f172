//! Every answer that a server may give, over real HTTP.

use std::time::Duration;

use cloud::{ManualClock, Secret};
use proptest::prelude::*;
use wiremock::matchers::{body_string_contains, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::signals::{Auth, ServerAccess};

mod field;

/// The evaluation time of every answer here.
const AT: f64 = 1_767_355_200.0;

fn spec(url: &str) -> PrometheusSpec {
    PrometheusSpec {
        url: url.to_owned(),
        query: "avg(cpu)".to_owned(),
        freshness: None,
        series: BTreeMap::new(),
        reduce: None,
        max_age: Span::secs(90),
        asks_coverage: false,
        timeout: Span::secs(5),
        access: ServerAccess::default(),
    }
}

fn shared() -> (Arc<Clients>, ManualClock) {
    let clock = ManualClock::at("2026-01-02T12:00:00Z".parse().expect("a valid time"));
    (Arc::new(Clients::new(Arc::new(clock.clone()), Duration::from_secs(7))), clock)
}

fn vector(values: &[&str]) -> String {
    let series: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(n, value)| format!(r#"{{"metric":{{"i":"{n}"}},"value":[{AT},"{value}"]}}"#))
        .collect();
    format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#,
        series.join(",")
    )
}

/// A server that answers the value with `value` and the age with a sample 10 s old.
async fn server(value: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(body_string_contains("timestamp"))
        .respond_with(
            ResponseTemplate::new(200).set_body_string(vector(&[&(AT - 10.0).to_string()])),
        )
        .with_priority(1)
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .and(path("/api/v1/query"))
        .respond_with(value)
        .with_priority(2)
        .mount(&server)
        .await;
    server
}

async fn read(spec: &PrometheusSpec) -> Reading {
    Prometheus::new(spec, &shared().0).expect("a source").read().await
}

fn body(text: impl Into<String>) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_string(text.into())
}

#[tokio::test]
async fn a_number_comes_with_the_time_of_its_data() {
    let server = server(body(vector(&["42.5"]))).await;
    let sample = read(&spec(&server.uri())).await.expect("a sample");
    assert_eq!(sample.value, 42.5);
    assert_eq!(sample.age, Span::secs(10));
    assert_eq!(sample.measured_at.timestamp(), 1_767_355_190);
}

#[tokio::test]
async fn every_other_answer_is_a_gap_with_its_reason() {
    let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"NaN"]}}"#;
    let warned = vector(&["1"]).replacen('{', r#"{"warnings":["partial result"],"#, 1);
    let text = r#"{"status":"success","data":{"resultType":"string","result":[1,"a"]}}"#;
    let histogram = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}"#;
    let failed = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
    let html = "<!DOCTYPE html><html><body>Log in</body></html>";
    for (name, answer, gap, says) in [
        ("nothing", body(vector(&[])), "empty", "selects no series"),
        ("NaN", body(vector(&["NaN"])), "not_finite", "NaN"),
        ("+Inf", body(vector(&["+Inf"])), "not_finite", "+Inf"),
        ("-Inf", body(vector(&["-Inf"])), "not_finite", "-Inf"),
        ("a scalar NaN", body(scalar), "not_finite", "NaN"),
        ("two series", body(vector(&["1", "2"])), "several_series", r#"{i="0"}"#),
        ("warnings", body(warned), "warned", "partial result"),
        ("a string", body(text), "not_a_number", "string"),
        ("a histogram", body(histogram), "not_a_number", "histogram"),
        (
            "an error",
            ResponseTemplate::new(400).set_body_string(failed),
            "query_failed",
            "parse error",
        ),
        ("an error with status 200", body(failed), "query_failed", "bad_data"),
        ("HTML", body(html), "bad_answer", "an HTML page"),
        (
            "HTML with status 502",
            ResponseTemplate::new(502).set_body_string(html),
            "http",
            "HTTP 502",
        ),
        ("a redirect to a login", ResponseTemplate::new(302), "http", "HTTP 302"),
        ("no rights", ResponseTemplate::new(401), "http", "HTTP 401"),
        ("nothing at all", body(""), "bad_answer", "empty"),
        ("half an answer", body(&vector(&["1"])[..40]), "bad_answer", "ends too early"),
        ("no data", body(r#"{"status":"success"}"#), "bad_answer", "no data"),
        (
            "an unquoted number",
            body(r#"{"status":"success","data":{"resultType":"scalar","result":[1,2]}}"#),
            "bad_answer",
            "not [time",
        ),
        ("a huge answer", body("x".repeat(5 * 1024 * 1024)), "bad_answer", "larger than"),
    ] {
        let server = server(answer).await;
        let got = read(&spec(&server.uri())).await.expect_err(name);
        assert_eq!(got.name(), gap, "{name}: {got}");
        assert!(got.to_string().contains(says), "{name}: {got}");
    }
}

#[tokio::test]
async fn a_server_that_is_down_or_hangs_is_a_gap() {
    let down = spec("http://127.0.0.1:9");
    assert_eq!(read(&down).await.expect_err("down").name(), "unreachable");
    let hangs = server(body(vector(&["1"])).set_delay(Duration::from_secs(60))).await;
    let spec = PrometheusSpec { timeout: Span(Duration::from_millis(100)), ..spec(&hangs.uri()) };
    assert_eq!(read(&spec).await.expect_err("hangs").name(), "timed_out");
}

#[tokio::test]
async fn several_series_become_one_only_when_asked() {
    let server = server(body(vector(&["10", "20", "30", "80"]))).await;
    for (how, value) in [
        (Reduce::Avg, 35.0),
        (Reduce::Min, 10.0),
        (Reduce::Max, 80.0),
        (Reduce::Sum, 140.0),
        (Reduce::Percentile(50), 25.0),
        (Reduce::Percentile(100), 80.0),
    ] {
        let spec = PrometheusSpec { reduce: Some(how), ..spec(&server.uri()) };
        assert_eq!(read(&spec).await.expect("a sample").value, value, "{how}");
    }
    let one_is_nan = self::server(body(vector(&["10", "NaN"]))).await;
    let spec = PrometheusSpec { reduce: Some(Reduce::Avg), ..spec(&one_is_nan.uri()) };
    assert_eq!(read(&spec).await.expect_err("NaN").name(), "not_finite");
}

/// A server whose value is fine and whose age query answers `age`.
async fn with_age(age: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(body_string_contains("timestamp"))
        .respond_with(age)
        .with_priority(1)
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .respond_with(body(vector(&["5"])))
        .with_priority(2)
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn old_data_is_stale_and_data_of_unknown_age_is_no_data() {
    for (name, age, gap) in [
        ("as old as allowed", body(vector(&[&(AT - 90.0).to_string()])), None),
        ("older", body(vector(&[&(AT - 91.0).to_string()])), Some("stale")),
        ("nothing under the query", body(vector(&[])), Some("age_unknown")),
        ("an error", ResponseTemplate::new(500), Some("age_unknown")),
        ("the far future", body(vector(&[&(AT + 60.0).to_string()])), Some("age_unknown")),
        ("a little ahead", body(vector(&[&(AT + 5.0).to_string()])), None),
        ("no time stamp", body(vector(&["1e300"])), Some("age_unknown")),
    ] {
        let server = with_age(age).await;
        let reading = read(&spec(&server.uri())).await;
        assert_eq!(reading.as_ref().err().map(Gap::name), gap, "{name}: {reading:?}");
    }
}

#[tokio::test]
async fn a_query_without_selectors_needs_a_freshness_query() {
    let server = server(body(vector(&["5"]))).await;
    let constant = PrometheusSpec { query: "vector(5)".to_owned(), ..spec(&server.uri()) };
    assert_eq!(read(&constant).await.expect_err("no age").name(), "age_unknown");
    let fresh = PrometheusSpec { freshness: Some("timestamp(x)".to_owned()), ..constant };
    assert_eq!(read(&fresh).await.expect("a sample").age, Span::secs(10));
}

#[tokio::test]
async fn identical_questions_are_asked_once_per_window() {
    let server = server(body(vector(&["5"]))).await;
    let (shared, clock) = shared();
    let one = Prometheus::new(&spec(&server.uri()), &shared).expect("a source");
    let two = Prometheus::new(&spec(&server.uri()), &shared).expect("a source");
    let (a, b) = tokio::join!(one.read(), two.read());
    assert_eq!(a.expect("a sample"), b.expect("a sample"));
    clock.advance(Duration::from_secs(6));
    one.read().await.expect("shared");
    let asked = |requests: usize| async move { requests };
    assert_eq!(asked(server.received_requests().await.expect("recorded").len()).await, 2);
    clock.advance(Duration::from_secs(1));
    one.read().await.expect("asked anew");
    assert_eq!(server.received_requests().await.expect("recorded").len(), 4);
}

#[tokio::test]
async fn credentials_and_headers_are_sent_and_never_shown() {
    let server = MockServer::start().await;
    Mock::given(header("authorization", "Bearer hush"))
        .and(header("x-scope-orgid", "tenant-1"))
        .respond_with(body(vector(&[&(AT - 1.0).to_string()])))
        .mount(&server)
        .await;
    let secret = |text: &str| Secret::new(text.to_owned());
    let access = ServerAccess {
        auth: Some(Auth::Bearer { token: secret("hush") }),
        headers: [("X-Scope-OrgID".to_owned(), secret("tenant-1"))].into(),
        ca_file: None,
    };
    let spec = PrometheusSpec { access, ..spec(&server.uri()) };
    let source = Prometheus::new(&spec, &shared().0).expect("a source");
    source.read().await.expect("a sample");
    let shown = format!("{source:?}");
    assert!(!shown.contains("hush") && !shown.contains("tenant-1"), "{shown}");
}

#[test]
fn a_ca_file_that_is_none_is_refused_by_name() {
    let access =
        ServerAccess { ca_file: Some("/nonexistent/ca.pem".into()), ..ServerAccess::default() };
    let spec = PrometheusSpec { access, ..spec("https://127.0.0.1:9") };
    let error = Prometheus::new(&spec, &shared().0).expect_err("no such file").to_string();
    assert!(error.contains("/nonexistent/ca.pem"), "{error}");
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_never_a_number(status in 100u16..600, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let parsed = super::answer::parse(status, &bytes, &Want::One(None), &Redactor::default());
        prop_assert!(parsed.is_err());
    }

    #[test]
    fn what_is_a_number_is_finite(text in "[-+0-9eEinfINFaN.]{0,12}", how in 0u8..=100) {
        let body = vector(&[&text, "1"]);
        let want = Want::One(Some(Reduce::Percentile(how)));
        let answer = super::answer::parse(200, body.as_bytes(), &want, &Redactor::default());
        if let Ok(Ok(value)) = answer.map(|answer| answer.one()) {
            prop_assert!(value.is_finite());
        }
    }
}
