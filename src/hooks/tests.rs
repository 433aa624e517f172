//! Hooks against real servers and programs.

use std::sync::Arc;
use std::time::Duration;

use cloud::{Clock, Secret, SystemClock};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::attempt::signature;
use super::{Called, Calls, HookRunner, HookTarget, Subject};
use crate::model::{HookName, HookOutcome, HookPoint, IntentId, Span};

const SECRET: &str = "sesame open";

fn subject(n: u128) -> Subject {
    Subject {
        id: IntentId(uuid::Uuid::from_u128(n)),
        fleet: "web".into(),
        instance: "i-1".into(),
        address: Some([10, 0, 0, 7].into()),
        zone: "h".to_owned(),
        instance_type: "c7".to_owned(),
        on: HookPoint::Drain,
        hook: HookName("deregister".to_owned()),
    }
}

fn http(url: &str) -> Calls {
    let secret = Some(Secret::new(SECRET.to_owned()));
    Calls::Http { url: url.to_owned(), secret, ca_file: None }
}

fn shell(script: &str) -> Calls {
    Calls::Command { argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec() }
}

/// What becomes of one call.
async fn called(calls: Calls, deadline: u64) -> Called {
    let target = HookTarget {
        name: HookName("deregister".to_owned()),
        calls,
        timeout: Span::secs(1),
        deadline: Span::secs(deadline),
    };
    let runner = HookRunner::new(&[target], Arc::new(SystemClock)).expect("a runner");
    runner.keep_to(vec![subject(1)]);
    for _ in 0..1_200 {
        if let Some(called) = runner.ended().remove(&subject(1).id) {
            return called;
        }
        SystemClock.sleep(Duration::from_millis(25)).await;
    }
    panic!("it never ended");
}

async fn server(answers: &[ResponseTemplate]) -> MockServer {
    let server = MockServer::start().await;
    for (n, answer) in answers.iter().enumerate() {
        let mock = Mock::given(method("POST")).respond_with(answer.clone());
        let is_last = n + 1 == answers.len();
        if is_last { mock } else { mock.up_to_n_times(1) }.mount(&server).await;
    }
    server
}

#[tokio::test]
async fn a_server_gets_a_signed_body_and_says_what_follows() {
    let retain = ResponseTemplate::new(200).set_body_string(r#"{"outcome":"retain"}"#);
    let server = server(&[ResponseTemplate::new(503), retain]).await;
    assert_eq!(called(http(&server.uri()), 30).await, Ok(HookOutcome::Retain));
    let requests = server.received_requests().await.expect("requests");
    assert_eq!(requests.len(), 2, "what may pass is tried again");
    let header =
        |n: usize, name: &str| requests[n].headers[name].to_str().expect("text").to_owned();
    assert_eq!(header(0, "x-fleetscaler-call"), header(1, "x-fleetscaler-call"), "with one id");
    let sent_at: i64 = header(1, "x-fleetscaler-timestamp").parse().expect("a number");
    let body = String::from_utf8(requests[1].body.clone()).expect("text");
    let wanted = signature(&Secret::new(SECRET.to_owned()), sent_at, &body);
    assert_eq!(header(1, "x-fleetscaler-signature"), wanted);
    assert!(body.contains(r#""instance":"i-1""#) && body.contains(r#""address":"10.0.0.7""#));
}

#[tokio::test]
async fn garbage_refusals_and_silence_are_failures_that_say_why() {
    let page = "<html>".repeat(200_000);
    for (answer, wanted) in [
        (ResponseTemplate::new(404).set_body_string("no such page"), "404"),
        (ResponseTemplate::new(200).set_body_string(r#"{"outcome":"explode"}"#), "does not exist"),
        (ResponseTemplate::new(400).set_body_string(format!("{SECRET} {page}")), "400"),
    ] {
        let why = called(http(&server(&[answer]).await.uri()), 30).await.expect_err(wanted);
        assert!(why.contains(wanted) && why.len() < 1_000, "{why}");
        assert!(!why.contains(SECRET), "{why}");
    }
    let hangs = ResponseTemplate::new(200).set_delay(Duration::from_secs(60));
    let why = called(http(&server(&[hangs]).await.uri()), 2).await.expect_err("it hangs");
    assert!(why.contains("no answer within 1 s"), "{why}");
    // An answer that says nothing of an outcome is a yes, whatever it is.
    let big = ResponseTemplate::new(200).set_body_string(page);
    assert_eq!(called(http(&server(&[big]).await.uri()), 30).await, Ok(HookOutcome::Continue));
}

#[tokio::test]
async fn a_program_gets_the_facts_and_its_last_words_are_kept() {
    let knows = "test \"$FLEETSCALER_INSTANCE $FLEETSCALER_ADDRESS $FLEETSCALER_ON\" = 'i-1 10.0.0.7 drain'";
    assert_eq!(called(shell(knows), 30).await, Ok(HookOutcome::Continue));
    let why = called(shell("yes noise | head -c 100000 >&2; echo gone >&2; exit 3"), 30).await;
    let why = why.expect_err("it failed");
    assert!(why.contains("exit status: 3") && why.len() < 1_000, "{why}");
    let missing = Calls::Command { argv: vec!["/nowhere/at/all".to_owned()] };
    assert!(called(missing, 30).await.expect_err("it is missing").contains("cannot be run"));
    let hangs = called(shell("sleep 60"), 2).await.expect_err("it hangs");
    assert!(hangs.contains("no answer within 1 s"), "{hangs}");
}

#[tokio::test]
async fn a_call_that_is_not_wanted_any_more_is_given_up() {
    let target = HookTarget {
        name: HookName("deregister".to_owned()),
        calls: shell("sleep 60"),
        timeout: Span::secs(60),
        deadline: Span::secs(60),
    };
    let runner = HookRunner::new(&[target], Arc::new(SystemClock)).expect("a runner");
    runner.keep_to(vec![subject(1), subject(2)]);
    runner.keep_to(vec![subject(2)]);
    assert!(runner.ended().is_empty());
    runner.keep_to(Vec::new());
    assert!(format!("{runner:?}").contains("calls: Mutex { data: {}"), "{runner:?}");
}
