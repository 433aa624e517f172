//! A source of signals that accepts questions and never answers.

use std::time::Duration;

use fleetscaler::model::Gap;
use tokio::net::TcpListener;

use crate::harness::{Setup, Wish};

/// The address of a server that never says anything.
async fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    url
}

/// A second signal whose source hangs for two minutes.
async fn wish() -> Wish {
    let more = format!(
        r#"
[fleet.web.signal.queue]
source = "prometheus"
url = "{}"
query = "sum(queue)"
timeout = "2m"
[[fleet.web.rule]]
kind = "threshold"
signal = "queue"
scale_out = {{ above = 100 }}
"#,
        silent().await
    );
    // The text lives as long as the test, which is as long as the process.
    Wish { more: Box::leak(more.into_boxed_str()), ..Wish::default() }
}

#[tokio::test]
async fn a_fleet_below_min_does_not_wait_for_a_source_that_hangs() {
    let setup = Setup::new(wish().await).await;
    let tick = tokio::time::timeout(Duration::from_secs(60), setup.tick());
    let report = tick.await.expect("it does not wait for the source");
    assert_eq!(setup.fleet().len(), 2);
    let queue = report.signals.get(&"queue".into()).expect("configured");
    assert!(matches!(queue, Err(Gap::NotAwaited { .. })), "{queue:?}");
    // The source that answers is heard.
    assert!(report.signals.get(&"cpu".into()).is_some_and(Result::is_ok), "{:?}", report.signals);
}
