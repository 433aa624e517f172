//! A key of another account of the cloud: every fleet looks empty there, and nothing may be launched.

use ecs_emulator::{Entry, Fault, FaultKind, World as Cloud};
use fleetscaler::control::TickError;
use fleetscaler::journal::{self, Reader};
use fleetscaler::model::OperatorEvent;

use crate::harness::{Setup, Wish};

const OURS: &str = "1000000000000001";
const THEIRS: &str = "2000000000000002";

/// The second key is of another account, and sees none of our instances.
fn two_accounts() -> Cloud {
    let mut cloud = Cloud::default();
    cloud.keys.insert("otherid".to_owned(), "othersecret".to_owned());
    cloud.keys.insert("secondid".to_owned(), "secondsecret".to_owned());
    cloud.accounts.insert("otherid".to_owned(), THEIRS.to_owned());
    cloud
}

fn wish() -> Wish {
    Wish { cloud: two_accounts(), ..Wish::default() }
}

fn after(setup: &Setup, seq: u64) -> Vec<String> {
    setup.emulator.transcript_after(seq).into_iter().map(|entry| entry.action).collect()
}

fn last(setup: &Setup) -> u64 {
    setup.emulator.transcript().last().map_or(0, |entry: &Entry| entry.seq)
}

async fn identity(setup: &Setup) -> Option<String> {
    let reader = Reader::open(&setup.state()).await.expect("it can be read");
    reader.account(&"aliyun".into()).await.expect("it can be read").identity
}

#[tokio::test]
async fn a_key_of_another_account_is_used_for_nothing_until_an_operator_says_so() {
    let mut setup = Setup::settled(wish()).await;
    assert_eq!(identity(&setup).await.as_deref(), Some(OURS), "recorded at the first start");
    let before = setup.fleet();

    setup.key("otherid", "othersecret").await;
    let seq = last(&setup);
    for _ in 0..20 {
        setup.clock.advance(crate::harness::INTERVAL);
        setup.cpu(95.0);
        let error = setup.try_tick().await.expect_err("nothing is done with that key");
        let TickError::Survey(error) = error else { panic!("{error}") };
        let text = error.to_string();
        assert!(text.contains(OURS) && text.contains(THEIRS), "{text}");
    }
    assert!(setup.audit().await.is_empty(), "no audit either");
    let sent = after(&setup, seq);
    assert!(sent.iter().all(|action| action == "GetCallerIdentity"), "{sent:?}");
    assert_eq!(sent.len(), 1, "whose it is, is asked once");
    assert_eq!(setup.fleet(), before, "nothing was launched and nothing ended");
    assert_eq!(identity(&setup).await.as_deref(), Some(OURS));

    // The right key again, another one of the same account: nobody need say anything.
    setup.key("secondid", "secondsecret").await;
    let report = setup.ticks(1, 50.0).await.remove(0);
    assert_eq!(report.decision.current, 2);

    setup.key("otherid", "othersecret").await;
    setup.clock.advance(crate::harness::INTERVAL);
    setup.try_tick().await.expect_err("still the other account");
    let accepted = OperatorEvent::AccountAccepted {
        at: cloud::Clock::now(&setup.clock),
        provider: "aliyun".into(),
        account: THEIRS.to_owned(),
        author: "ann".to_owned(),
        reason: "we move".to_owned(),
    };
    journal::say(&setup.state(), &accepted).await.expect("said");
    setup.ticks(1, 50.0).await;
    setup.key("testid", "testsecret").await;
    setup.clock.advance(crate::harness::INTERVAL);
    setup.try_tick().await.expect_err("now the old one is another account");
}

#[tokio::test]
async fn an_sts_that_cannot_be_reached_holds_nothing_up() {
    let mut setup = Setup::new(wish()).await;
    setup.emulator.inject(Fault { times: None, ..Fault::on("GetCallerIdentity", FaultKind::Html) });
    setup.ticks(12, 50.0).await;
    assert_eq!(setup.fleet().len(), 2, "launched without knowing whose the key is");
    assert_eq!(identity(&setup).await, None);
    let asked = setup.emulator.transcript();
    let asked = asked.iter().filter(|entry| entry.action == "GetCallerIdentity").count();
    assert!((2..=4).contains(&asked), "once a minute: {asked} times in three minutes");
    setup.emulator.clear_faults();
    setup.ticks(5, 50.0).await;
    assert_eq!(identity(&setup).await.as_deref(), Some(OURS));
    // Known, and away again when the next process starts with the same key.
    setup.emulator.inject(Fault { times: None, ..Fault::on("GetCallerIdentity", FaultKind::Html) });
    setup.crash().await;
    let report = setup.ticks(1, 50.0).await.remove(0);
    assert_eq!(report.decision.current, 2);
}

#[tokio::test]
async fn launches_that_were_refused_for_the_keys_sake_go_on_soon_after_it_is_another() {
    let mut setup = Setup::settled(wish()).await;
    setup.emulator.inject(Fault { times: None, ..Fault::refusal("RunInstances", "Forbidden.RAM") });
    setup.ticks(12, 90.0).await;
    assert_eq!(setup.fleet().len(), 2);
    setup.emulator.clear_faults();
    setup.key("secondid", "secondsecret").await;
    setup.ticks(3, 90.0).await;
    assert!(setup.fleet().len() > 2, "within a minute, and not after half an hour");
}
