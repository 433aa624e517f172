//! Shadow rules: they see what the live rules see, want what they want, and change nothing.

use fleetscaler::control::{ShadowSeen, TickReport};
use fleetscaler::model::Event;

use crate::harness::{Setup, Wish};

/// Wants more than the live threshold, and sooner.
const EAGER: &str = r#"
[[fleet.web.shadow]]
kind = "threshold"
signal = "cpu"
scale_out = { above = 60, samples = 2, by = 3 }
scale_in = { below = 20, samples = 3, by = 1 }
cooldown = { out = "1m", in = "1m" }
"#;

fn shadow(report: &TickReport) -> &ShadowSeen {
    report.shadow.as_ref().expect("shadow rules")
}

async fn settled() -> Setup {
    Setup::settled(Wish { more: EAGER, ..Wish::default() }).await
}

#[tokio::test]
async fn a_shadow_that_wants_more_is_told_and_reaches_nothing() {
    let setup = settled().await;
    let calls = setup.emulator.instances().len();
    let reports = setup.ticks(3, 70.0).await;
    let wants: Vec<(u32, u32)> =
        reports.iter().map(|report| (report.decision.desired, shadow(report).desired)).collect();
    assert_eq!(wants, [(2, 2), (2, 5), (2, 5)]);
    let why = shadow(&reports[1]).reasons.first().map(ToString::to_string);
    assert_eq!(why.as_deref(), Some("cpu = 70 > 60 for 2 samples: add 3"));
    let reports = setup.ticks(8, 70.0).await;
    assert_eq!(setup.fleet().len(), 2, "70 % is no reason for the live rule");
    assert_eq!(setup.emulator.instances().len(), calls, "nothing was ever launched for it");
    let last = shadow(reports.last().expect("some"));
    // What it would have launched is not in the signal, which goes on speaking of two.
    assert_eq!(last.size, 5, "{last:?}");
    let sum = last.sum.expect("compared");
    // Both grew to `min` at first.
    assert_eq!((sum.live_actions, sum.shadow_actions), (1, 2), "{sum:?}");
    assert!(sum.shadow_instance_secs > sum.live_instance_secs, "{sum:?}");
    assert_eq!(sum.fewer, 0, "{sum:?}");
    // Both come to rest at the same size once the live rule acts as well.
    setup.ticks(12, 90.0).await;
    let differences: Vec<(bool, u32, u32)> = setup
        .events()
        .await
        .into_iter()
        .filter_map(|event| match event {
            Event::Shadowed { differs, live, shadow, .. } => Some((differs, live, shadow)),
            _ => None,
        })
        .collect();
    assert_eq!(differences.first(), Some(&(true, 2, 5)), "{differences:?}");
    assert!(differences.windows(2).all(|two| two[0].0 != two[1].0), "{differences:?}");
}

#[tokio::test]
async fn a_crash_forgets_nothing_of_the_shadow() {
    let mut setup = settled().await;
    let before = setup.ticks(6, 70.0).await.pop().expect("some");
    setup.crash().await;
    let after = setup.ticks(1, 70.0).await.pop().expect("one");
    let [before, after] = [shadow(&before), shadow(&after)];
    assert_eq!((before.size, after.size), (5, 5));
    assert_eq!(after.differs_since, before.differs_since);
    let [before, after] = [before.sum, after.sum].map(|sum| sum.expect("compared"));
    assert_eq!((after.since, after.ticks), (before.since, before.ticks + 1));
    let remembered = setup.events().await.into_iter().any(|event| match event {
        Event::Ticked(ticked) => ticked.memory.keys().any(|name| name.0 == "shadow/threshold-cpu"),
        _ => false,
    });
    assert!(remembered, "it stands in the journal beside the memory of the live rules");
}

#[tokio::test]
async fn without_its_tables_the_shadow_is_over() {
    let mut setup = settled().await;
    setup.ticks(6, 70.0).await;
    setup.reconfigure(|wish| wish.more = "").await;
    let report = setup.ticks(1, 70.0).await.pop().expect("one");
    assert_eq!(report.shadow, None);
    let last = setup.events().await.into_iter().rev().find_map(|event| match event {
        Event::Shadowed { differs, why, .. } => Some((differs, why)),
        _ => None,
    });
    assert_eq!(last, Some((false, "there are no shadow rules any more".to_owned())));
    let gone = setup.events().await.into_iter().any(|event| match event {
        Event::Ticked(ticked) => {
            ticked.memory.iter().any(|(name, memory)| name.is_shadow() && memory.is_none())
        }
        _ => false,
    });
    assert!(gone, "their memory is forgotten");
}
