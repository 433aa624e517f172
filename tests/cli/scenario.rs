//! `fleetscaler test` as it is typed: what it prints, what it writes, and how it ends.

use std::fs;
use std::path::Path;
use std::process::Command;

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs `fleetscaler test` with `args` in `dir`.
fn test(dir: &Path, args: &str) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_fleetscaler"))
        .arg("test")
        .args(args.split_whitespace())
        .current_dir(dir)
        .output()
        .expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Two instances that a recommendation of four meets after half a minute, and `expected` of it.
fn write(dir: &Path, name: &str, expected: &str) {
    let text = format!(
        "description = \"two become four\"\ninterval = \"30s\"\ninstances = 2\n\
         [fleet]\nmin = 1\nmax = 10\n\
         [[rule]]\nkind = \"external\"\nsignal = \"wanted\"\n\
         [[series]]\nsignal = \"wanted\"\nvalues = \"2 4\"\n{expected}"
    );
    fs::write(dir.join(name), text).expect("written");
}

const RIGHT: &str = "[[expect]]\nat = \"30s\"\ndesired = 4\n";
const WRONG: &str = "[[expect]]\nat = \"40s\"\ndesired = 5\n";

#[test]
fn all_that_is_as_expected_passes() {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), "a.toml", RIGHT);
    write(dir.path(), "b.toml", &RIGHT.replace("desired", "min_desired"));
    let said = test(dir.path(), "a.toml b.toml");
    assert_eq!(said.code, Some(0), "{}", said.err);
    let expected = "1..2\nok 1 - a.toml: two become four\nok 2 - b.toml: two become four\n";
    assert_eq!((said.out.as_str(), said.err.as_str()), (expected, ""));
}

#[test]
fn an_expectation_that_fails_is_told_with_the_decision_and_ends_in_1() {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), "good.toml", RIGHT);
    write(dir.path(), "bad.toml", &format!("{RIGHT}{WRONG}"));
    let said = test(dir.path(), "bad.toml good.toml --junit out.xml");
    assert_eq!(said.code, Some(1), "{}", said.err);
    let expected = "\
1..2
not ok 1 - bad.toml: two become four
#   bad.toml:16: at 40s (08:00:30Z)
#     expected  desired = 5
#     got       desired = 4
#     decision  2 → 4: wanted recommends 4
ok 2 - good.toml: two become four
# 1 of 2 pass
";
    assert_eq!(said.out, expected);
    let xml = fs::read_to_string(dir.path().join("out.xml")).expect("the results");
    assert!(xml.contains("tests=\"2\" failures=\"1\" errors=\"0\""), "{xml}");
    assert!(xml.contains("<failure message=\"expected desired = 5, got desired = 4\">"), "{xml}");
}

#[test]
fn a_bad_file_tells_all_of_its_problems_and_the_others_run() {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), "good.toml", RIGHT);
    write(dir.path(), "bad.toml", "wanted = 3\n[[expect]]\nat = \"30s\"\n");
    let said = test(dir.path(), "bad.toml gone.toml good.toml --junit out.xml");
    assert_eq!(said.code, Some(2), "{}", said.out);
    for says in [
        "not ok 1 - bad.toml: the file has problems",
        "#   bad.toml:13: unknown key `wanted`",
        "#   bad.toml:14: the expectation expects nothing",
        "#     hint: ",
        "not ok 2 - gone.toml: the file has problems",
        "#   gone.toml: the scenario cannot be read: there is no such file",
        "\nok 3 - good.toml",
        "# 1 of 3 pass",
    ] {
        assert!(said.out.contains(says), "{says}:\n{}", said.out);
    }
    let xml = fs::read_to_string(dir.path().join("out.xml")).expect("the results");
    assert!(xml.contains("tests=\"3\" failures=\"0\" errors=\"2\""), "{xml}");
}

#[test]
fn a_trace_has_every_other_decision() {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), "a.toml", RIGHT);
    let said = test(dir.path(), "a.toml --trace");
    assert_eq!(said.code, Some(0), "{}", said.err);
    let expected = "#   0s (08:00:00Z): stays at 2: wanted recommends 2\n\
                    #   30s (08:00:30Z): 2 → 4: wanted recommends 4\n";
    assert!(said.out.ends_with(expected), "{}", said.out);
}

#[test]
fn a_command_line_without_a_scenario_is_wrong() {
    let dir = tempfile::tempdir().expect("a directory");
    assert_eq!(test(dir.path(), "").code, Some(2));
}
