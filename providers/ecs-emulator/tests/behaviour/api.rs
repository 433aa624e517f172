//! The API when nothing is wrong but the caller.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloud::{Clock, ManualClock};
use ecs_emulator::{Cut, Emulator, Fault, FaultKind, RawRequest, World};
use serde_json::{Value, json};

use crate::common::{Cloud, Slip, code, start};

#[tokio::test]
async fn only_fresh_requests_with_the_right_signature_are_served() {
    let cloud = Cloud::new(World::default()).await;
    let now = cloud.clock.now();
    let minutes = |n| now + chrono::TimeDelta::minutes(n);
    for (name, secret, at, nonce, says) in [
        ("a wrong secret", "wrong", now, "a", "SignatureDoesNotMatch"),
        ("an old time stamp", "testsecret", minutes(-16), "b", "InvalidTimeStamp.Expired"),
        ("a time stamp of the future", "testsecret", minutes(16), "c", "InvalidTimeStamp.Expired"),
        ("a right one", "testsecret", now, "d", "Instances"),
        ("a nonce for the second time", "testsecret", now, "d", "SignatureNonceUsed"),
    ] {
        let slip = Slip { secret, at, nonce, format: "JSON" };
        let (_, text) = cloud.send("DescribeInstances", &[], slip).await;
        assert!(text.contains(says), "{name}: {text}");
        assert_eq!(secret == "wrong", text.contains("server string to sign is:GET&%2F&"), "{name}");
    }
    let slip = Slip { secret: "testsecret", at: now, nonce: "e", format: "" };
    let (_, xml) = cloud.send("DescribeInstances", &[], slip).await;
    assert!(xml.starts_with("<?xml"), "the default format is XML: {xml}");
}

#[tokio::test]
async fn a_client_token_launches_once() {
    let cloud = Cloud::new(World::default()).await;
    let token = ("ClientToken", "one");
    let first = cloud.launched(&[token, ("Amount", "2")]).await;
    assert_eq!(cloud.launched(&[token, ("Amount", "2")]).await, first);
    let other = cloud.launch(&[token, ("Amount", "3")]).await;
    assert_eq!(code(&other), (400, "IdempotentParameterMismatch"));
    let long = "x".repeat(65);
    let refused = cloud.launch(&[("ClientToken", long.as_str())]).await;
    assert_eq!(code(&refused), (400, "InvalidClientToken.ValueNotSupported"));
    assert_eq!(cloud.emulator.instances().len(), 2);
}

#[tokio::test]
async fn a_token_whose_first_call_is_under_way_is_refused_until_it_is_done() {
    let cloud = Arc::new(Cloud::new(World::default()).await);
    let slow = Fault {
        delay: Duration::from_secs(30).into(),
        ..Fault::on("RunInstances", FaultKind::Slow)
    };
    cloud.emulator.inject(slow.times(1));
    let token = [("ClientToken", "slow")];
    let first = tokio::spawn({
        let cloud = cloud.clone();
        async move { cloud.launched(&[("ClientToken", "slow")]).await }
    });
    while cloud.clock.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(code(&cloud.launch(&token).await), (403, "LastTokenProcessing"));
    cloud.clock.advance(Duration::from_secs(30));
    let ids = first.await.expect("it ends");
    assert_eq!(cloud.launched(&token).await, ids);
}

#[tokio::test]
async fn a_token_is_forgotten_half_an_hour_after_its_first_use() {
    let cloud = Cloud::new(World::default()).await;
    let token = [("ClientToken", "old")];
    let first = cloud.launched(&token).await;
    cloud.clock.advance(Duration::from_secs(29 * 60));
    assert_eq!(cloud.launched(&token).await, first);
    cloud.clock.advance(Duration::from_secs(60));
    assert_ne!(cloud.launched(&token).await, first, "as the real one may, it launches again");
    assert_eq!(cloud.emulator.instances().len(), 2);
}

