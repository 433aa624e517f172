//! Signals of every source, as `check` shows them and `check --online` asks for them.

use crate::harness::{Said, World};

/// The output with each run of blanks as one.
fn line(said: &Said) -> String {
    said.out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A world whose signal `cpu` has these keys.
async fn world(keys: &str) -> World {
    let world = World::new().await;
    world.edit(|text| {
        let (head, rest) = text.split_once("source = \"prometheus\"").expect("the signal");
        let (_, tail) = rest.split_once("[[fleet.web.rule]]").expect("the rule");
        format!("{head}{keys}\n[[fleet.web.rule]]{tail}")
    });
    world
}

#[tokio::test]
async fn each_source_is_shown_and_asked_as_the_others() {
    for (keys, code, says) in [
        ("source = \"command\"\ncommand = [\"/bin/echo\", \"3.5\"]", 0, "signal cpu: 3.5, 0s old"),
        (
            "source = \"command\"\ncommand = [\"/bin/sh\", \"-c\", \"echo no queue >&2; exit 4\"]",
            4,
            "the query failed: exit status: 4: no queue → run the program as the service's user",
        ),
        (
            "source = \"http-json\"\nurl = \"http://127.0.0.1:1/{fleet}\"\npointer = \"/depth\"",
            4,
            "the source cannot be reached",
        ),
        (
            "source = \"push\"",
            0,
            "signal cpu: not asked, its values are sent to the running daemon",
        ),
    ] {
        let world = world(keys).await;
        let shown = world.run(&["check"]).await;
        assert!(shown.code == Some(0) && line(&shown).contains("signals: cpu"), "{shown:?}");
        let asked = world.run(&["check", "--online"]).await;
        assert_eq!(asked.code, Some(code), "{keys}: {asked:?}");
        assert!(line(&asked).contains(says), "{keys}: {asked:?}");
    }
}
