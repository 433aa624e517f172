//! The value that a configuration comes out as; and that the example and the documentation keep up with the
//! readers.

use cloud::{Spot, Terminate};

use super::*;
use crate::model::{
    Brakes, Cooldown, Coverage, Estimate, OnMissing, Reduce, RuleKind, Spread, Step, Timeout,
};
use crate::signals::Auth;

const EXAMPLE: &str = include_str!("../../config.example.toml");
const DOCUMENTATION: &str = include_str!("../../docs/configuration.md");
const MINIMAL: &str = include_str!("../../tests/configs/good/minimal.toml");
const FULL: &str = include_str!("../../tests/configs/good/full.toml");

fn given(vars: &[(&str, &str)], files: &[(&str, &str)]) -> Env {
    let vars = vars.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    let files = files.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec()));
    Env::given(vars.collect(), files.collect())
}

fn read(text: &str, env: &Env) -> Config {
    parse(text, Path::new("/etc/f/config.toml"), env)
        .unwrap_or_else(|problems| panic!("{problems}"))
}

fn bare() -> Env {
    given(&[], &[])
}

/// Variables that the full configuration and the example's commented keys refer to.
fn surroundings() -> Env {
    given(
        &[
            ("CREDENTIALS_DIRECTORY", "/run/credentials"),
            ("TOKEN", "sesame"),
            ("PROMETHEUS_TOKEN", "sesame"),
            ("PROMETHEUS_PASSWORD", "hunter2"),
            ("FLEETSCALER_STATE_PASSWORD", "open sesame"),
        ],
        &[
            ("/etc/f/password", "hunter2\n"),
            ("/etc/f/token", "sesame\r\n"),
            ("/etc/f/key-id", "LTAIexample\n"),
            ("/etc/f/start.sh", "#!/bin/sh\n"),
            ("/etc/f/web-start.sh", "#!/bin/sh\n"),
            ("/etc/f/ca.pem", "-----BEGIN CERTIFICATE-----\n"),
            ("/etc/ssl/private-ca.pem", "-----BEGIN CERTIFICATE-----\n"),
            ("/run/credentials/key-secret", "key-secret-value\n"),
            ("/run/credentials/access_key_id", "LTAIexample\n"),
            ("/run/credentials/access_key_secret", "key-secret-value\n"),
            ("/run/credentials/prometheus_token", "sesame\n"),
            ("/run/credentials/state_password", "open sesame\n"),
            ("/run/credentials/prometheus_password", "hunter2\n"),
        ],
    )
}

#[test]
fn the_configurations_of_the_documentation_leave_no_doubt() {
    for (name, text) in [("minimal", MINIMAL), ("full", FULL), ("example", EXAMPLE)] {
        assert_eq!(read(text, &surroundings()).warnings, [], "{name}");
    }
}

#[test]
fn the_minimal_configuration_says_what_it_seems_to_say() {
    let config = read(MINIMAL, &bare());
    assert_eq!(config.daemon.interval, Span::secs(15));
    let Provider::Aliyun(aliyun) = &config.providers["aliyun"];
    assert_eq!(aliyun.region, "cn-hangzhou");
    assert_eq!(aliyun.endpoint.as_deref(), Some("http://127.0.0.1:8089"));
    assert_eq!(aliyun.signature, Signature::V1);
    assert_eq!(aliyun.credentials, Credentials::VendorChain);

    let [web] = &config.fleets[..] else { panic!("one fleet") };
    assert_eq!(web.provider, "aliyun");
    assert_eq!(web.fleet.id.0, "web");
    assert_eq!((web.fleet.bounds.min, web.fleet.bounds.max), (2, 20));
    assert_eq!(web.fleet.boot_timeout, Timeout { span: Span::secs(600), learned: true });
    assert_eq!(web.fleet.terminate, Terminate::Graceful);
    assert_eq!(web.fleet.launch.instance_types, ["ecs.c7.large", "ecs.g7.large"]);
    let SourceSpec::Prometheus(cpu) = &web.sources[&"cpu".into()] else { panic!("it") };
    assert_eq!(cpu.url, "http://127.0.0.1:9090");
    assert_eq!(cpu.max_age, web.fleet.signals[&"cpu".into()].max_age);
    let RuleKind::Threshold(rule) = &web.fleet.rules[0].kind else { panic!("a threshold") };
    let (out, in_) = (rule.scale_out.expect("out"), rule.scale_in.expect("in"));
    assert_eq!((out.above, out.samples, out.by), (75.0, 2, Step::Count(2)));
    assert_eq!((in_.below, in_.samples, in_.by), (30.0, 3, Step::Count(1)));
}

