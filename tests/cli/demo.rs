//! `demo`, as somebody sees it who has no account: its lines, and its page.

use std::process::{Command, Stdio};
use std::time::Duration;

use cloud::{Clock, SystemClock};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

/// The address in a line such as `Its page: http://127.0.0.1:40001/  (…)`.
fn address(line: &str) -> Option<String> {
    let rest = line.strip_prefix("Its page: ")?;
    rest.split_whitespace().next().map(|url| url.trim_end_matches('/').to_owned())
}

#[tokio::test]
async fn the_demo_serves_the_page_that_it_names_and_a_hold_can_be_placed_there() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetscaler"));
    command.args(["demo", "--plain", "--for", "2m"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child =
        tokio::process::Command::from(command).kill_on_drop(true).spawn().expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let page = loop {
        let line = lines.next_line().await.expect("a line").expect("an address before the end");
        if let Some(page) = address(&line) {
            break page;
        }
    };
    let client = cloud::http::client_builder().no_proxy().build().expect("a client");
    let html = client.get(&page).header("accept", "text/html").send().await.expect("an answer");
    assert!(html.text().await.expect("a text").contains("/page/app.js"));

    let overview = format!("{page}/v1/overview");
    let seen = async || {
        let answer = client.get(&overview).send().await.expect("an answer");
        let overview: Value = answer.json().await.expect("JSON");
        overview["fleets"][0].clone()
    };
    let mut row = seen().await;
    for _ in 0..600 {
        if row["serving"].as_u64() >= Some(2) {
            break;
        }
        SystemClock.sleep(Duration::from_millis(100)).await;
        row = seen().await;
    }
    assert_eq!((row["fleet"].as_str(), row["min"].as_u64()), (Some("web"), Some(2)), "{row}");
    assert!(row["serving"].as_u64() >= Some(2), "{row}");

    let hold = json!({ "holds": "both", "for_secs": 600, "author": "mei", "reason": "a look" });
    let holds = format!("{page}/v1/fleets/web/holds");
    let refused = client.post(&holds).json(&hold).send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let placed = client.post(&holds).bearer_auth("demo").json(&hold).send().await;
    assert!(placed.expect("an answer").status().is_success());
    assert_eq!(seen().await["holds"], 1);
    let metrics = client.get(format!("{page}/metrics")).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("a text");
    assert!(metrics.contains("fleetscaler_desired{fleet=\"web\"}"), "{metrics}");
}
