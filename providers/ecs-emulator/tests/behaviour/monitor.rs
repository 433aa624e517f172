//! CloudMonitor: what it takes, and whom it has data of.

use std::time::Duration;

use ecs_emulator::World;
use serde_json::{Value, json};

use crate::common::{Cloud, code};

async fn last(cloud: &Cloud, ids: &[String], more: &[(&str, &str)]) -> (u16, Value) {
    let dimensions: Vec<Value> = ids.iter().map(|id| json!({ "instanceId": id })).collect();
    let dimensions = Value::from(dimensions).to_string();
    let mut parameters = vec![
        ("Version", "2019-01-01"),
        ("Namespace", "acs_ecs_dashboard"),
        ("MetricName", "CPUUtilization"),
        ("Dimensions", dimensions.as_str()),
    ];
    parameters.extend_from_slice(more);
    cloud.call("DescribeMetricLast", &parameters).await
}

/// The points of an answer, which is a text that holds JSON.
fn points(answer: &(u16, Value)) -> Vec<Value> {
    assert_eq!(answer.0, 200, "{answer:?}");
    let text = answer.1["Datapoints"].as_str().expect("a text");
    serde_json::from_str(text).expect("JSON")
}

#[tokio::test]
async fn who_ran_at_that_time_has_data_and_nobody_else() {
    let cloud = Cloud::new(World::default()).await;
    let mut ids = cloud.launched(&[("Amount", "2"), ("ClientToken", "t-1")]).await;
    ids.push("i-nowhere".to_owned());
    assert_eq!(points(&last(&cloud, &ids, &[]).await), Vec::<Value>::new());
    cloud.clock.advance(Duration::from_secs(120));
    let found = last(&cloud, &ids, &[("Length", "1")]).await;
    let first = points(&found);
    // 12:02:30: of a minute ago, and so of the minute that began with 12:01.
    assert_eq!(first[0]["timestamp"], json!(1_767_355_260_000_u64), "{first:?}");
    let token = found.1["NextToken"].as_str().expect("another page").to_owned();
    let rest = last(&cloud, &ids, &[("Length", "1"), ("NextToken", &token)]).await;
    assert_eq!(points(&rest).len(), 1, "and none of an instance that does not exist");
    assert_eq!(rest.1.get("NextToken"), None);
    assert_eq!(cloud.emulator.violations(), []);
}

#[tokio::test]
async fn it_refuses_what_the_vendor_refuses() {
    let cloud = Cloud::new(World::default()).await;
    let one = ["i-1".to_owned()];
    let many: Vec<String> = (0..51).map(|n| format!("i-{n}")).collect();
    for (ids, more, status, refused) in [
        (&many[..], vec![], 400, "InvalidParameter"),
        (&[][..], vec![], 400, "InvalidParameter"),
        (&one[..], vec![("Period", "15")], 400, "InvalidParameter"),
        (&one[..], vec![("Period", "90")], 400, "InvalidParameter"),
        (&one[..], vec![("Dimensions", "i-1")], 400, "InvalidParameter"),
        (&one[..], vec![("MetricName", "Load")], 404, "ResourceNotFound"),
        (&one[..], vec![("Namespace", "")], 400, "MissingParameter"),
    ] {
        let answer = last(&cloud, ids, &more).await;
        assert_eq!(code(&answer), (status, refused), "{more:?}");
    }
}