#[test]
fn the_full_configuration_reaches_every_corner() {
    let config = read(FULL, &surroundings());
    assert_eq!(config.daemon.state, StateUrl::Memory);
    let Provider::Aliyun(aliyun) = &config.providers["aliyun"];
    assert_eq!(aliyun.signature, Signature::Acs3);
    assert_eq!(aliyun.rate_limits.by_action["RunInstances"], 2.5);
    assert_eq!(aliyun.rate_limits.by_action["DescribeInstances"], 10.0, "600/60(s)");
    assert_eq!(aliyun.rate_limits.account, Some(40.0));
    assert!(aliyun.deletes_strays);
    let brakes = Brakes {
        launches_per_hour: Some(200),
        removals_per_hour: None,
        removal_percent: Some(25.0),
    };
    assert_eq!(aliyun.brakes, brakes);
    assert_eq!(
        aliyun.credentials,
        Credentials::Files {
            id_file: "/etc/f/key-id".into(),
            secret_file: "/run/credentials/key-secret".into(),
        }
    );

    let names: Vec<&str> = config.fleets.iter().map(|fleet| fleet.fleet.id.0.as_str()).collect();
    assert_eq!(names, ["batch", "web"]);
    let [batch, web] = &config.fleets[..] else { panic!("two fleets") };
    assert_eq!(batch.fleet.launch.spec.spot, Some(Spot::AsPriceGo));
    assert_eq!(web.interval, Some(Span::secs(30)));
    assert_eq!(web.fleet.account.0, "aliyun");
    assert_eq!(web.fleet.account_brakes, brakes, "the account's brakes bind the fleet");
    assert_eq!(web.fleet.brakes.removals_per_hour, Some(40));
    assert_eq!(web.fleet.boot_timeout, Timeout { span: Span::secs(300), learned: false });
    assert_eq!(web.fleet.ready_timeout, Some(Span::secs(120)));
    assert_eq!(web.fleet.stabilization, Span::secs(600));
    assert_eq!(web.fleet.launch_failures, 3);
    assert_eq!(web.fleet.launch.spread, Spread::Balanced);
    assert_eq!(web.up.as_ref().map(|up| up.label.as_str()), Some("address"));
    let cpu = web.fleet.signals[&"cpu".into()];
    assert_eq!(cpu.coverage, Coverage::AtLeast(0.8));
    assert_eq!(cpu.on_missing, OnMissing::Fallback(6));
    let queue = web.fleet.signals[&"queue".into()];
    assert_eq!((queue.coverage, queue.on_missing), (Coverage::Auto(0.6), OnMissing::Hold));
    assert_eq!(web.fleet.launch.spec.spot, Some(Spot::PriceLimit(0.35)));
    assert_eq!(web.fleet.base.as_ref().map(|base| base.ids.len()), Some(2));
    let script = web.fleet.launch.spec.user_data.as_ref().expect("a script");
    assert_eq!(script.text(), Some("#!/bin/sh\n"));

    let SourceSpec::Prometheus(cpu) = &web.sources[&"cpu".into()] else { panic!("it") };
    assert_eq!(cpu.url, "https://prometheus.example.internal/prefix");
    assert_eq!(cpu.reduce, Some(Reduce::Percentile(95)));
    let Some(Auth::Basic { username, password }) = &cpu.access.auth else { panic!("basic") };
    assert_eq!((username.as_str(), password.expose()), ("scaler", "hunter2"));
    let SourceSpec::Prometheus(load) = &batch.sources[&"load".into()] else { panic!("it") };
    let Some(Auth::Bearer { token }) = &load.access.auth else { panic!("bearer") };
    assert_eq!(token.expose(), "sesame");

    let RuleKind::Threshold(rule) = &web.fleet.rules[0].kind else { panic!("a threshold") };
    assert_eq!(rule.scale_out.map(|out| out.by), Some(Step::Percent(12.5)));
    let half_given = Cooldown { out: Span::secs(180), learned_out: true, in_: Span::secs(0) };
    assert_eq!(rule.cooldown, half_given);
    assert_eq!(web.fleet.bounds.max, 1000);
    let RuleKind::Threshold(rule) = &web.fleet.rules[1].kind else { panic!("a threshold") };
    assert_eq!(rule.scale_out.map(|out| out.above), Some(105.0));
    assert_eq!(rule.scale_in, None);
    assert_eq!(batch.fleet.rules[1].name.0, "load-ahead");
    let RuleKind::Adaptive(rule) = &batch.fleet.rules[1].kind else { panic!("an adaptive one") };
    assert_eq!((rule.capacity, rule.price), (2.5, 25.0));
    assert_eq!(rule.boot, Estimate { span: Span::secs(90), learned: false });
    assert_eq!((rule.lag, rule.window), (Span::secs(15), Span::secs(120)));
    assert_eq!(rule.interval, config.daemon.interval);
}

