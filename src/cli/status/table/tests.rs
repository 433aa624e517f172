use std::time::Duration;

use cloud::clock;

use super::*;
use crate::api::shape::{
    BoundsView, BudgetView, DaemonView, HoldView, InstructionView, ReasonView, SizesView,
    TroubleView,
};
use crate::cli::paint::text_of;

fn now() -> Timestamp {
    "2026-11-25T12:10:00Z".parse().expect("a time")
}

fn ago(secs: u64) -> Timestamp {
    clock::before(now(), Duration::from_secs(secs))
}

fn fleet(name: &str, serving: u32, wants: (u32, u32), bounds: (u32, u32)) -> FleetView {
    let (asked, desired) = wants;
    FleetView {
        fleet: name.to_owned(),
        acts: "this_replica".to_owned(),
        seen_at: Some(ago(2)),
        instances: Some(SizesView {
            serving,
            warming_up: 0,
            booting: 0,
            requested: 0,
            draining: 0,
            leaving: 0,
            standby: 0,
            failed: 0,
            unreachable: 0,
        }),
        bounds: Some(BoundsView { min_instances: bounds.0, max_instances: bounds.1 }),
        wants: Some(WantsView {
            current_instances: serving,
            asked_instances: Some(asked),
            recommended_instances: desired,
            desired_instances: desired,
            launched_now_instances: 0,
            removed_now_instances: 0,
        }),
        ..FleetView::default()
    }
}

fn signal(name: &str, recent: &[f64], age_secs: u64) -> Vec<SignalView> {
    vec![SignalView {
        signal: name.to_owned(),
        value: recent.last().copied(),
        age_secs: Some(age_secs),
        measured_at: None,
        reporting_instances: None,
        missing: None,
        recent_values: recent.iter().copied().map(Some).collect(),
    }]
}

fn fleets() -> Vec<FleetView> {
    let mut web = fleet("web", 8, (10, 10), (2, 20));
    web.instances.as_mut().expect("some").booting = 2;
    web.signals = signal("cpu", &[70.0, 74.0, 81.0, 88.1], 10);
    web.headline = Some("cpu > 75 for 2 samples".to_owned());
    let mut api = fleet("api", 20, (23, 20), (4, 20));
    api.signals = signal("rps", &[80.0, 88.0, 91.0, 91.0], 7);
    api.headline = Some("at max: would want 23".to_owned());
    let mut batch = fleet("batch", 3, (2, 2), (0, 50));
    batch.instances.as_mut().expect("some").leaving = 1;
    batch.signals = signal("queue", &[9.0, 4.0, 0.0, 0.0], 29);
    batch.headline = Some("scale-in held".to_owned());
    batch.blocked_by = Some(ReasonView { kind: "held".into(), text: "held".into() });
    batch.holds = vec![HoldView {
        id: uuid::Uuid::nil(),
        fleet: Some("batch".into()),
        holds: "scale_in".into(),
        author: "mei".into(),
        reason: "import runs".into(),
        placed_at: ago(600),
        until: "2026-11-25T13:00:00Z".parse().expect("a time"),
    }];
    let mut shop = fleet("shop-with-a-very-long-name", 2, (2, 2), (1, 3));
    shop.trouble = Some(TroubleView {
        since: ago(18 * 60),
        message: "the cloud cannot be read, nothing is changed: DescribeInstances: no route".into(),
    });
    let new = FleetView { fleet: "new".into(), ..FleetView::default() };
    vec![web, api, batch, new, shop]
}

fn live() -> Status {
    Status {
        source: Source::Daemon,
        daemon: Some(DaemonView {
            version: "0.2.0".into(),
            started_at: ago(3600),
            replica: "host-1".into(),
            replicas: 1,
            fleets: 5,
            acts_for_fleets: 5,
            journal_trouble: None,
            not_ready: None,
        }),
        fleets: fleets(),
        accounts: vec![BudgetView {
            account: "aliyun".into(),
            calls_last_minute: 14,
            calls_per_minute_max: Some(300.0),
            launches_stopped: None,
            actions: Vec::new(),
        }],
    }
}

