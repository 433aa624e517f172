//! `--version`, `completions`, `man` and `schema`.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetscaler"));
    command.args(arguments).output().expect("the binary runs")
}

#[test]
fn the_version_completions_and_manual_pages_are_those_of_the_commands() {
    let version = run(&["--version"]);
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    assert!(version.starts_with(concat!("fleetscaler ", env!("CARGO_PKG_VERSION"))), "{version}");
    for (shell, mark) in [("bash", "_fleetscaler()"), ("zsh", "#compdef"), ("fish", "complete -c")]
    {
        let script = run(&["completions", shell]);
        let script = String::from_utf8_lossy(&script.stdout).into_owned();
        assert!(script.contains(mark) && script.contains("evacuate"), "{shell}");
    }
    let schema = run(&["schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).expect("JSON");
    assert_eq!(schema, fleetscaler::config::schema());
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("man1");
    let path = path.to_str().expect("a text");
    let man = run(&["man", path]);
    assert!(man.status.success(), "{man:?}");
    let page = |name: &str| {
        std::fs::read_to_string(format!("{path}/{name}.1"))
            .unwrap_or_else(|e| panic!("{name}: {e}"))
    };
    assert!(page("fleetscaler").contains("At 3 a.m."));
    assert!(page("fleetscaler-hold").contains("scale\\-in"));
    let count = std::fs::read_dir(path).expect("the directory").count();
    assert!(count > 25, "{count} pages");
}
