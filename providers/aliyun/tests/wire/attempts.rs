//! The outcome of all attempts of one operation.

use std::time::Duration;

use aliyun::TransportError;
use cloud::{
    Class, Deadline, ErrorKind, InstanceId, Meter, Mutate, Observe, Terminate, Timestamp, clock,
};

use crate::common::{launch, leased, now, permit};
use crate::script::{Say, Stage, launched, lose, refuse};

fn later(secs: u64) -> Timestamp {
    clock::after(now(), Duration::from_secs(secs))
}

fn ids() -> Vec<InstanceId> {
    vec!["i-1".into(), "i-2".into()]
}

#[tokio::test]
async fn nothing_but_a_success_ends_the_doubt_about_a_launch() {
    let not_connected = Say::Fail(TransportError::NotConnected { why: "refused".to_owned() });
    for (name, second, says) in [
        ("throttled", refuse("Throttling.User"), "Throttling.User"),
        ("sold out", refuse("OperationDenied.NoStock"), "OperationDenied.NoStock"),
        ("over the quota", refuse("QuotaExceed.ElasticQuota"), "QuotaExceed.ElasticQuota"),
        ("forbidden", refuse("Forbidden.RAM"), "Forbidden.RAM"),
        ("in conflict", refuse("IncorrectVSwitchStatus"), "IncorrectVSwitchStatus"),
        ("impossible", refuse("InvalidImageId.NotFound"), "InvalidImageId.NotFound"),
        ("another token", refuse("IdempotentParameterMismatch"), "repeats a client token"),
        ("not connected", not_connected, "could not connect: refused"),
        ("lost for ever", lose(), "reset by peer"),
    ] {
        let stage = Stage::new(now(), &[lose(), second]);
        let permit = permit();
        let error = stage.patiently(stage.ecs.launch(&permit, &launch()), |_| {}).await;
        let error = error.expect_err(name);
        assert_eq!(error.class, Class::Ambiguous, "{name}: {error}");
        assert!(error.to_string().contains(says), "{name}: {error}");
        assert!(stage.asked().len() >= 2, "{name}");
    }
    let stage = Stage::new(now(), &[lose(), refuse("ServiceUnavailable"), launched()]);
    let permit = permit();
    let ids = stage.patiently(stage.ecs.launch(&permit, &launch()), |_| {}).await;
    assert_eq!(ids, Ok(self::ids()), "a success does");
}

#[tokio::test]
async fn a_permit_that_runs_out_after_a_lost_answer_leaves_the_doubt() {
    let stage = Stage::new(now(), &[lose()]);
    let permit = leased(&Deadline::fixed(later(1)));
    let error = stage.patiently(stage.ecs.launch(&permit, &launch()), |_| {}).await;
    let error = error.expect_err("no answer");
    assert_eq!(error.class, Class::Ambiguous, "{error}");
    assert!(matches!(error.kind, ErrorKind::NotSent { .. }), "{error}");
}

#[tokio::test]
async fn without_a_doubt_the_class_is_that_of_the_last_answer() {
    for (code, class) in
        [("OperationDenied.NoStock", Class::NoCapacity), ("Forbidden.RAM", Class::Auth)]
    {
        let stage = Stage::new(now(), &[refuse(code)]);
        let error = stage.ecs.launch(&permit(), &launch()).await.expect_err(code);
        assert_eq!((error.class, error.attempts), (class, 1), "{error}");
    }
}

