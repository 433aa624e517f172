//! Faults on request.

use std::time::Duration;

use ecs_emulator::{Emulator, Fault, FaultKind, World};
use serde_json::json;

use crate::common::{Cloud, code, usual};

const MINUTE: Duration = Duration::from_secs(60);

fn exist(emulator: &Emulator) -> usize {
    emulator.instances().iter().filter(|view| view.status != "Gone").count()
}

#[tokio::test]
async fn a_launch_is_refused_before_anything_happens_and_its_token_stays_free() {
    for (kind, status, wanted) in [
        (FaultKind::Forbidden, 403, "Forbidden.RAM"),
        (FaultKind::CreatingConflict, 404, "OperationDenied.CreatingConflict"),
        (FaultKind::ThrottleResource, 429, "Throttling.Resource"),
    ] {
        let cloud = Cloud::new(World::default()).await;
        cloud.emulator.inject(Fault::on("RunInstances", kind).times(1));
        let token = [("ClientToken", "t")];
        assert_eq!(code(&cloud.launch(&token).await), (status, wanted));
        assert_eq!(exist(&cloud.emulator), 0, "{wanted}");
        cloud.launched(&token).await;
    }
}

#[tokio::test]
async fn a_launch_that_the_account_cannot_have_is_refused_again_under_its_token() {
    for (kind, wanted) in [
        (FaultKind::QuotaExceeded, "QuotaExceed.ElasticQuota"),
        (FaultKind::NoBalance, "InvalidAccountStatus.NotEnoughBalance"),
    ] {
        let cloud = Cloud::new(World::default()).await;
        cloud.emulator.inject(Fault { action: None, ..Fault::on("", kind).times(1) });
        cloud.list(&[]).await;
        let token = [("ClientToken", "t")];
        assert_eq!(code(&cloud.launch(&token).await), (403, wanted));
        assert_eq!(code(&cloud.launch(&token).await), (403, wanted), "remembered");
        cloud.launched(&[("ClientToken", "u")]).await;
    }
}

#[tokio::test]
async fn a_token_that_is_said_to_be_processing_has_done_its_work() {
    let cloud = Cloud::new(World::default()).await;
    cloud.emulator.inject(Fault::on("RunInstances", FaultKind::TokenProcessing).times(1));
    let token = [("ClientToken", "t"), ("Amount", "2")];
    assert_eq!(code(&cloud.launch(&token).await), (403, "LastTokenProcessing"));
    assert_eq!(exist(&cloud.emulator), 2);
    assert_eq!(cloud.launched(&token).await.len(), 2);
    assert_eq!(exist(&cloud.emulator), 2);
}

#[tokio::test]
async fn a_partial_launch_gives_half_but_never_less_than_the_minimum() {
    let cloud = Cloud::new(World::default()).await;
    cloud.emulator.inject(Fault::on("RunInstances", FaultKind::PartialLaunch));
    for (amount, min_amount, got) in [("5", "1", 3), ("5", "4", 4), ("1", "1", 1)] {
        let ids = cloud.launched(&[("Amount", amount), ("MinAmount", min_amount)]).await;
        assert_eq!(ids.len(), got, "{min_amount} to {amount}");
    }
    assert_eq!(cloud.launched(&[("Amount", "6")]).await.len(), 6, "all or nothing is all");
}

#[tokio::test]
async fn deletions_and_tags_are_refused_on_request() {
    let cloud = Cloud::new(World::default()).await;
    let ids = cloud.launched(&[("Amount", "2")]).await;
    cloud.clock.advance(MINUTE);
    let one = [("InstanceId.1", ids[0].as_str()), ("Force", "true"), ("ClientToken", "one")];
    let both =
        [("InstanceId.1", ids[0].as_str()), ("InstanceId.2", ids[1].as_str()), ("Force", "true")];

    cloud.emulator.inject(Fault::on("DeleteInstances", FaultKind::Initializing).times(1));
    let refused = cloud.call("DeleteInstances", &one).await;
    assert_eq!(code(&refused), (403, "IncorrectInstanceStatus.Initializing"));

    let tag = [("ResourceType", "instance"), ("ResourceId.1", ids[0].as_str()), ("Tag.1.Key", "a")];
    cloud.emulator.inject(Fault::on("TagResources", FaultKind::TagRefused).times(1));
    assert_eq!(code(&cloud.call("TagResources", &tag).await), (403, "NoPermission.Tag"));
    assert_eq!(cloud.call("TagResources", &tag).await.0, 200);

    cloud.emulator.inject(Fault::on("DeleteInstances", FaultKind::BadBatch));
    cloud.emulator.inject(Fault::on("StopInstances", FaultKind::BadBatch));
    for action in ["DeleteInstances", "StopInstances"] {
        assert_eq!(code(&cloud.call(action, &both).await), (403, "IncorrectInstanceStatus"));
    }
    assert_eq!(exist(&cloud.emulator), 2);
    assert_eq!(cloud.call("DeleteInstances", &one).await.0, 200, "a single one passes");
    assert_eq!(exist(&cloud.emulator), 1);
}

