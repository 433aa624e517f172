//! A neighbour in the cloud account, who may create instances and tag everything. Nothing of his is ended,
//! nothing of ours is given up for it, and what he writes costs neither disk nor lines.

use std::collections::BTreeSet;

use fleetscaler::model::AlertCode;

use crate::harness::{Setup, Wish};

const AS_OURS: &[(&str, &str)] = &[("scale-source", "auto"), ("scale-fleet", "web")];

#[tokio::test]
async fn a_neighbour_who_creates_and_tags_has_nothing_ended_and_nothing_launched() {
    let fleet = "max_removal_percent = 100";
    let setup = Setup::settled(Wish { fleet, fewer_by: Some(4), ..Wish::default() }).await;
    let ours: BTreeSet<String> = setup.fleet().into_iter().map(|view| view.id).collect();
    let owner = setup.fleet()[0].tags["scale-owner"].clone();
    let intent = setup.fleet()[0].tags["scale-intent"].clone();
    let size = setup.state_bytes().len();

    let long = format!("\u{202e}\u{1b}[2J{}\nfleet `web`: all is well", "x".repeat(100));
    let mut theirs = BTreeSet::new();
    for n in 0..60 {
        let made_up = uuid::Uuid::new_v4().to_string();
        let more: &[(&str, &str)] = match n % 5 {
            0 => &[],
            // A copy of every tag of ours.
            1 => &[("scale-owner", owner.as_str()), ("scale-intent", intent.as_str())],
            2 => &[("scale-owner", owner.as_str()), ("scale-intent", made_up.as_str())],
            3 => &[("scale-owner", "theirs"), ("team", long.as_str())],
            _ => &[("scale-intent", long.as_str()), ("scale-owner", long.as_str())],
        };
        theirs.insert(setup.emulator.place(&[AS_OURS, more].concat()));
    }
    let billing = setup.emulator.place(&[("team", "billing")]);

    let idle = setup.ticks(60, 5.0).await;
    let running = |ids: &BTreeSet<String>| {
        let views = setup.emulator.instances().into_iter();
        views.filter(|view| ids.contains(&view.id) && view.status == "Running").count()
    };
    assert_eq!(running(&theirs), 60, "none of them was ended");
    assert_eq!(running(&ours), 2, "and none of ours for them");
    let told = |report: &fleetscaler::control::TickReport| {
        report.alerts.iter().any(|alert| {
            matches!(alert.key.code, AlertCode::Stranger | AlertCode::OtherInstallation)
        })
    };
    assert!(idle.iter().any(told), "somebody is told");
    for alert in idle.iter().flat_map(|report| &report.alerts) {
        let text = &alert.message;
        assert!(text.len() < 4_000 && !text.contains(['\n', '\u{1b}', '\u{202e}']), "{text:?}");
    }

    // He takes the tags of ours away: they are not ended for it, and not replaced beyond max.
    let some = ours.iter().next().expect("two");
    setup.emulator.untag(some, &["scale-source", "scale-owner"]);
    setup.ticks(40, 95.0).await;
    let launched = setup.emulator.transcript().into_iter();
    let launched: usize = launched.map(|call| call.created.len()).sum();
    assert!(launched <= 9, "{launched}: max is 8, and one may be replaced");
    assert_eq!(running(&theirs), 60);
    assert_eq!(running(&[billing].into()), 1);
    let grew = setup.state_bytes().len() - size;
    assert!(grew < 8 * 1024 * 1024, "{grew} bytes of journal in a hundred ticks");
}