#[tokio::test]
async fn a_misused_token_is_not_repeated() {
    for code in ["IdempotentParameterMismatch", "InvalidIdempotenceParameter.Mismatch"] {
        let stage = Stage::new(now(), &[refuse(code)]);
        let error = stage.ecs.launch(&permit(), &launch()).await.expect_err(code);
        assert_eq!((error.class, error.code()), (Class::Ambiguous, Some(code)), "{error}");
        assert!(matches!(error.kind, ErrorKind::TokenMismatch { .. }), "{error}");
        assert_eq!(stage.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_launch_still_under_way_is_repeated_with_the_same_token_and_another_nonce() {
    for code in
        ["LastTokenProcessing", "Idempotence.Processing", "OperationDenied.CreatingConflict"]
    {
        let stage = Stage::new(now(), &[refuse(code), refuse(code), launched()]);
        let permit = permit();
        let done = stage.patiently(stage.ecs.launch(&permit, &launch()), |_| {}).await;
        assert_eq!(done, Ok(ids()), "{code}");
        let asked = stage.asked();
        let part = |text: &str, name: &str| {
            let from = text.find(name).expect("it is there");
            text[from..].split(['&', ' ']).next().map(str::to_owned)
        };
        for again in &asked[1..] {
            assert_eq!(part(again, "ClientToken="), part(&asked[0], "ClientToken="));
            assert_ne!(part(again, "SignatureNonce="), part(&asked[0], "SignatureNonce="));
        }
    }
}

#[tokio::test]
async fn a_throttled_call_resumes_when_the_minute_turns_within_its_patience() {
    let stage = Stage::new(later(56), &[refuse("Throttling.User"), launched()]);
    let permit = permit();
    let done = stage.patiently(stage.ecs.launch(&permit, &launch()), |_| {}).await;
    assert_eq!(done, Ok(ids()));
    assert!(cloud::Clock::now(&stage.clock) >= later(60));
    let budget = stage.ecs.budget();
    let row = budget.iter().find(|row| row.action == "RunInstances").expect("it was called");
    assert_eq!((row.calls, row.throttled, row.waits), (2, 1, 1));
}

#[tokio::test]
async fn a_throttled_call_goes_back_to_its_caller_when_the_minute_is_long() {
    let stage = Stage::new(later(20), &[refuse("Throttling.User"), launched()]);
    let error = stage.ecs.launch(&permit(), &launch()).await.expect_err("not now");
    let Class::Throttled { retry_after: Some(after) } = error.class else { panic!("{error}") };
    assert!((40..=45).contains(&after.as_secs()), "{error}");
    assert!(matches!(error.kind, ErrorKind::NotSent { .. }), "{error}");
    assert!(error.to_string().contains("Throttling.User"), "{error}");
    // The next one is told without a request, and other actions go on.
    let again = stage.ecs.launch(&permit(), &launch()).await.expect_err("still not");
    assert!(matches!(again.class, Class::Throttled { .. }), "{again}");
    assert_eq!(stage.asked().len(), 1);
    stage.clock.advance(Duration::from_secs(45));
    assert_eq!(stage.ecs.launch(&permit(), &launch()).await, Ok(ids()));
}

#[tokio::test]
async fn a_lease_renewed_while_the_call_waits_keeps_its_permit_and_a_lost_one_ends_it() {
    for (name, renewed, sent) in [("renewed", true, 2), ("not renewed", false, 1)] {
        let slow = |settings: &mut aliyun::Settings| {
            settings.rates.by_action = [("RunInstances".to_owned(), 0.2)].into();
        };
        let stage = Stage::with(now(), &[launched()], slow);
        stage.ecs.launch(&permit(), &launch()).await.expect("the bucket is full");
        let lease = Deadline::moving(later(3));
        let permit = leased(&lease);
        let result = stage
            .patiently(stage.ecs.launch(&permit, &launch()), |at| {
                if renewed {
                    lease.extend(clock::after(at, Duration::from_secs(3)));
                }
            })
            .await;
        assert_eq!(result.is_ok(), renewed, "{name}: {result:?}");
        assert_eq!(stage.asked().len(), sent, "{name}");
    }
}

#[tokio::test]
async fn ids_that_are_gone_after_a_lost_answer_are_deleted() {
    let stage = Stage::new(now(), &[lose(), refuse("InvalidInstanceId.NotFound")]);
    let (permit, ids) = (permit(), ids());
    let results = stage.ecs.delete(&permit, &ids, Terminate::Force);
    let results = stage.patiently(results, |_| {}).await.expect("per instance");
    assert!(results.iter().all(|result| result.result == Ok(())), "{results:?}");

    let protected = "InvalidOperation.DeletionProtection";
    let stage = Stage::new(now(), &[lose(), refuse(protected)]);
    let results = stage.ecs.delete(&permit, &ids, Terminate::Force);
    for result in stage.patiently(results, |_| {}).await.expect("per instance") {
        let error = result.result.expect_err("protected");
        assert_eq!((error.class, error.code()), (Class::Ambiguous, Some(protected)), "{error}");
    }
}

#[tokio::test]
async fn an_instance_that_is_stopping_after_a_lost_answer_is_in_doubt() {
    let rows = r#"{"RequestId":"R","InstanceResponses":{"InstanceResponse":[
        {"InstanceId":"i-1","Code":"IncorrectInstanceStatus","Message":"Stopping"},
        {"InstanceId":"i-2","Code":"200","Message":"success"}]}}"#;
    for (first, class) in [(Some(lose()), Class::Ambiguous), (None, Class::Conflict)] {
        let lines: Vec<Say> =
            first.into_iter().chain([Say::Answer(200, rows.to_owned())]).collect();
        let stage = Stage::new(now(), &lines);
        let permit = permit();
        let results = stage.patiently(stage.ecs.stop(&permit, &ids()), |_| {}).await;
        let results = results.expect("per instance");
        let error = results[0].result.clone().expect_err("not Running");
        assert_eq!((error.class, &results[1].result), (class, &Ok(())), "{error}");
    }
}