#[tokio::test]
async fn a_delayed_launch_happens_later_and_once() {
    let cloud = Cloud::new(World::default()).await;
    let delayed = Fault { delay: MINUTE.into(), ..Fault::on("RunInstances", FaultKind::Delayed) };
    cloud.emulator.inject(delayed.times(1));
    let token = [("ClientToken", "t"), ("Amount", "2")];
    cloud.cut("RunInstances", &usual(&token)).await;
    assert_eq!(cloud.emulator.instances(), []);
    assert_eq!(code(&cloud.launch(&token).await), (403, "LastTokenProcessing"));
    let other = cloud.launch(&[("ClientToken", "t"), ("Amount", "3")]).await;
    assert_eq!(code(&other), (400, "IdempotentParameterMismatch"));
    cloud.clock.advance(MINUTE);
    let views = cloud.emulator.instances();
    assert_eq!(views.len(), 2);
    assert_eq!(cloud.launched(&token).await, [views[0].id.clone(), views[1].id.clone()]);
    assert_eq!(exist(&cloud.emulator), 2);
    let first = &cloud.emulator.transcript()[0];
    assert_eq!((first.created.len(), first.status), (2, 200), "the call that it came with");
    // The token is forgotten half an hour after its first use, not after the effect.
    cloud.clock.advance(MINUTE * 29);
    cloud.launched(&token).await;
    assert_eq!(exist(&cloud.emulator), 4);
}

#[tokio::test]
async fn what_is_delayed_happens_at_its_moment_however_late_anybody_looks() {
    let cloud = Cloud::new(World::default()).await;
    let delayed = Fault { delay: MINUTE.into(), ..Fault::on("RunInstances", FaultKind::Delayed) };
    cloud.emulator.inject(delayed.times(1));
    cloud.cut("RunInstances", &usual(&[("ClientToken", "t")])).await;
    cloud.emulator.change(|world| {
        world.stock.insert("cn-hangzhou-h/ecs.c7.large".to_owned(), 0);
    });
    cloud.clock.advance(MINUTE * 2);
    assert_eq!(code(&cloud.launch(&[("ClientToken", "t")]).await).1, "OperationDenied.NoStock");

    cloud.emulator.change(|world| world.stock.clear());
    let ids = cloud.launched(&[]).await;
    cloud.clock.advance(MINUTE);
    let delayed =
        Fault { delay: MINUTE.into(), ..Fault::on("DeleteInstances", FaultKind::Delayed) };
    cloud.emulator.inject(delayed.times(1));
    let due = cloud::clock::after(cloud::Clock::now(&cloud.clock), MINUTE);
    let delete = [("InstanceId.1", ids[0].as_str()), ("Force", "true"), ("ClientToken", "d")];
    cloud.cut("DeleteInstances", &delete).await;
    assert_eq!(exist(&cloud.emulator), 1);
    cloud.clock.advance(MINUTE * 5);
    assert_eq!(cloud.emulator.instances()[0].gone_at, Some(due));
    assert_eq!(cloud.call("DeleteInstances", &delete).await.0, 200, "answered as it went");
}

#[tokio::test]
async fn a_deletion_on_pending_is_too_early_and_on_starting_is_not() {
    let cloud = Cloud::new(World::default()).await;
    let ids = cloud.launched(&[]).await;
    let delete = [("InstanceId.1", ids[0].as_str()), ("Force", "true")];
    cloud.clock.advance(Duration::from_millis(500));
    let early = cloud.call("DeleteInstances", &delete).await;
    assert_eq!(code(&early), (403, "IncorrectInstanceStatus.Initializing"));
    cloud.clock.advance(Duration::from_secs(2));
    assert_eq!(cloud.emulator.instances()[0].status, "Starting");
    assert_eq!(cloud.call("DeleteInstances", &delete).await.0, 200);
}

#[tokio::test]
async fn faults_have_names_over_http() {
    let cloud = Cloud::new(World::default()).await;
    for name in [
        "quota_exceeded",
        "no_balance",
        "forbidden",
        "token_processing",
        "creating_conflict",
        "throttle_resource",
        "partial_launch",
        "initializing",
        "bad_batch",
        "tag_refused",
        "delayed",
    ] {
        let fault = json!({ "kind": name, "action": "RunInstances", "delay": "5s" });
        assert_eq!(cloud.post("faults", &fault.to_string()).await.0, 200, "{name}");
    }
}
