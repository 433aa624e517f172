use std::collections::BTreeMap;
use std::path::Path;

use cloud::ManualClock;
use wiremock::matchers::{header, header_exists, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at("2026-01-02T03:00:00Z".parse().expect("a valid time")))
}

fn given(variables: &[(&str, &str)]) -> Surroundings {
    let variables: BTreeMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Surroundings::given(move |name| variables.get(name).cloned())
}

/// A chain whose metadata service nobody answers for.
fn chain(variables: &[(&str, &str)]) -> Chain {
    let metadata = Metadata::at("http://127.0.0.1:9", clock()).expect("a client");
    Chain::given(given(variables), metadata)
}

fn write(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    std::fs::write(path, text).expect("written");
}

async fn id(chain: &Chain) -> String {
    chain.fetch().await.expect("credentials").access_key_id
}

#[tokio::test]
async fn the_first_source_that_has_some_is_used() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().to_str().expect("UTF-8");
    write(
        home.path(),
        ".alibabacloud/credentials",
        "[default]\naccess_key_id = ini # mine\naccess_key_secret=s",
    );
    let mut variables = vec![("HOME", path)];
    assert_eq!(id(&chain(&variables)).await, "ini");

    let profile = r#"{"current":"ops","profiles":[{"name":"ops","mode":"AK","access_key_id":"cli","access_key_secret":"s"}]}"#;
    write(home.path(), ".aliyun/config.json", profile);
    assert_eq!(id(&chain(&variables)).await, "cli");

    variables
        .extend([("ALIBABA_CLOUD_ACCESS_KEY_ID", "env"), ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "s")]);
    assert_eq!(id(&chain(&variables)).await, "env");

    write(home.path(), "creds/access_key_id", "systemd\n");
    write(home.path(), "creds/access_key_secret", "s\n");
    let creds = format!("{path}/creds");
    variables.push(("CREDENTIALS_DIRECTORY", &creds));
    assert_eq!(id(&chain(&variables)).await, "systemd");
}