fn printed(status: &Status, columns: usize) -> String {
    let lines = page(status, now(), columns, "");
    for line in &lines {
        assert!(text_of(line).chars().count() <= columns, "{}", text_of(line));
    }
    lines.iter().map(text_of).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_fleet_is_a_line_of_80_columns_and_what_needs_a_person_stands_below() {
    let expected = "\
fleetscaler 0.2.0 · acts for 5 of 5 fleets · journal ok · 1 fleet cannot tick

FLEET        SERVES COMING GOING WANTS BOUNDS SIGNAL             WHY
web               8     +2     –    10  2..20 cpu 88.1 ▁▃▅█ 12s  cpu > 75 for 2…
api              20      –     – 20!23  4..20 rps 91 ▁▆██ 9s     at max: would…
batch             3      –    -1     2  0..50 queue 0 █▄▁▁ 31s   scale-in held
new               –      –     –     –      – –                  no tick yet
shop-with-a…      2      –     –     2   1..3 –                  cannot tick, s…

! api is at max and would want 23                            fleetscaler why api
! shop-with-a-very-long-name cannot tick since 11:52Z (18 min): the cloud cannot
  be read, nothing is changed: DescribeInstances: no route
  batch: scale-in held until 11-25 13:00Z by mei: \"import runs\"";
    assert_eq!(printed(&live(), 80), expected);
}

#[test]
fn with_short_names_the_reason_is_whole() {
    let status = Status { fleets: fleets().drain(..3).collect(), ..live() };
    let said = printed(&status, 80);
    assert!(said.contains("  cpu > 75 for 2 samples"), "{said}");
    assert!(said.contains("cloud ok 14 of 300/min"), "{said}");
}

#[test]
fn a_status_of_the_journal_says_so_first() {
    let why = "no daemon answers on /run/fleetscaler/api.sock (No such file or directory)";
    let status = Status { source: Source::Journal { why: why.into() }, daemon: None, ..live() };
    let said = printed(&status, 80);
    assert!(said.starts_with("no daemon answers on /run/fleetscaler/api.sock"), "{said}");
    assert!(
        said.contains("what follows is from the\njournal") || said.contains("from the journal"),
        "{said}"
    );
    let none = Status { fleets: Vec::new(), ..status };
    assert!(printed(&none, 80).contains("no fleet is configured"));
}

#[test]
fn a_picture_of_values_shows_their_course_and_their_gaps() {
    let of = |values: Vec<Option<f64>>| {
        sparks(&SignalView { recent_values: values, ..signal("cpu", &[1.0], 0).remove(0) })
    };
    assert_eq!(of(vec![Some(1.0), Some(2.0), Some(3.0), Some(4.0)]), "▁▃▆█");
    assert_eq!(of(vec![Some(5.0), None, Some(5.0)]), "▄ ▄");
    assert_eq!(of(vec![Some(0.0); 9]), "▄▄▄▄");
    assert_eq!(of(Vec::new()), "");
}

#[test]
fn each_instruction_is_told_by_what_it_asks_for() {
    let told = |kind: &str, min, max, instance: Option<&str>| {
        let one = InstructionView {
            id: uuid::Uuid::nil(),
            fleet: Some("web".into()),
            kind: kind.into(),
            min,
            max,
            instance: instance.map(str::to_owned),
            vswitch: None,
            author: "mei".into(),
            reason: "x".into(),
            placed_at: ago(60),
            until: now(),
        };
        let instructions = vec![one];
        let web = FleetView { instructions, ..fleet("web", 2, (2, 2), (2, 4)) };
        printed(&Status { fleets: vec![web], ..live() }, 80)
    };
    let until = "until 11-25 12:10Z by mei: \"x\"";
    for (said, what) in [
        (told("refresh", None, None, None), "refresh"),
        (told("replace", None, None, Some("i-1")), "replace i-1"),
        (told("size", Some(3), Some(3), None), "size 3"),
        (told("size", Some(3), None, None), "size at least 3"),
        (told("size", Some(3), Some(5), None), "size at least 3, at most 5"),
    ] {
        assert!(said.contains(&format!("  web: {what} {until}")), "{what}: {said}");
    }
}
