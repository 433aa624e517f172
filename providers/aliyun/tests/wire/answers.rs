//! Everything that may come instead of an answer: what it is called, and its class.

use std::time::Duration;

use crate::common::{account, launch, now, permit};
use cloud::{Class, ManualClock, Mutate, Observe};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

async fn server(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(matchers::method("POST")).respond_with(answer).mount(&server).await;
    server
}

fn status(code: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(code).set_body_string(body)
}

fn refusal(code: &str) -> String {
    format!(r#"{{"RequestId":"R-1","HostId":"ecs","Code":"{code}","Message":"as it says"}}"#)
}

#[tokio::test]
async fn each_answer_has_its_text_and_its_class_for_reads_and_for_writes() {
    let (again, maybe) = (Class::Transient, Class::Ambiguous);
    let html = "<!DOCTYPE html><html>Bad Gateway</html>";
    let page_without_list = r#"{"RequestId":"R-1","TotalCount":0}"#;
    for (name, answer, read, write, says) in [
        (
            "an HTML page",
            status(502, html),
            again,
            maybe,
            "an HTML page; it begins \"<!DOCTYPE html>",
        ),
        ("XML", status(200, "<?xml version=\"1.0\"?><x/>"), again, maybe, "an XML document"),
        ("an empty body", status(500, ""), again, maybe, "the body is empty"),
        ("half an answer", status(200, "{\"RequestId\":\"4734"), again, maybe, "ends too early"),
        (
            "9 MB",
            status(200, &"x".repeat(9 << 20)),
            Class::Permanent,
            maybe,
            "larger than 8388608 bytes",
        ),
        (
            "an answer without its fields",
            status(200, page_without_list),
            again,
            maybe,
            "unusable answer",
        ),
        (
            "200 with a failing code",
            status(200, &refusal("InternalError")),
            again,
            maybe,
            "InternalError: as it says",
        ),
        (
            "403 without a code",
            status(403, "{}"),
            Class::Auth,
            Class::Auth,
            "without an error code",
        ),
        ("500", status(500, &refusal("InternalError")), again, maybe, "HTTP 500, RequestId R-1"),
        (
            "no permission",
            status(403, &refusal("Forbidden.RAM")),
            Class::Auth,
            Class::Auth,
            "Forbidden.RAM",
        ),
        (
            "sold out",
            status(403, &refusal("OperationDenied.NoStock")),
            Class::NoCapacity,
            Class::NoCapacity,
            "NoStock",
        ),
        (
            "no balance",
            status(403, &refusal("InvalidAccountStatus.NotEnoughBalance")),
            Class::Quota,
            Class::Quota,
            "NotEnough",
        ),
        (
            "lower-case fields",
            status(400, r#"{"requestId":"r","code":"MissingParameter","message":"m"}"#),
            Class::Permanent,
            Class::Permanent,
            "RequestId r",
        ),
        (
            "a slow answer",
            status(200, "{}").set_delay(Duration::from_secs(60)),
            again,
            maybe,
            "no answer within 200ms",
        ),
    ] {
        let server = server(answer).await;
        let clock = ManualClock::at(now());
        let ecs = account(&server.uri(), &clock);
        let listing = ecs.instances_by_ids(&["i-1".into()]).await.expect_err(name);
        assert_eq!(listing.class, read, "{name}, read: {listing}");
        assert!(listing.to_string().contains(says), "{name}: {listing}");
        let launched = ecs.launch(&permit(), &launch()).await.expect_err(name);
        assert_eq!(launched.class, write, "{name}, write: {launched}");
        for error in [&listing, &launched] {
            assert!(!error.to_string().contains("hush"), "{name}: {error}");
            assert!(error.to_string().len() < 700, "{name}: {error}");
        }
    }
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let ecs = account("http://127.0.0.1:9", &ManualClock::at(now()));
    let error = ecs.launch(&permit(), &launch()).await.expect_err("nobody listens");
    assert_eq!(error.class, Class::Transient, "{error}");
    assert!(error.to_string().contains("could not connect"), "{error}");
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_a_write_ambiguous() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut some = [0; 64];
            drop(tokio::io::AsyncReadExt::read(&mut stream, &mut some).await);
        }
    });
    let ecs = account(&url, &ManualClock::at(now()));
    let error = ecs.launch(&permit(), &launch()).await.expect_err("cut off");
    assert_eq!(error.class, Class::Ambiguous, "{error}");
    let error = ecs.probe_list().await.expect_err("cut off");
    assert_eq!(error.class, Class::Transient, "{error}");
}

#[tokio::test]
async fn a_clock_that_is_off_is_corrected_once_from_the_providers() {
    let server = MockServer::start().await;
    let theirs = "Fri, 02 Jan 2026 12:30:00 GMT";
    Mock::given(matchers::query_param("Timestamp", "2026-01-02T12:00:00Z"))
        .respond_with(
            status(400, &refusal("InvalidTimeStamp.Expired")).insert_header("date", theirs),
        )
        .mount(&server)
        .await;
    Mock::given(matchers::query_param("Timestamp", "2026-01-02T12:30:00Z"))
        .respond_with(status(400, &refusal("DryRunOperation")))
        .mount(&server)
        .await;
    let ecs = account(&server.uri(), &ManualClock::at(now()));
    ecs.probe_list().await.expect("permitted, once the time is right");
    ecs.probe_list().await.expect("and from then on");
    assert_eq!(server.received_requests().await.expect("recorded").len(), 3);
}

#[test]
fn plain_http_is_for_loopback_only_unless_it_is_allowed() {
    let refused = std::panic::catch_unwind(|| account("http://10.0.0.1", &ManualClock::at(now())));
    let text = refused.expect_err("refused").downcast_ref::<String>().cloned().unwrap_or_default();
    assert!(text.contains("PlainHttp"), "{text}");
}

#[tokio::test]
async fn a_redirect_says_where_to() {
    let to = status(301, "moved").insert_header("location", "https://elsewhere.example/");
    let server = server(to).await;
    let ecs = account(&server.uri(), &ManualClock::at(now()));
    let error = ecs.probe_list().await.expect_err("not followed").to_string();
    assert!(error.contains("a redirect to https://elsewhere.example/"), "{error}");
}