#[tokio::test]
async fn equal_dice_give_equal_requests_to_the_byte() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let stage = Stage::new(now(), &[lose(), refuse("ServiceUnavailable"), launched()]);
        let permit = permit();
        let done = stage.patiently(stage.ecs.launch(&permit, &launch()), |_| {}).await;
        runs.push((done, stage.asked(), cloud::Clock::now(&stage.clock)));
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn attempts_are_counted_by_what_came_of_them() {
    let stage = Stage::new(now(), &[lose(), launched(), refuse("DryRunOperation")]);
    let permit = permit();
    stage.patiently(stage.ecs.launch(&permit, &launch()), |_| {}).await.expect("launched");
    stage.ecs.probe_list().await.expect("a dry run");
    let counted = stage.ecs.calls();
    let row = |action: &str, outcome, n| (action.to_owned(), outcome, n);
    assert_eq!(
        counted,
        [
            row("DescribeInstances", "ok", 1),
            row("RunInstances", "ambiguous", 1),
            row("RunInstances", "ok", 1),
        ]
    );
}

#[tokio::test]
async fn a_batch_without_a_permit_is_not_taken_apart() {
    let stage = Stage::new(now(), &[launched()]);
    let permit = leased(&Deadline::fixed(now()));
    let results = stage.ecs.delete(&permit, &ids(), Terminate::Force).await.expect("per instance");
    for result in results {
        let error = result.result.expect_err("too late");
        assert!(matches!(error.kind, ErrorKind::NotSent { .. }), "{error}");
    }
    assert_eq!(stage.asked(), Vec::<String>::new());
    assert_eq!(stage.ecs.budget()[0].calls, 1, "no tokens are spent on what cannot be sent");
}

#[derive(Debug, Default)]
struct Rotated(std::sync::Mutex<u32>);

#[async_trait::async_trait]
impl cloud::credentials::CredentialSource for Rotated {
    async fn fetch(
        &self,
    ) -> Result<cloud::credentials::Credentials, cloud::credentials::CredentialsError> {
        let mut times = self.0.lock().expect("no panic");
        *times += 1;
        let id = if *times == 1 { "old" } else { "new" };
        Ok(aliyun::credentials::KeyPair::new(id, "hush-hush").0)
    }
}

#[tokio::test]
async fn a_key_that_is_repaired_is_taken_up_whatever_the_old_one_was_refused_with() {
    let parameter = r#"{"Code":"InvalidParameter","Message":"The specified parameter \"SecurityToken.Expired\" is not valid."}"#;
    let page = Say::Answer(200, r#"{"Instances":{"Instance":[]}}"#.to_owned());
    for refusal in [
        refuse("InvalidAccessKeyId.NotFound"),
        refuse("InvalidAccessKeyId.Inactive"),
        refuse("InvalidSecurityToken.Expired"),
        refuse("SignatureDoesNotMatch"),
        refuse("IncompleteSignature"),
        refuse("MissingSecurityToken"),
        refuse("Forbidden.RAM"),
        Say::Answer(400, parameter.to_owned()),
    ] {
        let name = format!("{refusal:?}");
        let lines = [page.clone(), refusal, page.clone()];
        let stage = Stage::with(now(), &lines, |settings| {
            settings.credentials = std::sync::Arc::new(Rotated::default());
        });
        let ids = ["i-1".into()];
        stage.ecs.instances_by_ids(&ids).await.expect("the old key works still");
        stage.clock.advance(Duration::from_secs(60));
        let listed = stage.patiently(stage.ecs.instances_by_ids(&ids), |_| {}).await;
        listed.unwrap_or_else(|error| panic!("{name}: {error}"));
        let asked = stage.asked();
        let key =
            |n: usize| ["old", "new"].map(|id| asked[n].contains(&format!("AccessKeyId={id}")));
        assert_eq!((asked.len(), key(1), key(2)), (3, [true, false], [false, true]), "{name}");
    }
}

#[tokio::test]
async fn a_refusal_that_repeats_a_secret_is_shown_without_it() {
    let body = r#"{"Code":"InvalidParameter","Message":"of testid:hush-hush-hush\nforged line"}"#;
    let stage = Stage::with(now(), &[Say::Answer(400, body.to_owned())], |settings| {
        let pair = aliyun::credentials::KeyPair::new("testid", "hush-hush-hush");
        settings.credentials = std::sync::Arc::new(pair);
    });
    let error = stage.ecs.probe_list().await.expect_err("refused").to_string();
    assert!(error.contains("of testid:") && !error.contains("hush"), "{error}");
    assert!(!error.contains('\n'), "{error}");
}
