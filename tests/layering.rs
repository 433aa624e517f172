//! The arrows between modules and crates, and the purity of `model`, `policy` and `plan`.
//!
//! What `docs/ARCHITECTURE.md` draws is checked here, so the picture cannot become wrong.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Which modules of the daemon each module may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("policy", &["model"]),
    ("plan", &["model"]),
    ("backtest", &["model", "policy"]),
    ("config", &["model", "signals", "health", "hooks", "render", "notify"]),
    ("programs", &[]),
    ("signals", &["model", "programs"]),
    ("inventory", &["model"]),
    ("health", &["model", "inventory", "programs"]),
    ("balancers", &["model"]),
    ("hooks", &["model", "programs"]),
    ("render", &["model", "programs"]),
    ("notify", &["model"]),
    ("journal", &["model", "config"]),
    ("execute", &["model", "journal"]),
    (
        "control",
        &[
            "model",
            "config",
            "signals",
            "inventory",
            "health",
            "balancers",
            "hooks",
            "render",
            "notify",
            "policy",
            "plan",
            "execute",
            "journal",
        ],
    ),
    ("page", &[]),
    ("observe", &["model", "journal", "execute", "control", "page", "notify"]),
    ("api", &["model", "config", "signals", "policy", "execute", "journal", "control", "observe"]),
    ("failpoint", &[]),
    ("demo", &["model", "config", "control", "execute", "inventory", "journal", "observe", "api"]),
    ("rehearse", &["model", "config", "signals", "backtest", "execute", "journal", "control"]),
    (
        "cli",
        &[
            "model",
            "config",
            "signals",
            "inventory",
            "policy",
            "plan",
            "execute",
            "journal",
            "control",
            "observe",
            "api",
            "demo",
            "backtest",
            "rehearse",
            "notify",
        ],
    ),
];

/// The words that must not appear in a module that is pure, and why.
const IMPURE: &[(&str, &str)] = &[
    ("async ", "waits"),
    (".await", "waits"),
    ("tokio", "waits"),
    ("Clock", "reads a clock; take `now` as an argument"),
    ("Utc::now", "reads a clock; take `now` as an argument"),
    ("Instant", "reads a clock; take `now` as an argument"),
    ("new_v4", "draws randomness; take `Entropy` as an argument"),
    ("rand::", "draws randomness; take `Entropy` as an argument"),
    ("std::fs", "does IO"),
    ("std::net::Tcp", "does IO"),
    ("std::env", "does IO"),
    ("reqwest", "does IO"),
    ("tracing::", "does IO; return what is to be said"),
    ("Mutex", "keeps state"),
];

/// Uses of such a word that change no answer, each with the reason.
const PURE_ALL_THE_SAME: &[(&str, &str)] = &[
    // A search of the calendar is remembered; a test beside it compares every answer with a fresh search.
    ("src/model/schedule.rs", "Mutex"),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below `dir`, tests left out.
fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
            let path = entry.expect("a readable entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" {
                pending.push(path);
            } else if name.ends_with(".rs") && name != "tests.rs" {
                files.push(path);
            }
        }
    }
    assert!(!files.is_empty(), "no sources below {}", dir.display());
    files
}

