//! Configurations as people get them wrong, and what they are told: `tests/configs/bad/*.toml`,
//! each with the expected text beside it. Then good ones, and any text at all.
//!
//! After a deliberate change of a message, `UPDATE_EXPECTED=1 cargo test --test bad_configs`
//! rewrites the expected files; the diff is then to be read.

use std::fs;
use std::path::{Path, PathBuf};

use fleetscaler::config::{self, Config, Env, Problems};
use proptest::prelude::*;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

fn configs(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs").join(kind)
}

/// The `.toml` files of a directory, by name.
fn files(kind: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(configs(kind)).expect("the directory of configurations");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
}

/// Files and variables that the configurations name.
fn surroundings() -> Env {
    let files = [
        ("password", b"hunter2\n".to_vec()),
        ("token", b"sesame".to_vec()),
        ("key-id", b"LTAIexample\n".to_vec()),
        ("/run/credentials/key-secret", b"key-secret-value\n".to_vec()),
        ("start.sh", b"#!/bin/sh\n".to_vec()),
        ("huge.sh", vec![b'#'; 32 * 1024 + 1]),
        ("ca.pem", b"-----BEGIN CERTIFICATE-----\n".to_vec()),
        ("two-lines", b"one\ntwo\n".to_vec()),
        ("latin1", vec![0xe9]),
    ];
    let vars =
        [("CREDENTIALS_DIRECTORY", "/run/credentials"), ("TOKEN", "sesame"), ("MULTI", "one\ntwo")];
    Env::given(
        vars.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        files.map(|(path, bytes)| (PathBuf::from(path), bytes)).into(),
    )
}

/// Parses the file under its bare name, so that messages do not depend on where the tests run.
fn parse(path: &Path) -> Result<Config, Problems> {
    let text = fs::read_to_string(path).expect("a text");
    let name = path.file_name().expect("a name");
    config::parse(&text, Path::new(name), &surroundings())
}

#[test]
fn every_bad_configuration_is_told_what_its_expected_file_says() {
    let files = files("bad");
    assert!(files.len() >= 25, "only {} cases", files.len());
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut wrong = Vec::new();
    for path in files {
        let problems = match parse(&path) {
            Ok(_) => panic!("{} is accepted", path.display()),
            Err(problems) => format!("{problems}\n"),
        };
        let beside = path.with_extension("expected");
        if update {
            fs::write(&beside, &problems).expect("write the expected file");
        }
        match fs::read_to_string(&beside) {
            Ok(expected) if expected == problems => {}
            Ok(expected) => {
                wrong.push(format!("{}:\n{problems}--- expected\n{expected}", path.display()))
            }
            Err(error) => wrong.push(format!("{}: {error}", beside.display())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_problem_repeats_a_secret() {
    for path in files("bad") {
        let problems = parse(&path).expect_err("a bad configuration").to_string();
        assert!(!problems.contains("hunter2"), "{}: {problems}", path.display());
    }
}

#[test]
fn every_problem_has_a_line_and_a_hint() {
    for path in files("bad") {
        for problem in parse(&path).expect_err("a bad configuration").iter() {
            assert!(problem.line > 0 && problem.column > 0, "{problem}");
            assert!(!problem.hint.is_empty(), "{problem}");
        }
    }
}

#[test]
fn every_good_configuration_is_accepted() {
    for path in files("good") {
        if let Err(problems) = parse(&path) {
            panic!("{problems}");
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_like_any_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    fs::write(path("latin1.toml"), [b'a', 0xe9]).expect("write");
    fs::write(path("empty.toml"), "").expect("write");
    fs::create_dir(path("directory.toml")).expect("create");
    for (name, expected) in [
        ("missing.toml", "cannot be read: there is no such file"),
        ("directory.toml", "cannot be read: it is a directory"),
        ("latin1.toml", "is not UTF-8 text"),
        ("empty.toml", "there is no fleet"),
    ] {
        let problems = config::load(&path(name)).expect_err(name).to_string();
        assert!(problems.starts_with(&path(name).display().to_string()), "{problems}");
        assert!(problems.contains(expected), "{name}: {problems}");
        assert!(problems.contains("\n  hint: "), "{name}: {problems}");
    }
}

/// A good configuration with one piece of it replaced.
fn mutated() -> impl Strategy<Value = String> {
    let good: Vec<String> =
        files("good").iter().map(|path| fs::read_to_string(path).expect("a text")).collect();
    let pieces = prop_oneof![
        Just(String::new()),
        Just("\"".to_owned()),
        Just("[[fleet.web.rule]]".to_owned()),
        Just(" = -1\n".to_owned()),
        Just("\"1s\"".to_owned()),
        Just("[]".to_owned()),
        Just("{}".to_owned()),
        Just("99999999999999999999".to_owned()),
        Just("nan".to_owned()),
        Just("1979-05-27".to_owned()),
        "\\PC{0,8}",
    ];
    (proptest::sample::select(good), any::<proptest::sample::Index>(), 0usize..24, pieces).prop_map(
        |(text, at, len, piece)| {
            let chars: Vec<char> = text.chars().collect();
            let at = at.index(chars.len());
            let end = (at + len).min(chars.len());
            let (before, after) = (&chars[..at], &chars[end..]);
            before.iter().chain(&piece.chars().collect::<Vec<_>>()).chain(after).collect()
        },
    )
}

/// How many fleets, signals and rules a configuration has by its text alone.
fn counts(text: &str) -> [usize; 3] {
    // A number may be larger than any type of ours holds.
    let document = DeTable::parse(text).expect("TOML");
    let fleets = document.get_ref()["fleet"].get_ref().as_table().expect("a table");
    let of = |fleet: &Spanned<DeValue<'_>>, key: &str| {
        let value = fleet.get_ref().get(key).map(Spanned::get_ref);
        let tables = value.and_then(|value| Some(value.as_table()?.len()));
        tables.or(value.and_then(|value| Some(value.as_array()?.len()))).unwrap_or(0)
    };
    let sum = |key: &str| fleets.values().map(|fleet| of(fleet, key)).sum();
    [fleets.len(), sum("signal"), sum("rule")]
}

/// Either a configuration with all that the text has, or at least one problem with a hint.
fn is_judged(text: &str) -> bool {
    match config::parse(text, Path::new("any.toml"), &surroundings()) {
        Ok(config) => {
            let fleets = || config.fleets.iter();
            let found = [
                config.fleets.len(),
                fleets().map(|fleet| fleet.sources.len()).sum(),
                fleets().map(|fleet| fleet.fleet.rules.len()).sum(),
            ];
            found == counts(text) && found.iter().all(|count| *count > 0)
        }
        Err(problems) => problems.len() > 0 && problems.iter().all(|p| !p.hint.is_empty()),
    }
}

proptest! {
    #[test]
    fn any_text_is_judged_without_a_panic(text in "\\PC{0,200}") {
        prop_assert!(is_judged(&text));
    }

    #[test]
    fn a_mutated_configuration_is_judged_without_a_panic(text in mutated()) {
        prop_assert!(is_judged(&text), "{}", text);
    }

    #[test]
    fn any_query_is_judged_without_a_panic(query in "[a-z(){}\\[\\]0-9+*/=~!\", .:@^<>-]{0,60}") {
        let minimal = fs::read_to_string(configs("good").join("minimal.toml")).expect("a text");
        let line = minimal.lines().find(|line| line.starts_with("query")).expect("a query");
        let text = minimal.replace(line, &format!("query = '''{query}'''"));
        prop_assert!(is_judged(&text));
    }
}
