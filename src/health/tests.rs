//! Probes against real listeners.

use std::sync::Arc;
use std::time::Duration;

use cloud::{Clock, SystemClock};
use tokio::net::TcpListener;
use wiremock::matchers::{header, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{CheckKind, CheckSpec, HttpCheck, Prober, Target, at_once};
use crate::model::Span;

fn spec(kind: CheckKind) -> CheckSpec {
    let (interval, timeout) = (Span::secs(1), Span::secs(1));
    CheckSpec { kind, interval, timeout, healthy_after: 1, unhealthy_after: 1 }
}

fn http(port: u16, body: Option<&str>) -> CheckKind {
    CheckKind::Http(HttpCheck {
        url: format!("http://{{ip}}:{port}/healthz"),
        status: (200, 299),
        body: body.map(str::to_owned),
        headers: vec![("host".to_owned(), "shop.example.com".to_owned())],
        ca_file: None,
    })
}

fn target() -> Target {
    Target { id: "i-1".into(), address: [127, 0, 0, 1].into() }
}

/// The first verdict of these checks.
async fn verdict(checks: &[CheckKind]) -> bool {
    let checks: Vec<CheckSpec> = checks.iter().cloned().map(spec).collect();
    let prober = Prober::new(&"web".into(), &checks, at_once(), Arc::new(SystemClock));
    let prober = prober.expect("a prober");
    prober.watch([target()]);
    for _ in 0..1_200 {
        if let Some(verdict) = prober.verdicts().of(&target().id) {
            return verdict;
        }
        SystemClock.sleep(Duration::from_millis(25)).await;
    }
    panic!("there is no verdict");
}

#[tokio::test]
async fn all_checks_must_agree() {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_string("all is well");
    Mock::given(method("GET"))
        .and(header("host", "shop.example.com"))
        .respond_with(answer)
        .mount(&server)
        .await;
    let port = server.address().port();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let open = CheckKind::Tcp { port: listener.local_addr().expect("an address").port() };
    let command = |script: &str| CheckKind::Command {
        argv: ["/bin/sh", "-c", script, "{ip}"].map(str::to_owned).to_vec(),
    };
    let good = command("test \"$0\" = 127.0.0.1 && test $FLEETSCALER_INSTANCE = i-1");
    assert!(verdict(&[http(port, Some("is well")), open.clone(), good]).await);
    assert!(!verdict(&[http(port, Some("is ill")), open.clone()]).await, "the body says otherwise");
    assert!(!verdict(&[command("sleep 60")]).await, "it hangs");
    drop(listener);
    assert!(!verdict(&[http(port, None), open]).await, "one says no");
}

#[tokio::test]
async fn who_is_not_watched_any_more_has_no_verdict() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let checks = [spec(CheckKind::Tcp { port })];
    let prober = Prober::new(&"web".into(), &checks, at_once(), Arc::new(SystemClock));
    let prober = prober.expect("a prober");
    let other = Target { id: "i-2".into(), ..target() };
    prober.watch([target(), other.clone()]);
    for _ in 0..1_200 {
        if prober.verdicts().0.len() == 2 {
            break;
        }
        SystemClock.sleep(Duration::from_millis(25)).await;
    }
    prober.watch([other.clone()]);
    let verdicts = prober.verdicts();
    assert_eq!((verdicts.of(&target().id), verdicts.of(&other.id)), (None, Some(true)));
}