/// The code of a file: without comments and without its tests at the end.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let text = text.split("#[cfg(test)]\nmod tests {").next().expect("a first part");
    let lines = text.lines().map(|line| line.split("//").next().expect("a first part"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The modules of the daemon: `src/NAME.rs` and `src/NAME/`.
fn modules() -> BTreeSet<String> {
    let entries = fs::read_dir(root().join("src")).expect("src");
    entries
        .map(|entry| entry.expect("a readable entry").path())
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .filter(|name| name != "main" && name != "lib")
        .collect()
}

/// Names after each `crate::` in `code`, groups such as `crate::{a, b}` taken apart.
fn used(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with('$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            let mut fresh = true;
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => fresh = true,
                    c if depth == 0 && fresh && (c.is_alphanumeric() || c == '_') => word.push(c),
                    _ if depth == 0 && !word.is_empty() => {
                        names.insert(std::mem::take(&mut word));
                        fresh = false;
                    }
                    _ => {}
                }
                if c == ',' && depth == 0 && !word.is_empty() {
                    names.insert(std::mem::take(&mut word));
                }
            }
            if !word.is_empty() {
                names.insert(word);
            }
        } else {
            names.insert(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    names
}

fn files_of(module: &str) -> Vec<PathBuf> {
    let dir = root().join("src").join(module);
    let file = root().join("src").join(format!("{module}.rs"));
    let mut files = if dir.is_dir() { sources(&dir) } else { Vec::new() };
    if file.is_file() {
        files.push(file);
    }
    files
}

#[test]
fn every_module_uses_only_the_modules_below_it() {
    let modules = modules();
    let listed: BTreeSet<String> = ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(modules, listed, "every module of src/ has its line in ARROWS");
    let mut wrong = Vec::new();
    for (module, may_use) in ARROWS {
        for path in files_of(module) {
            for used in used(&code(&path)) {
                let known = modules.contains(&used);
                if known && used != *module && !may_use.contains(&used.as_str()) {
                    wrong.push(format!("{}: {module} must not use {used}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_modules_that_decide_are_pure() {
    let mut wrong = Vec::new();
    for module in ["model", "policy", "plan"] {
        for path in files_of(module) {
            let code = code(&path);
            for (word, why) in IMPURE {
                let is_known =
                    PURE_ALL_THE_SAME.iter().any(|(file, of)| of == word && path.ends_with(file));
                if code.contains(word) && !is_known {
                    wrong.push(format!("{}: {word:?} {why}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn providers_never_depend_on_the_daemon_nor_the_emulator_on_aliyun() {
    let dependencies = |crate_name: &str| {
        let path = root().join("providers").join(crate_name).join("Cargo.toml");
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let manifest: toml::Table = text.parse().expect("a valid manifest");
        let names = manifest["dependencies"].as_table().expect("a table").keys().cloned();
        names.collect::<BTreeSet<String>>()
    };
    for (name, must_not) in [
        ("cloud", &["fleetscaler", "aliyun", "ecs-emulator"][..]),
        ("aliyun", &["fleetscaler", "ecs-emulator"]),
        ("ecs-emulator", &["fleetscaler", "aliyun"]),
    ] {
        for other in must_not {
            assert!(!dependencies(name).contains(*other), "{name} must not depend on {other}");
        }
    }
}

#[test]
fn permits_are_made_and_backoff_is_used_in_one_place() {
    let mut files = sources(&root().join("src"));
    files.extend(sources(&root().join("providers/cloud/src")));
    files.extend(sources(&root().join("providers/aliyun/src")));
    for (needle, home) in [
        ("Permit::after_commit(", "src/execute/dispatch.rs"),
        ("backoff::", "providers/cloud/src/retry.rs"),
    ] {
        let users: Vec<String> = files
            .iter()
            // The suite for providers stands in for the journal, in tests only.
            .filter(|path| !path.ends_with("conformance.rs") && code(path).contains(needle))
            .map(|path| path.strip_prefix(root()).expect("below root").display().to_string())
            .collect();
        assert_eq!(users, [home], "{needle}");
    }
}

/// Code outside the seams is outside the simulation.
#[test]
fn randomness_is_drawn_and_work_is_spawned_in_a_few_places() {
    // The command line and the demo are above the seams, and suites for tests are no daemon.
    let above = ["src/cli/", "src/demo/", "src/journal/store/conformance/"];
    for (needle, homes) in [
        // The seed of a tick; a replica's name, which the simulation gives by itself; a person's hold.
        (
            "new_v4",
            &[
                "src/api/holds.rs",
                "src/api/instructions.rs",
                "src/control/world.rs",
                "src/journal/mod.rs",
            ][..],
        ),
        ("rand::", &[]),
        // The renewal of leases, which the simulation makes by itself; HTTP; probes and hooks, of which
        // the simulation has none.
        (
            "tokio::spawn",
            &[
                "src/api/mod.rs",
                "src/balancers/watcher.rs",
                "src/control/beat.rs",
                "src/health/prober.rs",
                "src/hooks/runner.rs",
                "src/notify/sender.rs",
                "src/observe/listener.rs",
                "src/render/renderer.rs",
            ],
        ),
        // The text of `/metrics`, and the reading of a changed configuration: both take long for ten
        // thousand fleets, and the simulation does neither.
        ("spawn_blocking", &["src/control/reload.rs", "src/observe/http.rs"]),
        // Where a test pauses the daemon, which compiles to nothing otherwise; the lock of a file, as
        // the daemon starts.
        ("thread::", &["src/failpoint.rs", "src/journal/store/sqlite/open.rs"]),
    ] {
        let users: BTreeSet<String> = sources(&root().join("src"))
            .iter()
            .filter(|path| code(path).contains(needle))
            .map(|path| path.strip_prefix(root()).expect("below root").display().to_string())
            .filter(|path| !above.iter().any(|above| path.starts_with(above)))
            .collect();
        let homes: BTreeSet<String> = homes.iter().map(|home| (*home).to_owned()).collect();
        assert_eq!(users, homes, "{needle}");
    }
}

#[test]
fn the_reader_of_uses_finds_single_names_and_groups() {
    let code = "use crate::model::Fleet;\nuse crate::{config, plan::{self, review}, signals};";
    let names: Vec<String> = used(code).into_iter().collect();
    assert_eq!(names, ["config", "model", "plan", "signals"]);
}

/// Only a build for tests may have a way to kill the daemon. With the feature,
/// `tests/crash/main.rs` finds in the binary what is looked for here.
#[cfg(not(feature = "failpoints"))]
#[test]
fn the_binary_has_no_points_to_be_killed_at() {
    let binary = fs::read(env!("CARGO_BIN_EXE_fleetscaler")).expect("the binary");
    let needle = b"FLEETSCALER_FAILPOINT";
    assert!(!binary.windows(needle.len()).any(|window| window == needle));
}
