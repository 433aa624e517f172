//! Holds, hourly limits, failing launches and stopped accounts.

use super::*;

fn hold(direction: Option<Direction>, secs: u64) -> Hold {
    Hold {
        id: uuid::Uuid::nil(),
        fleet: None,
        direction,
        author: "ann".into(),
        reason: "the fair".into(),
        placed: ago(60),
        until: clock::after(now(), Duration::from_secs(secs)),
    }
}

#[test]
fn a_hold_keeps_its_direction_until_it_ends_and_names_who_placed_it() {
    let (out, in_) = (Some(Direction::Out), Some(Direction::In));
    for (name, inputs, hold, changes) in [
        ("out holds out", busy(), hold(out, 60), false),
        ("in does not hold out", busy(), hold(in_, 60), true),
        ("both hold out", busy(), hold(None, 60), false),
        ("in holds in", idle(), hold(in_, 60), false),
        ("out does not hold in", idle(), hold(out, 60), true),
        ("one that has ended", idle(), hold(None, 0), true),
        ("another fleet's", busy(), Hold { fleet: Some("other".into()), ..hold(None, 60) }, true),
    ] {
        let decision = decide(&Inputs { holds: vec![hold], ..inputs });
        assert_eq!(decision.add + decision.remove > 0, changes, "{name}: {decision}");
        let text = decision.to_string();
        assert_eq!(text.contains("held by ann until"), !changes, "{name}: {text}");
    }
}

#[test]
fn a_brake_lets_through_what_is_left_of_the_hour_and_says_whose_it_is() {
    let brakes = |launches, removals, percent| Brakes {
        launches_per_hour: launches,
        removals_per_hour: removals,
        removal_percent: percent,
    };
    let used = |launches, removals| Amounts { launches, removals };
    for (name, inputs, fleet, account, spent, add, remove) in [
        ("no brake", busy(), brakes(None, None, None), brakes(None, None, None), 99, 2, 0),
        ("room", busy(), brakes(Some(5), None, None), brakes(None, None, None), 3, 2, 0),
        ("some room", busy(), brakes(Some(5), None, None), brakes(None, None, None), 4, 1, 0),
        ("none", busy(), brakes(Some(5), None, None), brakes(None, None, None), 5, 0, 0),
        ("the account's", busy(), brakes(None, None, None), brakes(Some(4), None, None), 4, 0, 0),
        ("removals", idle(), brakes(None, Some(3), None), brakes(None, None, None), 3, 0, 0),
        // 4 left of 5: 20 % is one, which is gone.
        ("percent", idle(), brakes(None, None, Some(20.0)), brakes(None, None, None), 1, 0, 0),
        ("at least one", idle(), brakes(None, None, Some(1.0)), brakes(None, None, None), 0, 0, 1),
    ] {
        let mut inputs = inputs;
        inputs.fleet.brakes = fleet;
        inputs.fleet.account_brakes = account;
        inputs.spent = Spent { fleet: used(spent, spent), account: used(spent, spent) };
        let decision = decide(&inputs);
        assert_eq!((decision.add, decision.remove), (add, remove), "{name}: {decision}");
        let braked = decision.reasons.iter().any(|r| matches!(r, Reason::Braked { .. }));
        assert_eq!(braked, add + remove < inputs_want(&decision), "{name}");
    }
}

fn inputs_want(decision: &Decision) -> u32 {
    decision.recommended.abs_diff(decision.current)
}

#[test]
fn launches_that_keep_failing_wait_then_stop_and_then_one_is_tried() {
    let failures = |times: u128, secs| {
        let spec = fingerprint(&fixtures::spec());
        (0..times).fold(None, |before, n| {
            let launch = IntentId(uuid::Uuid::from_u128(n));
            Some(Failures::count(before, &spec, launch, ago(secs), "never booted"))
        })
    };
    for (name, failed, add) in [
        ("one failure waits a minute", failures(1, 59), 0),
        ("and goes on", failures(1, 60), 2),
        ("five stop it", failures(5, 1_799), 0),
        ("after half an hour one is tried", failures(5, 1_800), 1),
    ] {
        let mut inputs = busy();
        inputs.history.failures = failed;
        assert_eq!(decide(&inputs).add, add, "{name}");
    }
    let mut inputs = busy();
    inputs.fleet.launch.spec.image_id = "m-repaired".into();
    inputs.history.failures = failures(9, 1);
    assert_eq!(decide(&inputs).add, 2, "another spec begins anew");
    let mut inputs = busy();
    inputs.history.failures = failures(5, 1_800);
    let probe = fixtures::tracked(Phase::Booting, ("c7", "vsw-h"));
    inputs.history.instances.insert(fixtures::id("i-probe"), probe);
    assert_eq!(decide(&inputs).add, 0, "one at a time");
}

#[test]
fn an_account_that_is_stopped_launches_nothing_and_then_tries_one() {
    let mut inputs = busy();
    Arc::make_mut(&mut inputs.account).apply(&AccountEvent::Stopped {
        at: ago(299),
        class: cloud::Class::Quota,
        message: "the quota is used up".into(),
        code: "QuotaExceed.AfterpayInstance".into(),
    });
    let decision = decide(&inputs);
    assert_eq!(decision.add, 0);
    let blocked = decision.blocked_by.expect("a reason").to_string();
    assert!(blocked.contains("(quota): the quota is used up"), "{blocked}");
    inputs.now = clock::after(now(), Duration::from_secs(1));
    assert_eq!(decide(&inputs).add, 1);
}
