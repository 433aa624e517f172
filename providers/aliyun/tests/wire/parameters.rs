//! Every parameter name that we send is one that the action knows: the API ignores others without
//! a word.

use std::collections::BTreeSet;

use crate::common::{account, launch, now};
use cloud::{ManualClock, Mutation, Observe, Preview, TagFilter, Terminate};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

/// Action and name, `N` for numbers, from the vendor's API metadata.
fn known() -> BTreeSet<String> {
    include_str!("../params.txt").lines().map(str::to_owned).collect()
}

fn general(action: &str, name: &str) -> String {
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let parts = name.split('.').map(|part| if digits(part) { "N" } else { part });
    format!("{action} {}", parts.collect::<Vec<_>>().join("."))
}

#[test]
fn every_parameter_of_every_write_is_known() {
    let known = known();
    let ecs = account("http://127.0.0.1:9", &ManualClock::at(now()));
    let ids = || vec!["i-1".into(), "i-2".into()];
    let tags = launch().tags;
    let mut names = 0;
    for mutation in [
        Mutation::Launch(Box::new(launch())),
        Mutation::Tag { ids: ids(), tags },
        Mutation::Start { ids: ids() },
        Mutation::Stop { ids: ids() },
        Mutation::Delete { ids: ids(), how: Terminate::Graceful },
        Mutation::Delete { ids: ids(), how: Terminate::StopThenDelete },
    ] {
        for call in ecs.preview(&mutation) {
            for (name, _) in &call.form {
                names += 1;
                let general = general(&call.action, name);
                assert!(known.contains(&general), "{general}");
            }
        }
    }
    assert!(names > 40, "every parameter was looked at: {names}");
}

#[tokio::test]
async fn every_parameter_of_every_read_is_known() {
    let known = known();
    let server = MockServer::start().await;
    Mock::given(matchers::any()).respond_with(ResponseTemplate::new(500)).mount(&server).await;
    let ecs = account(&server.uri(), &ManualClock::at(now()));
    // The answers do not matter.
    drop(ecs.instances_by_tags(&TagFilter::of(("a", "b"), ("c", "d"), &[])).await);
    drop(ecs.instances_by_tags(&TagFilter::of_any(("a", "b"), "c")).await);
    drop(ecs.instances_by_ids(&["i-1".into()]).await);
    drop(ecs.probe_list().await);
    drop(ecs.probe_launch(&launch()).await);
    drop(ecs.offers("ecs.c7.large").await);
    drop(ecs.price_per_hour("ecs.c7.large", "cn-hangzhou-h").await);
    let requests = server.received_requests().await.expect("recorded");
    assert_eq!(requests.len(), 7);
    for request in requests {
        let action =
            request.url.query_pairs().find(|(name, _)| name == "Action").expect("an action").1;
        let body = String::from_utf8(request.body.clone()).expect("a form");
        for pair in body.split('&') {
            let general = general(&action, pair.split('=').next().expect("a name"));
            assert!(known.contains(&general), "{general}");
        }
    }
}