#[tokio::test]
async fn an_embedded_emulator_answers_as_the_server_does() {
    let cloud = Cloud::new(World::default()).await;
    let embedded = Emulator::embedded(World::default(), Arc::new(cloud.clock.clone()));
    assert_eq!(embedded.url(), "http://127.0.0.1:1");
    let request = |method: &str, path: &str, body: &str| RawRequest {
        method: method.to_owned(),
        path_and_query: path.to_owned(),
        headers: BTreeMap::new(),
        body: body.as_bytes().to_vec(),
    };
    for path in ["/?Action=DescribeInstances&Format=JSON", "/elsewhere", "/_emulator/violations"] {
        let embedded = embedded.call(request("GET", path, "")).await.expect("an answer");
        let url = format!("{}{path}", cloud.emulator.url());
        let served = cloud.client.get(url).send().await.expect("an answer");
        assert_eq!(embedded.status, served.status().as_u16(), "{path}");
        for (name, value) in &embedded.headers {
            assert_eq!(served.headers()[name], value, "{path}");
        }
        assert_eq!(embedded.body, served.bytes().await.expect("a body"), "{path}");
    }
    let fault = r#"{"kind": "cut_before", "times": 1}"#;
    let set = embedded.call(request("POST", "/_emulator/faults", fault)).await.expect("set");
    assert_eq!(set.status, 200);
    assert_eq!(embedded.call(request("GET", "/?Action=DescribeZones", "")).await, Err(Cut));
    assert_eq!(embedded.transcript().len(), 2);
}

#[tokio::test]
async fn a_refusal_is_remembered_under_its_token() {
    let cloud = Cloud::new(World::default()).await;
    cloud.emulator.change(|world| {
        world.stock.insert("cn-hangzhou-h/ecs.c7.large".to_owned(), 0);
    });
    let token = [("ClientToken", "t")];
    assert_eq!(code(&cloud.launch(&token).await), (403, "OperationDenied.NoStock"));
    cloud.emulator.change(|world| world.stock.clear());
    assert_eq!(code(&cloud.launch(&token).await), (403, "OperationDenied.NoStock"));
    cloud.launched(&[("ClientToken", "another")]).await;
}

#[tokio::test]
async fn a_launch_is_all_or_nothing_without_min_amount() {
    let cloud = Cloud::new(World::default()).await;
    cloud.emulator.change(|world| {
        world.stock.insert("cn-hangzhou-h/ecs.c7.large".to_owned(), 3);
    });
    let refused = cloud.launch(&[("Amount", "5")]).await;
    assert_eq!(code(&refused), (403, "OperationDenied.NoStock"));
    let refused = cloud.launch(&[("Amount", "5"), ("MinAmount", "4")]).await;
    assert_eq!(code(&refused), (403, "OperationDenied.NoStock"));
    assert_eq!(cloud.launched(&[("Amount", "5"), ("MinAmount", "1")]).await.len(), 3);
}

#[tokio::test]
async fn what_a_launch_may_not_ask_is_refused_with_its_code() {
    let cloud = Cloud::new(World::default()).await;
    cloud.emulator.change(|world| {
        world.instance_quota = 6;
        if let Some(vswitch) = world.vswitches.get_mut("vsw-zone-i") {
            vswitch.ips = 0;
        }
    });
    for (more, status, wanted) in [
        (vec![("ImageId", "m-none")], 404, "InvalidImageId.NotFound"),
        (vec![("InstanceType", "ecs.none")], 400, "InvalidInstanceType.ValueNotSupported"),
        (vec![("VSwitchId", "vsw-none")], 404, "InvalidVSwitchId.NotFound"),
        (vec![("SecurityGroupId", "sg-none")], 404, "InvalidSecurityGroupId.NotFound"),
        (vec![("SecurityGroupIds.1", "sg-bp1example")], 400, "InvalidParameter.Conflict"),
        (vec![("ZoneId", "cn-hangzhou-i")], 400, "InvalidParameter.Mismatch"),
        (vec![("Amount", "101")], 400, "InvalidParameter"),
        (vec![("Amount", "7")], 400, "QuotaExceed.AfterpayInstance"),
        (vec![("VSwitchId", "vsw-zone-i")], 403, "QuotaExceeded.PrivateIpAddress"),
        (
            vec![("SpotStrategy", "SpotAsPriceGo"), ("DeletionProtection", "true")],
            403,
            "InvalidChargeType.ValueNotSupported",
        ),
        (vec![("SpotStrategy", "Cheap")], 400, "InvalidSpotStrategy"),
        (vec![("Tag.1.Key", "acs:x")], 400, "InvalidTagKey.Malformed"),
        (vec![("Tag.1.Key", "a"), ("Tag.2.Key", "a")], 400, "Duplicate.TagKey"),
        (vec![("UserData", "not base64!")], 400, "InvalidUserData.Base64FormatInvalid"),
        (vec![("DryRun", "true")], 400, "DryRunOperation"),
        (vec![("DryRun", "true"), ("Amount", "2")], 403, "DryRun.InvalidAmount"),
        (vec![("RegionId", "cn-beijing")], 404, "InvalidRegionId.NotFound"),
    ] {
        let answer = cloud.launch(&more).await;
        assert_eq!(code(&answer), (status, wanted), "{more:?}: {}", answer.1);
    }
    assert_eq!(cloud.emulator.instances().len(), 0);
}

