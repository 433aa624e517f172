//! A signal whose values are sent to the daemon: they scale the fleet, and their silence holds it.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use cloud::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::api::{ask, get, until};
use crate::harness::World;
use crate::http::Daemon;

const PAGE: &str = "/v1/signals/web/cpu";
const TOKEN: &str = "hush-hush-hush";

/// A daemon whose only signal is sent to it, with a token of its own.
fn start(world: &World) -> Daemon {
    Daemon::started(world, "web", |command| {
        let token = world.config().with_file_name("push-token");
        std::fs::write(&token, TOKEN).expect("written");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&token, mode).expect("its owner's alone");
        world.edit(|text| {
            let (head, rest) = text.split_once("source = \"prometheus\"").expect("the signal");
            let (_, tail) = rest.split_once("[[fleet.web.rule]]").expect("the rule");
            let push = "source = \"push\"\nmax_age = \"4s\"\ntoken_file = \"push-token\"\n";
            format!("{head}{push}[[fleet.web.rule]]{tail}")
        });
        command
    })
}

/// Sends `body` to the port with this token.
async fn send(daemon: &Daemon, token: Option<&str>, body: &Value) -> (u16, String) {
    let client = cloud::http::client_builder().tls_certs_only([]).build().expect("a client");
    let mut request = client.post(format!("{}{PAGE}", daemon.address)).body(body.to_string());
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.expect("an answer");
    (response.status().as_u16(), response.text().await.expect("a body"))
}

fn serving(fleet: &Value) -> &Value {
    &fleet["instances"]["serving"]
}

#[tokio::test]
async fn a_pushed_value_scales_a_fleet_and_its_silence_holds_it() {
    let world = World::new().await;
    let socket = world.socket();
    let daemon = start(&world);
    let web = "/v1/fleets/web";
    let fleet = until(&socket, web, |fleet| *serving(fleet) == 1).await;
    let missing = &fleet["signals"][0]["missing"];
    assert_eq!(missing["kind"], "not_pushed", "{fleet:#}");

    // Values above the bound let it grow.
    let mut size = 0;
    for _ in 0..300 {
        let (status, sent) = ask(&socket, "POST", PAGE, r#"{"value":88}"#).await;
        assert_eq!((status, &sent["is_new"]), (200, &json!(true)), "{sent}");
        assert_eq!(sent["acts"], json!(true), "there is one replica: {sent}");
        size = serving(&get(&socket, web).await).as_u64().expect("a count");
        if size == 3 {
            break;
        }
        SystemClock.sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(size, 3, "it grew to its bound");

    // One that says nothing more is a gap, and removes nothing.
    let silent = |fleet: &Value| fleet["signals"][0]["missing"]["kind"] == "stale";
    until(&socket, web, silent).await;
    SystemClock.sleep(Duration::from_secs(3)).await;
    let fleet = get(&socket, web).await;
    assert!(silent(&fleet) && *serving(&fleet) == 3, "{fleet:#}");
    let said = world.run(&["why", "web"]).await;
    let line = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(line.contains("more than max_age = 4s"), "{said:?}");

    // Until somebody speaks again.
    let (status, sent) = send(&daemon, Some(TOKEN), &json!({ "value": 10 })).await;
    assert_eq!(status, 200, "{sent}");
    until(&socket, web, |fleet| fleet["instances"]["serving"] != 3).await;
    let (code, log) = daemon.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains(TOKEN), "{log}");
}

#[tokio::test]
async fn what_may_not_be_sent_is_refused_with_what_to_do() {
    let world = World::new().await;
    let socket = world.socket();
    let daemon = start(&world);
    until(&socket, "/v1/fleets/web", |fleet| *serving(fleet) == 1).await;
    for (token, status) in [(None, 401), (Some("another"), 401), (Some(TOKEN), 200)] {
        let (got, said) = send(&daemon, token, &json!({ "value": 50 })).await;
        assert_eq!(got, status, "{token:?}: {said}");
        assert!(!said.contains(TOKEN), "{said}");
    }
    // It is good for its signal alone.
    let client = cloud::http::client_builder().tls_certs_only([]).build().expect("a client");
    let holds = client.post(format!("{}/v1/holds", daemon.address)).bearer_auth(TOKEN);
    assert_eq!(holds.send().await.expect("an answer").status().as_u16(), 403);

    let at = |secs: i64| {
        let time = SystemClock.now() + chrono::TimeDelta::seconds(secs);
        json!({ "value": 51, "time": time.to_rfc3339() }).to_string()
    };
    let sent = at(1);
    let (status, first) = ask(&socket, "POST", PAGE, &sent).await;
    assert_eq!((status, &first["is_new"]), (200, &json!(true)), "{first}");
    let (status, again) = ask(&socket, "POST", PAGE, &sent).await;
    assert_eq!((status, &again["is_new"]), (200, &json!(false)), "{again}");
    for (body, says) in [
        (at(60), "in the future"),
        (at(-60), "older than the newest"),
        (sent.replace("\"value\":51", "\"value\":52"), "the same time and another value"),
        (r#"{"value":"51"}"#.to_owned(), "no sample"),
        (r#"{"value":NaN}"#.to_owned(), "no sample"),
        (r#"{"value":null}"#.to_owned(), "no sample"),
        (r#"{"value":1e999}"#.to_owned(), "no sample"),
        (r#"{"value":5,"time":"noon"}"#.to_owned(), "no sample"),
        (r#"{"value":5,"unit":"jobs"}"#.to_owned(), "no sample"),
        (String::new(), "no sample"),
    ] {
        let (status, refused) = ask(&socket, "POST", PAGE, &body).await;
        let error = &refused["error"];
        let message = error["message"].as_str().expect("a message");
        assert!(status == 400 && message.contains(says), "{body}: {refused}");
        assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{body}: {refused}");
    }
    for (page, code) in
        [("/v1/signals/wep/cpu", "unknown_fleet"), ("/v1/signals/web/cpo", "unknown_signal")]
    {
        let (status, refused) = ask(&socket, "POST", page, &sent).await;
        assert_eq!((status, refused["error"]["code"].as_str()), (404, Some(code)), "{refused}");
    }
    assert_eq!(ask(&socket, "GET", PAGE, "").await.0, 405);
    // What was sent outlives a reload.
    world.edit(|text| text.replace("max = 3", "max = 4"));
    let (status, reloaded) = ask(&socket, "POST", "/v1/reload?author=mei", "").await;
    assert_eq!(status, 200, "{reloaded}");
    let (status, again) = ask(&socket, "POST", PAGE, &sent).await;
    assert_eq!((status, &again["is_new"]), (200, &json!(false)), "{again}");
    daemon.stop();
}