#[tokio::test]
async fn without_any_the_error_says_what_was_tried_and_shows_no_secret() {
    let home = tempfile::tempdir().expect("a directory");
    let error = chain(&[("HOME", home.path().to_str().expect("UTF-8"))]).fetch().await;
    let error = error.expect_err("none").to_string();
    for part in [
        "CREDENTIALS_DIRECTORY is not set",
        "ALIBABA_CLOUD_ACCESS_KEY_ID is not set",
        "~/.aliyun/config.json: there is no such file",
        "~/.alibabacloud/credentials: there is no such file",
        "is this an ECS instance?",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn a_source_that_is_there_and_cannot_be_used_ends_the_chain_with_its_name() {
    let ini = "[default]\naccess_key_id = another-account\naccess_key_secret = s";
    let profile = |text: &'static str| (".aliyun/config.json", text);
    for (name, file, variables, says) in [
        (
            "an unsupported mode",
            profile(r#"{"current":"a","profiles":[{"name":"a","mode":"CloudSSO"}]}"#),
            &[][..],
            r#"mode "CloudSSO""#,
        ),
        ("half a profile", profile(r#"{"current":"a","profiles":[{"na"#), &[], "line 1"),
        ("an empty profile", profile(""), &[], "line 1 is not valid"),
        ("no such profile", profile(r#"{"current":"b","profiles":[]}"#), &[], r#"no profile "b""#),
        (
            "an id without its secret",
            profile(
                r#"{"current":"a","profiles":[{"name":"a","mode":"AK","access_key_id":"i","access_key_secret":null}]}"#,
            ),
            &[],
            "has no key pair",
        ),
        (
            "an id alone in the environment",
            ("unread", ""),
            &[("ALIBABA_CLOUD_ACCESS_KEY_ID", "i")],
            "environment cannot be used",
        ),
        ("an empty systemd credential", ("creds/access_key_id", ""), &[], "access_key_id is empty"),
        ("one systemd credential", ("creds/access_key_secret", "s"), &[], "empty or missing"),
        (
            "an unsupported type",
            (
                ".alibabacloud/credentials",
                "[default]\ntype = rsa_key_pair\naccess_key_secret = hush",
            ),
            &[],
            r#"type "rsa_key_pair""#,
        ),
    ] {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().to_str().expect("UTF-8");
        let creds = format!("{path}/creds");
        write(home.path(), ".alibabacloud/credentials", ini);
        write(home.path(), file.0, file.1);
        let mut given = vec![("HOME", path), ("CREDENTIALS_DIRECTORY", creds.as_str())];
        given.extend(variables);
        let error = chain(&given).fetch().await.expect_err(name).to_string();
        assert!(error.contains(says), "{name}: {error}");
        assert!(error.contains("no other source is tried"), "{name}: {error}");
        assert!(!error.contains("hush"), "{name}: {error}");
    }
}

#[tokio::test]
async fn the_source_that_answered_first_is_kept_to() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().to_str().expect("UTF-8");
    let creds = format!("{path}/creds");
    let variables = [("HOME", path), ("CREDENTIALS_DIRECTORY", creds.as_str())];
    write(
        home.path(),
        ".alibabacloud/credentials",
        "[default]\naccess_key_id=ini\naccess_key_secret=s",
    );
    write(home.path(), "creds/access_key_id", "systemd");
    write(home.path(), "creds/access_key_secret", "s");
    let chain = chain(&variables);
    assert_eq!(id(&chain).await, "systemd");
    std::fs::remove_dir_all(home.path().join("creds")).expect("removed");
    let error = chain.fetch().await.expect_err("nothing else is asked").to_string();
    assert!(error.contains("systemd credentials cannot be used"), "{error}");
    write(home.path(), "creds/access_key_id", "rotated");
    write(home.path(), "creds/access_key_secret", "s");
    assert_eq!(id(&chain).await, "rotated");
}

#[tokio::test]
async fn profiles_are_read_as_editors_and_vendors_write_them() {
    let json = r#"{"current":"default","profiles":[{"name":"default","mode":"AK","access_key_id":"testid","access_key_secret":"s","sts_token":null,"ram_role_name":null}],"meta_path":null}"#;
    let (bom, crlf) = (format!("\u{feff}{json}"), json.replace(",\"", ",\r\n\t\""));
    for (name, file, text) in [
        ("nulls", ".aliyun/config.json", json.to_owned()),
        ("a byte order mark", ".aliyun/config.json", bom),
        ("Windows line ends", ".aliyun/config.json", crlf),
        (
            "an INI file of Windows",
            ".alibabacloud/credentials",
            "\u{feff}# mine\r\n[default]\r\nAccess_Key_ID = \"testid\" ; today's\r\naccess_key_secret='s'\r\n"
                .to_owned(),
        ),
        ("a systemd credential", "creds/access_key_id", "\u{feff}testid\r\n".to_owned()),
    ] {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().to_str().expect("UTF-8");
        let creds = format!("{path}/creds");
        write(home.path(), file, &text);
        if file.starts_with("creds") {
            write(home.path(), "creds/access_key_secret", "s\r\n");
        }
        let chain = chain(&[("HOME", path), ("CREDENTIALS_DIRECTORY", &creds)]);
        let credentials = chain.fetch().await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(credentials.access_key_id, "testid", "{name}");
        assert_eq!(credentials.access_key_secret.expose(), "s", "{name}");
    }
    let variables =
        [("ALIBABA_CLOUD_ACCESS_KEY_ID", "env\r"), ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "s\r")];
    assert_eq!(id(&chain(&variables)).await, "env");
}

#[tokio::test]
async fn a_broken_profile_is_not_quoted() {
    let home = tempfile::tempdir().expect("a directory");
    write(home.path(), ".aliyun/config.json", "{\"profiles\": [{\"access_key_secret\": hush}]}");
    let error = chain(&[("HOME", home.path().to_str().expect("UTF-8"))]).fetch().await;
    let error = error.expect_err("none").to_string();
    assert!(error.contains("line 1 is not valid") && !error.contains("hush"), "{error}");
}

#[tokio::test]
async fn the_role_of_an_instance_is_asked_for_with_a_token() {
    let server = MockServer::start().await;
    Mock::given(method("PUT"))
        .and(path("/latest/api/token"))
        .and(header_exists("X-aliyun-ecs-metadata-token-ttl-seconds"))
        .respond_with(ResponseTemplate::new(200).set_body_string("tok"))
        .mount(&server)
        .await;
    let with_token = || Mock::given(header("X-aliyun-ecs-metadata-token", "tok"));
    with_token()
        .and(path("/latest/meta-data/ram/security-credentials/"))
        .respond_with(ResponseTemplate::new(200).set_body_string("scaler\n"))
        .mount(&server)
        .await;
    let answer = r#"{"Code":"Success","AccessKeyId":"STS.1","AccessKeySecret":"hush","SecurityToken":"t","Expiration":"2026-01-02T09:00:00Z"}"#;
    with_token()
        .and(path("/latest/meta-data/ram/security-credentials/scaler"))
        .respond_with(ResponseTemplate::new(200).set_body_string(answer))
        .mount(&server)
        .await;
    let metadata = Metadata::at(&server.uri(), clock()).expect("a client");
    let credentials = Chain::given(given(&[]), metadata).fetch().await.expect("credentials");
    assert_eq!(credentials.access_key_id, "STS.1");
    assert!(credentials.security_token.is_some() && credentials.expires_at.is_some());
    assert!(!format!("{credentials:?}").contains("hush"));
}

#[tokio::test]
async fn files_named_by_the_configuration_are_read_anew_each_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let files = KeyFiles { id: dir.path().join("id"), secret: dir.path().join("secret") };
    files.fetch().await.expect_err("missing");
    write(dir.path(), "id", "one\n");
    write(dir.path(), "secret", "s\n");
    assert_eq!(files.fetch().await.expect("read").access_key_id, "one");
    write(dir.path(), "id", "two\n");
    assert_eq!(files.fetch().await.expect("read").access_key_id, "two");
}