#[tokio::test]
async fn pages_are_clamped_and_the_last_one_has_no_token() {
    let cloud = Cloud::new(World::default()).await;
    cloud.launched(&[("Amount", "25")]).await;
    assert_eq!(cloud.list(&[]).await.len(), 10, "the default page");
    assert_eq!(cloud.list(&[("MaxResults", "3")]).await.len(), 10, "a small page is ten");
    let (_, first) = cloud.call("DescribeInstances", &[("MaxResults", "20")]).await;
    assert!(first.get("TotalCount").is_none());
    let token = first["NextToken"].as_str().expect("a token");
    let (_, last) =
        cloud.call("DescribeInstances", &[("MaxResults", "20"), ("NextToken", token)]).await;
    assert_eq!(last["Instances"]["Instance"].as_array().map(Vec::len), Some(5));
    assert_eq!(last["NextToken"], json!(""));
    let third = cloud.list(&[("PageNumber", "3"), ("PageSize", "10")]).await;
    assert_eq!(third.len(), 5);
    assert_eq!(cloud.list(&[("InstanceIds", "[]")]).await.len(), 0, "no ids match nothing");
}

#[tokio::test]
async fn instances_boot_stop_and_go_on_the_clock() {
    let cloud = Cloud::new(World::default()).await;
    let ids = cloud.launched(&[("Amount", "1"), ("Tag.1.Key", "a"), ("Tag.1.Value", "b")]).await;
    let id = ids[0].as_str();
    let only = json!([id]).to_string();
    let status = async || {
        let found = cloud.list(&[("InstanceIds", only.as_str())]).await;
        found.first().map_or("gone".to_owned(), |i| i["Status"].as_str().unwrap_or("?").to_owned())
    };
    assert_eq!(status().await, "Pending");
    let early = cloud.call("DeleteInstances", &[("InstanceId.1", id), ("Force", "true")]).await;
    assert_eq!(code(&early), (403, "IncorrectInstanceStatus.Initializing"));
    cloud.clock.advance(Duration::from_secs(2));
    assert_eq!(status().await, "Starting");
    cloud.clock.advance(Duration::from_secs(3));
    assert_eq!(status().await, "Running");
    let shown = &cloud.list(&[("InstanceIds", only.as_str())]).await[0];
    assert_eq!(shown["CreationTime"], json!("2026-01-02T12:00Z"), "no seconds");
    assert_eq!(shown["Tags"]["Tag"], json!([{ "TagKey": "a", "TagValue": "b" }]));
    let unforced = cloud.call("DeleteInstances", &[("InstanceId.1", id)]).await;
    assert_eq!(code(&unforced), (403, "IncorrectInstanceStatus"));
    let batch = [("InstanceId.1", id), ("InstanceId.2", "i-none"), ("Force", "true")];
    assert_eq!(
        code(&cloud.call("DeleteInstances", &batch).await),
        (404, "InvalidInstanceId.NotFound")
    );
    assert_eq!(status().await, "Running", "one bad id fails the whole batch");
    let graceful = [("InstanceId.1", id), ("Force", "true"), ("ForceStop", "false")];
    cloud.call("DeleteInstances", &graceful).await;
    assert_eq!(status().await, "Stopping");
    cloud.clock.advance(Duration::from_secs(3));
    assert_eq!(status().await, "gone");
}

#[tokio::test]
async fn protection_holds_against_deletion() {
    let cloud = Cloud::new(World::default()).await;
    let ids = cloud.launched(&[("DeletionProtection", "true")]).await;
    cloud.clock.advance(Duration::from_secs(5));
    let refused =
        cloud.call("DeleteInstances", &[("InstanceId.1", &ids[0]), ("Force", "true")]).await;
    assert_eq!(code(&refused), (403, "InvalidOperation.DeletionProtection"));
}

#[tokio::test]
async fn listings_and_tags_lag_when_told_to() {
    let world = World {
        listing_lag: Duration::from_secs(60).into(),
        tag_lag: Duration::from_secs(90).into(),
        ..World::default()
    };
    let cloud = Cloud::new(world).await;
    cloud.launched(&[("Tag.1.Key", "a"), ("Tag.1.Value", "b")]).await;
    let tagged = [("Tag.1.Key", "a"), ("Tag.1.Value", "b")];
    assert_eq!(cloud.list(&[]).await.len(), 0);
    cloud.clock.advance(Duration::from_secs(60));
    assert_eq!((cloud.list(&[]).await.len(), cloud.list(&tagged).await.len()), (1, 0));
    cloud.clock.advance(Duration::from_secs(30));
    assert_eq!(cloud.list(&tagged).await.len(), 1);
}