#[test]
fn debug_output_shows_no_secret() {
    let shown = format!("{:?}", read(FULL, &surroundings()));
    for secret in ["hunter2", "sesame", "key-secret-value", "#!/bin/sh"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(!format!("{:?}", surroundings()).contains("hunter2"));
}

#[test]
fn the_state_is_where_the_configuration_or_systemd_says() {
    let sqlite = |path: &str| StateUrl::Sqlite { path: path.into() };
    let without = MINIMAL.replace("state = \"sqlite:/var/lib/fleetscaler/state.db\"", "");
    let with = |state: &str| {
        format!(
            "daemon.state = {state:?}\n{}",
            without.replace("[daemon]\n", "").replace("interval = \"15s\"\n", "")
        )
    };
    let service = given(&[("STATE_DIRECTORY", "/var/lib/a:/var/lib/b")], &[]);
    for (name, text, env, expected) in [
        ("by default", without.clone(), bare(), sqlite("/var/lib/fleetscaler/state.db")),
        ("under systemd", without.clone(), service.clone(), sqlite("/var/lib/a/state.db")),
        ("as it is set", with("sqlite:/x.db"), service, sqlite("/x.db")),
        ("as a URL", with("sqlite:///x.db"), bare(), sqlite("/x.db")),
        ("beside the file", with("sqlite:x.db"), bare(), sqlite("/etc/f/x.db")),
        ("nowhere", with("memory:"), bare(), StateUrl::Memory),
        (
            "on a server",
            with("postgres://fleetscaler@db.example/fleets"),
            bare(),
            StateUrl::Postgres {
                url: "postgres://fleetscaler@db.example/fleets".to_owned(),
                password: None,
            },
        ),
    ] {
        assert_eq!(read(&text, &env).daemon.state, expected, "{name}");
    }
}

#[test]
fn the_example_is_accepted() {
    assert_eq!(read(EXAMPLE, &bare()).fleets.len(), 2);
}

/// How the last part of the example begins, which is about templates.
const ALIKE: &str = "# Fleets that are alike";

/// The lines of the example with `prefix`, each with the whole example in which it is uncommented.
fn uncommented(prefix: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    let is_key = |line: &str| {
        let mut words = line.split(' ');
        let key = words.next().unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !key.is_empty() && key.chars().all(plain) && words.next() == Some("=")
    };
    // What follows only goes together.
    let end = lines.iter().position(|line| line.starts_with(ALIKE)).expect("the templates");
    lines[..end]
        .iter()
        .enumerate()
        .filter_map(|(n, line)| {
            let bare = line.strip_prefix(prefix).filter(|bare| is_key(bare))?;
            let mut lines = lines.clone();
            lines[n] = bare;
            Some((bare.to_owned(), lines.join("\n")))
        })
        .collect()
}

#[test]
fn each_default_in_the_example_is_the_default() {
    let expected = read(EXAMPLE, &bare());
    let defaults = uncommented("#");
    assert!(defaults.len() > 10, "only {} defaults", defaults.len());
    for (line, text) in defaults {
        assert_eq!(read(&text, &bare()), expected, "{line}");
    }
}

#[test]
fn each_commented_key_in_the_example_works_when_it_is_wanted() {
    // Those that only go together with a second commented line, or stand in a commented table.
    let pairs = [
        "include",
        "access_key_id_file",
        "access_key_secret_file",
        "state_password_file",
        "state_password_env",
        "strategy",
        "price_limit",
        "ready_timeout",
        "url",
        "query",
        "label",
        "timeout",
        "unhealthy",
        "kind",
        "status",
        "body",
        "headers",
        "ca_file",
        "interval = \"10s\"",
        "healthy_after",
        "port",
        "command",
        "wait",
        "idle_below",
        "on = ",
        "name",
        "secret_file",
        "deadline",
        "otherwise",
        "template",
        "file",
        "url_file",
        "language",
        "fleets",
        "severity",
        "group",
        "repeat",
        "max_per_hour",
        "page_url",
        "runbook_url",
        "check",
        "reload",
        "listener",
        "weight",
        "load_balancer",
        "signal",
        "above",
        "within",
        "floor_for",
        "target = 60",
        "from = ",
        "to = ",
        "cert",
        "key",
        "sha256",
        "role",
    ];
    let examples = uncommented("# ");
    assert!(examples.len() > 15, "only {} examples", examples.len());
    for (line, text) in examples {
        if !pairs.iter().any(|key| line.starts_with(key)) {
            read(&text, &surroundings());
        }
    }
    let spot = EXAMPLE
        .replace("# [fleet.web.launch.spot]", "[fleet.web.launch.spot]")
        .replace("# strategy =", "strategy =")
        .replace("# price_limit =", "price_limit =")
        .replace("# access_key_", "access_key_");
    let Provider::Aliyun(aliyun) = &read(&spot, &surroundings()).providers["aliyun"];
    assert!(matches!(aliyun.credentials, Credentials::Files { .. }));
    let up = EXAMPLE
        .replace("# [fleet.web.up]\n# url", "[fleet.web.up]\nurl")
        .replace("# query = 'up", "query = 'up")
        .replace("# ready_timeout", "ready_timeout");
    assert!(read(&up, &surroundings()).fleets[0].up.is_some());
    for password in ["state_password_file", "state_password_env"] {
        let server = EXAMPLE
            .replace(
                "#state = \"sqlite:/var/lib/fleetscaler/state.db\"",
                "state = \"postgres://u@h/d\"",
            )
            .replace(&format!("# {password} ="), &format!("{password} ="));
        let state = read(&server, &surroundings()).daemon.state;
        let StateUrl::Postgres { password: Some(password), .. } = state else {
            panic!("{state:?}")
        };
        assert_eq!(password.expose(), "open sesame");
    }
}

/// `fleet.NAME.launch` and its parts, without tables of tables such as `fleet`.
fn keys() -> Vec<(String, &'static str)> {
    let mut keys = Vec::new();
    for (table, names) in known_keys() {
        keys.extend(names.into_iter().map(|name| (table.clone(), name)));
    }
    keys
}

#[test]
fn the_survey_finds_the_keys_of_every_table() {
    let keys = keys();
    for (table, key) in [
        ("", "daemon"),
        ("daemon", "state"),
        ("provider.NAME", "kind"),
        ("provider.NAME", "region"),
        ("fleet.NAME", "warmup"),
        ("fleet.NAME.base", "tags"),
        ("fleet.NAME.launch", "image_id"),
        ("fleet.NAME.launch.spot", "price_limit"),
        ("fleet.NAME.signal.NAME", "source"),
        ("fleet.NAME.signal.NAME.basic_auth", "password_file"),
        ("fleet.NAME.rule", "kind"),
        ("fleet.NAME.rule.scale_out", "above"),
        ("fleet.NAME.rule.cooldown", "in"),
    ] {
        assert!(keys.contains(&(table.to_owned(), key)), "[{table}] {key}");
    }
}

#[test]
fn every_key_stands_in_the_example() {
    for (table, key) in keys() {
        let as_key = format!("{key} = ");
        let as_table = [format!(".{key}."), format!(".{key}]"), format!("[{key}.")];
        let stands = EXAMPLE.lines().any(|line| {
            let line = line.trim_start_matches(['#', ' ']);
            let header = line.starts_with('[') && as_table.iter().any(|part| line.contains(part));
            let inline = line.split(['{', ',']).any(|part| part.trim_start().starts_with(&as_key));
            header || inline || line == format!("[{key}]")
        });
        assert!(stands, "`{key}` of [{table}] is missing in config.example.toml");
    }
}

/// The rows of the documentation: the table whose section it is, and the key.
fn documented() -> Vec<(String, String)> {
    let mut table = String::new();
    let mut rows = Vec::new();
    for line in DOCUMENTATION.lines() {
        let quoted = |start: &str| Some(line.strip_prefix(start)?.split_once('`')?.0.to_owned());
        if let Some(header) = quoted("## `[").or_else(|| quoted("`[")) {
            table = header.trim_end_matches(']').to_owned();
        } else if let Some(key) = quoted("| `") {
            rows.push((table.clone(), key));
        }
    }
    rows
}

#[test]
fn every_key_is_documented_in_the_section_of_its_table_and_no_other_is() {
    let documented = documented();
    // The document's own keys are the sections.
    let keys: Vec<_> = keys().into_iter().filter(|(table, _)| !table.is_empty()).collect();
    for (table, key) in &keys {
        let row = (table.clone(), (*key).to_owned());
        assert!(documented.contains(&row), "`{key}` of [{table}] is not documented");
    }
    for row in &documented {
        let is_known = keys.iter().any(|(table, key)| (table, *key) == (&row.0, row.1.as_str()));
        assert!(is_known, "{row:?} is documented and does not exist");
    }
    assert_eq!(documented.len(), keys.len(), "a key is documented twice");
}

#[test]
fn the_life_of_instances_in_the_example_works_when_it_is_wanted() {
    let begin = EXAMPLE.find("# [[fleet.web.health]]").expect("the health checks");
    let end = EXAMPLE.find("# What is launched:").expect("the launch");
    // Keys and headers, and no sentences; nor files that are not there.
    let is_wanted = |line: &&str| match line.split_once(" = ") {
        Some((key, _)) => !key.contains(' ') && !key.ends_with("_file"),
        None => line.starts_with('['),
    };
    let lines = EXAMPLE[begin..end].lines().filter_map(|line| line.strip_prefix("# "));
    let wanted: Vec<&str> = lines.filter(is_wanted).collect();
    let text = format!("{}{}\n{}", &EXAMPLE[..begin], wanted.join("\n"), &EXAMPLE[end..]);
    let fleet = &read(&text, &surroundings()).fleets[0];
    assert_eq!((fleet.checks.len(), fleet.hooks.len(), fleet.busy.is_some()), (3, 1, true));
    assert_eq!(fleet.renders.len(), 1);
    assert_eq!(fleet.fleet.lifecycle.balancers.len(), 2);
    let life = &fleet.fleet.lifecycle;
    assert!(life.has_checks && life.has_busy && life.drains(), "{life:?}");
    assert_eq!(fleet.fleet.ready_timeout, Some(Span::secs(600)), "checks bring it");
}

#[test]
fn the_shadow_in_the_example_works_when_it_is_wanted() {
    let (head, rest) = EXAMPLE.split_once("# [[fleet.web.shadow]]").expect("the shadow rule");
    let (shadow, rest) = rest.split_once("\n\n").expect("a blank line");
    let text = format!("{head}[[fleet.web.shadow]]{}\n\n{rest}", shadow.replace("# ", ""));
    let config = read(&text, &bare());
    let web = config.fleets.iter().find(|fleet| fleet.fleet.id.0 == "web").expect("web");
    let shadow = web.fleet.shadow.as_ref().expect("shadow rules");
    assert_eq!(shadow.rules[0].name.0, "shadow/target-cpu");
    assert_eq!(shadow.stabilization, web.fleet.stabilization);
    let RuleKind::Target(rule) = &shadow.rules[0].kind else { panic!("a target") };
    assert_eq!(rule.target, 60.0);
    assert!(config.fleets.iter().any(|fleet| fleet.fleet.shadow.is_none()));
}

#[test]
fn the_templates_in_the_example_work_when_they_are_wanted() {
    let (head, alike) = EXAMPLE.split_once(ALIKE).expect("the templates");
    let lines = alike
        .lines()
        .skip_while(|line| !line.starts_with("# ["))
        .map(|line| line.trim_start_matches(['#', ' ']));
    let text = format!("{head}{}", lines.collect::<Vec<_>>().join("\n"));
    let config = read(&text, &bare());
    let names: Vec<&str> = config.fleets.iter().map(|fleet| fleet.fleet.id.0.as_str()).collect();
    assert_eq!(names, ["mail", "pdf", "web", "wiki"]);
    let [mail, pdf, ..] = &config.fleets[..] else { panic!("four fleets") };
    assert_eq!((mail.fleet.bounds.max, pdf.fleet.bounds.max), (10, 40));
    let host = |fleet: &FleetConfig| fleet.fleet.launch.spec.host_name.clone();
    assert_eq!((host(mail), host(pdf)), (Some("mail".to_owned()), Some("pdf".to_owned())));
    assert!(config.fleets.iter().all(|fleet| fleet.fleet.launch_failures == 3));
}

#[test]
fn a_schedule_beside_an_adaptive_rule_does_not_change_its_window() {
    let schedule = r#"
[[fleet.web.rule]]
kind = "schedule"
timezone = "UTC"
entries = [{ cron = "0 8 * * 1-5", lasts = "10h", min = 3 }]
"#;
    let adaptive = "[[fleet.web.rule]]\nkind = \"adaptive\"\nsignal = \"cpu\"\ncapacity = 250\n";
    let (head, _) = MINIMAL.split_once("[[fleet.web.rule]]").expect("a rule");
    let window = |rules: &str| {
        let config = parse(&format!("{head}{rules}"), Path::new("c.toml"), &surroundings());
        config.unwrap_or_else(|problems| panic!("{problems}")).fleets[0].fleet.stabilization
    };
    let alone = window(adaptive);
    assert_eq!(alone, Span::secs(0));
    assert_eq!(window(&format!("{adaptive}{schedule}")), alone);
    assert_ne!(window(&format!("{}{schedule}", &MINIMAL[head.len()..])), alone);
}

#[test]
fn a_credential_that_the_service_does_not_have_is_told_apart_from_a_wrong_path() {
    let aliyun = "[provider.aliyun]\naccess_key_id_file = \"credential:access-key-id\"\n";
    let text = MINIMAL.replace("[provider.aliyun]\n", aliyun);
    let of = |env: &Env| {
        let problems = parse(&text, Path::new("/etc/f/config.toml"), env).expect_err("refused");
        problems
            .iter()
            .find(|problem| {
                problem.problem.contains("access_key_id_file`,")
                    || problem.problem.contains("needs a systemd")
            })
            .cloned()
            .expect("it")
    };
    let given = of(&surroundings());
    assert_eq!(given.about, About::Text);
    assert!(given.hint.contains("LoadCredential=access-key-id:/path/to/file"), "{given}");
    assert!(given.hint.contains("spell"), "{given}");
    let by_hand = of(&bare());
    assert_eq!(by_hand.about, About::Credential("access-key-id".to_owned()));
}

#[test]
fn what_a_command_beside_the_daemon_needs_is_read_in_spite_of_the_rest() {
    let path = Path::new("/etc/f/config.toml");
    let text = FULL.replace("state = \"memory:\"", "state = \"sqlite:state.db\"");
    let beside = parse_for_command(&text, path, &bare()).expect("read");
    assert_eq!(beside.daemon.state, StateUrl::Sqlite { path: "/etc/f/state.db".into() });
    assert_eq!(beside.fleets, ["batch".into(), "web".into()]);
    assert_eq!(beside.interval, Span::secs(30));
    assert!(beside.problems.is_some(), "secrets are missing");
    let beside = parse_for_command(MINIMAL, path, &bare()).expect("read");
    assert_eq!(beside.problems, None);
    let refused = parse_for_command("[daemon]\nstate = \"x\"\n[fleet.web]\n", path, &bare());
    assert!(refused.expect_err("refused").to_string().contains("`state` is no place"));
}
