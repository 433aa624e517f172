//! Zones that fail, instances that somebody else touches, listings that lag.

use std::time::Duration;

use ecs_emulator::World;
use serde_json::json;

use crate::common::{Cloud, code};

const BOOT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_lost_zone_takes_its_instances_along_and_has_none_until_it_is_restored() {
    let cloud = Cloud::new(World::default()).await;
    cloud.launched(&[("Amount", "2")]).await;
    let there = cloud.launched(&[("VSwitchId", "vsw-zone-i")]).await;
    cloud.clock.advance(BOOT);
    cloud.emulator.lose_zone("cn-hangzhou-h");
    let listed = cloud.list(&[]).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["InstanceId"], json!(there[0]));
    let gone = cloud.emulator.instances().iter().filter(|view| view.gone_at.is_some()).count();
    assert_eq!(gone, 2);
    assert_eq!(code(&cloud.launch(&[]).await), (403, "OperationDenied.NoStock"));
    cloud.launched(&[("VSwitchId", "vsw-zone-i")]).await;
    let asked = [("DestinationResource", "InstanceType"), ("ZoneId", "cn-hangzhou-h")];
    let (_, offers) = cloud.call("DescribeAvailableResource", &asked).await;
    assert!(offers.to_string().contains("WithoutStock"), "{offers}");
    cloud.emulator.restore_zone("cn-hangzhou-h");
    cloud.launched(&[]).await;
    assert_eq!(cloud.list(&[]).await.len(), 3, "what is lost stays so");
}

#[tokio::test]
async fn a_hung_zone_looks_well_in_listings() {
    let cloud = Cloud::new(World::default()).await;
    cloud.launched(&[]).await;
    cloud.clock.advance(BOOT);
    cloud.emulator.hang_zone("cn-hangzhou-h");
    assert_eq!(cloud.list(&[]).await[0]["Status"], json!("Running"));
    assert!(!cloud.emulator.instances()[0].reachable);
    cloud.emulator.restore_zone("cn-hangzhou-h");
    assert!(cloud.emulator.instances()[0].reachable);
}

#[tokio::test]
async fn somebody_stops_protects_and_ends_instances() {
    let cloud = Cloud::new(World::default()).await;
    let ids = cloud.launched(&[("Amount", "2")]).await;
    cloud.clock.advance(BOOT);
    cloud.emulator.stop(&ids[0]);
    assert_eq!(cloud.emulator.instances()[0].status, "Stopping");
    cloud.clock.advance(BOOT);
    assert_eq!(cloud.emulator.instances()[0].status, "Stopped");
    let delete = [("InstanceId.1", ids[0].as_str())];
    cloud.emulator.protect(&ids[0], true);
    let refused = cloud.call("DeleteInstances", &delete).await;
    assert_eq!(code(&refused), (403, "InvalidOperation.DeletionProtection"));
    cloud.emulator.protect(&ids[0], false);
    assert_eq!(cloud.call("DeleteInstances", &delete).await.0, 200);
    cloud.emulator.vanish(&ids[1]);
    assert_eq!(cloud.list(&[]).await.len(), 0);
}

#[tokio::test]
async fn an_instance_is_still_listed_for_a_while_after_its_deletion() {
    let lag = Duration::from_secs(30);
    let cloud = Cloud::new(World { deletion_lag: lag.into(), ..World::default() }).await;
    let ids = cloud.launched(&[("Amount", "2")]).await;
    cloud.clock.advance(BOOT);
    let forced = [("InstanceId.1", ids[0].as_str()), ("Force", "true")];
    cloud.call("DeleteInstances", &forced).await;
    let graceful = [("InstanceId.1", ids[1].as_str()), ("Force", "true"), ("ForceStop", "false")];
    cloud.call("DeleteInstances", &graceful).await;
    let statuses = async || {
        let listed = cloud.list(&[]).await;
        listed.iter().map(|i| i["Status"].as_str().unwrap_or("?").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(statuses().await, ["Stopping", "Running"], "the newest first");
    let again = cloud.call("DeleteInstances", &forced).await;
    assert_eq!(code(&again), (404, "InvalidInstanceId.NotFound"), "it is gone all the same");
    cloud.clock.advance(lag);
    assert_eq!(statuses().await, ["Stopping"]);
    cloud.clock.advance(BOOT);
    assert_eq!(statuses().await, Vec::<String>::new());
}

#[tokio::test]
async fn zones_instances_and_the_world_are_controlled_from_outside() {
    let cloud = Cloud::new(World::default()).await;
    let ids = cloud.launched(&[("Amount", "2")]).await;
    cloud.clock.advance(BOOT);
    let instance = format!("instances/{}", ids[0]);
    for (what, body, status, says) in [
        (instance.as_str(), r#"{"do": "stop"}"#, 200, "i-bp1emu"),
        ("instances/i-none", r#"{"do": "stop"}"#, 404, "no instance i-none"),
        (instance.as_str(), r#"{"do": "explode"}"#, 400, "not usable"),
        ("zones", r#"{"hang": "cn-hangzhou-i"}"#, 200, "cn-hangzhou-i"),
        ("zones", r#"{"lose": "cn-hangzhou-h"}"#, 200, "cn-hangzhou-h"),
        ("zones", r#"{"lose": "cn-hangzhou-z"}"#, 404, "no zone cn-hangzhou-z"),
        ("zones", r#"{"restore": "cn-hangzhou-i"}"#, 200, "\"hung\": []"),
        ("world", r#"{"listing_lag": "7s", "instance_quota": 3}"#, 200, "\"7000ms\""),
        ("world", r#"{"listing_lag": "soon"}"#, 400, "no world"),
        ("world", r#"{"nonsense": 1}"#, 400, "nonsense"),
        ("elsewhere", "{}", 404, "/_emulator/zones"),
    ] {
        let (got, text) = cloud.post(what, body).await;
        assert_eq!(got, status, "{what} {body}: {text}");
        assert!(text.contains(says), "{what} {body}: {text}");
    }
    assert!(cloud.emulator.instances().iter().all(|view| view.status == "Gone"));
    let (_, text) = cloud.post("world", r#"{"tag_lag": "1s"}"#).await;
    assert!(text.contains("<secret>") && !text.contains("testsecret"), "{text}");
    cloud.launched(&[("VSwitchId", "vsw-zone-i")]).await;
}