#[tokio::test]
async fn a_throttled_action_stays_so_until_the_next_minute() {
    let mut world = World::default();
    world.quotas.calls_per_minute.insert("DescribeInstances".to_owned(), 2);
    let cloud = Cloud::new(world).await;
    cloud.list(&[]).await;
    cloud.list(&[]).await;
    assert_eq!(code(&cloud.call("DescribeInstances", &[]).await), (400, "Throttling.User"));
    cloud.launched(&[]).await;
    cloud.clock.advance(Duration::from_secs(29));
    assert_eq!(code(&cloud.call("DescribeInstances", &[]).await), (400, "Throttling.User"));
    cloud.clock.advance(Duration::from_secs(1));
    cloud.list(&[]).await;
}

#[tokio::test]
async fn prices_are_the_worlds_or_follow_from_the_name() {
    let world = World { prices: [("ecs.c6.large".to_owned(), 0.125)].into(), ..World::default() };
    let cloud = Cloud::new(world).await;
    for (instance_type, zone, wanted) in [
        ("ecs.c7.large", "cn-hangzhou-h", Ok(0.4)),
        ("ecs.c7.xlarge", "cn-hangzhou-i", Ok(0.8)),
        ("ecs.c6.large", "cn-hangzhou-h", Ok(0.125)),
        ("ecs.none", "cn-hangzhou-h", Err("InvalidInstanceType.ValueNotSupported")),
        ("ecs.c7.large", "cn-hangzhou-z", Err("InvalidZoneId.NotFound")),
    ] {
        let asked = [("InstanceType", instance_type), ("ZoneId", zone), ("PriceUnit", "Hour")];
        let (_, body) = cloud.call("DescribePrice", &asked).await;
        match wanted {
            Ok(price) => {
                assert_eq!(body["PriceInfo"]["Price"]["TradePrice"], json!(price), "{body}");
                assert_eq!(body["PriceInfo"]["Price"]["Currency"], json!("CNY"));
            }
            Err(code) => assert_eq!(body["Code"], json!(code)),
        }
    }
    assert_eq!(cloud.emulator.violations(), []);
}

#[tokio::test]
async fn mistakes_that_the_real_api_lets_pass_are_noted() {
    let cloud = Cloud::new(World::default()).await;
    cloud.launch(&[("SecurityGroupIDs.1", "x")]).await;
    cloud.list(&[("InstanceIds", "[]")]).await;
    cloud.list(&[("Tag.1.Key", "a")]).await;
    let noted: Vec<String> = cloud.emulator.violations().into_iter().map(|v| v.what).collect();
    for part in ["SecurityGroupIDs.1", "no ClientToken", "InstanceIds=[]", "one tag only"] {
        assert!(noted.iter().any(|what| what.contains(part)), "{part}: {noted:?}");
    }
}

#[tokio::test]
async fn it_is_controlled_from_outside() {
    let cloud = Cloud::new(World::default()).await;
    let at = |what: &str| format!("{}/_emulator/{what}", cloud.emulator.url());
    let get = async |what: &str| {
        let answer = cloud.client.get(at(what)).send().await.expect("an answer");
        answer.json::<Value>().await.expect("JSON")
    };
    let post = async |what: &str, body: &'static str| {
        cloud.client.post(at(what)).body(body).send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(
        post("faults", r#"{"kind": "html", "action": "DescribeInstances", "times": 1}"#).await,
        200
    );
    assert_eq!(post("faults", r#"{"kind": "nonsense"}"#).await, 400);
    assert_eq!(get("faults").await.as_array().map(Vec::len), Some(1));
    assert_eq!(post("clock", r#"{"advance": "30s"}"#).await, 200);
    assert_eq!(get("clock").await["now"], json!("2026-01-02T12:01:00Z"));
    let world = get("world").await;
    assert_eq!(world["keys"]["testid"], json!("<secret>"));
    cloud.launched(&[]).await;
    assert_eq!(get("transcript?after=0").await.as_array().map(Vec::len), Some(1));
    assert_eq!(get("transcript?after=1").await, json!([]));
}

#[tokio::test]
async fn it_listens_on_loopback_only() {
    let addr = "0.0.0.0:0".parse().expect("an address");
    let error = Emulator::start(World::default(), Arc::new(ManualClock::at(start())), addr).await;
    assert!(error.expect_err("refused").to_string().contains("loopback only"));
}
