//! `fleetscaler backtest` as it is typed: what it prints, what it writes, and what it refuses.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs `fleetscaler backtest` with `args` in `dir`.
fn backtest(dir: &Path, args: &str) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_fleetscaler"))
        .arg("backtest")
        .args(args.split_whitespace())
        .current_dir(dir)
        .output()
        .expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Six hours of minutes, a wave between 5 and 15 instances of 10.
fn wave(dir: &Path) {
    let mut text = "timestamp,value\n".to_owned();
    for minute in 0..360u32 {
        let phase = f64::from(minute % 120) / 120.0 * std::f64::consts::TAU;
        let value = 100.0 - 50.0 * phase.cos();
        writeln!(text, "{},{value:.3}", 1_767_312_000 + minute * 60).expect("text");
    }
    fs::write(dir.join("wave.csv"), text).expect("written");
}

#[test]
fn policies_are_compared_in_a_table_of_80_columns_and_in_files() {
    let dir = tempfile::tempdir().expect("a directory");
    wave(dir.path());
    let args = "--load wave.csv --capacity 10 --policy adaptive/balanced --policy adaptive/safe \
                --policy threshold/default --compare hpa,aws,nomad,gcp,threshold,naive --out out";
    let said = backtest(dir.path(), args);
    assert_eq!(said.code, Some(0), "{}", said.err);
    for line in said.out.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let names = ["adaptive/balanced", "adaptive/safe", "threshold/default", "hpa", "naive"];
    for name in names {
        let rows = said.out.lines().filter(|line| line.starts_with(&format!("{name} ")));
        assert_eq!(rows.count(), 2, "{name}:\n{}", said.out);
    }
    for (file, first) in [("ready.csv", "5"), ("billed.csv", "7")] {
        let path = dir.path().join("out/adaptive-balanced").join(file);
        let text = fs::read_to_string(path).expect("a curve");
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("timestamp,value"));
        // The rule asks for two more with its first tick.
        assert_eq!(lines.next(), Some(&*format!("2026-01-02T00:00:00Z,{first}")));
        assert!(lines.count() > 5);
    }
    let report = fs::read_to_string(dir.path().join("out/report.json")).expect("a report");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["policies"].as_array().map(Vec::len), Some(9));
    assert_eq!(report["policies"][0]["name"], "adaptive/balanced");
    let figure = |n: usize, name: &str| report["policies"][n][name].as_f64().expect("a number");
    assert!(figure(0, "j10") < figure(3, "j10"), "better than the HPA");
    let page = fs::read_to_string(dir.path().join("out/report.html")).expect("a page");
    assert!(page.contains("adaptive/balanced") && page.contains("fills"), "reasons stand in it");
    assert!(!page.contains("/*DATA*/") && !page.contains("src=") && !page.contains("http"));
}

#[test]
fn rules_come_from_files_and_from_a_configuration() {
    let dir = tempfile::tempdir().expect("a directory");
    wave(dir.path());
    let rules =
        "[[rule]]\nkind = \"threshold\"\nsignal = \"cpu\"\nscale_out = { above = 60, by = 2 }\n";
    fs::write(dir.path().join("mine.toml"), rules).expect("written");
    let said = backtest(dir.path(), "--load wave.csv --capacity 10 --policy mine.toml --json");
    assert_eq!(said.code, Some(0), "{}", said.err);
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(report["policies"][0]["name"], "mine.toml");
    fs::write(dir.path().join("bad.toml"), rules.replace("above", "abvoe")).expect("written");
    let said = backtest(dir.path(), "--load wave.csv --capacity 10 --policy bad.toml");
    assert_eq!(said.code, Some(3));
    assert!(said.err.contains("bad.toml:4") && said.err.contains("above"), "{}", said.err);
    let config =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml"))
            .expect("the example");
    fs::write(dir.path().join("config.toml"), config).expect("written");
    let args =
        "--load wave.csv --config config.toml --fleet wiki --policy adaptive-requests --json";
    let said = backtest(dir.path(), args);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(report["capacity"], 250.0, "as the rule says");
}

#[test]
fn a_sweep_shows_what_nothing_beats() {
    let dir = tempfile::tempdir().expect("a directory");
    wave(dir.path());
    let said = backtest(dir.path(), "--load wave.csv --capacity 10 --sweep");
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("SETTING") && said.out.contains("adaptive, price"), "{}", said.out);
    for line in said.out.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn what_cannot_be_run_is_refused_in_one_sentence() {
    let dir = tempfile::tempdir().expect("a directory");
    wave(dir.path());
    fs::write(dir.path().join("page.csv"), "<html>\n").expect("written");
    fs::write(dir.path().join("empty.csv"), "").expect("written");
    fs::write(dir.path().join("negative.csv"), "timestamp,value\n0,1\n60,-1\n").expect("written");
    for (args, code, said) in [
        ("--load none.csv --capacity 1", 1, "none.csv cannot be read"),
        ("--load page.csv --capacity 1", 1, "page.csv: line 1: this is HTML or XML, not CSV"),
        ("--load empty.csv --capacity 1", 1, "empty.csv: it is empty"),
        ("--load negative.csv --capacity 1", 1, "line 3: the load is negative"),
        ("--load wave.csv", 1, "--capacity is missing"),
        ("--load wave.csv --capacity 0", 2, "write a number above 0"),
        ("--load wave.csv --capacity 0.0000001", 1, "is it per instance?"),
        ("--load wave.csv --capacity 1 --boot 7s", 2, "write a multiple of 5s"),
        (
            "--load wave.csv --capacity 1 --policy adaptive/best",
            1,
            "there is no policy `adaptive/best`",
        ),
        ("--load wave.csv --capacity 1 --compare keda", 1, "--compare does not know `keda`"),
        ("--load wave.csv --capacity 1 --compare hpa,hpa", 1, "`hpa` is named twice"),
    ] {
        let found = backtest(dir.path(), args);
        assert_eq!(found.code, Some(code), "{args}: {}", found.err);
        assert!(found.err.contains(said), "{args}: {}", found.err);
        assert!(found.out.is_empty(), "{args}: {}", found.out);
    }
}

#[tokio::test]
async fn the_fleets_own_past_is_read_from_its_journal_and_its_own_rules_are_run() {
    let world = crate::harness::World::new().await;
    world.tick(50.0).await;
    let none = world.run(&["backtest", "--fleet", "web", "--since", "1h"]).await;
    assert_eq!((none.code, none.out.as_str()), (Some(1), ""), "{none:?}");
    assert!(none.err.contains("there is no history of `cpu`"), "{none:?}");
    for percent in [60.0, 70.0] {
        world.tick(percent).await;
    }
    let said = world.run(&["backtest", "--fleet", "web", "--since", "1h", "--json"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    let names = report["policies"].as_array().expect("a list").iter().map(|p| p["name"].as_str());
    assert_eq!(names.collect::<Vec<_>>(), [Some("fleet"), Some("adaptive/balanced")]);
    assert_eq!(report["trace"], "cpu of fleet web");
    // What the rule lets an instance have before it adds one.
    assert_eq!(report["capacity"], 75.0);
    let other =
        world.run(&["backtest", "--fleet", "web", "--since", "1h", "--from", "prometheus"]).await;
    assert!(other.err.contains("use --from journal"), "{other:?}");
}
