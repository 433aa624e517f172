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
    write(
        home.path(),
        ".aliyun/config.json",
        r#"{"current":"a","profiles":[{"name":"a","mode":"CloudSSO"}]}"#,
    );
    write(
        home.path(),
        ".alibabacloud/credentials",
        "[default]\ntype = rsa_key_pair\naccess_key_secret = hush",
    );
    let error = chain(&[("HOME", home.path().to_str().expect("UTF-8"))]).fetch().await;
    let error = error.expect_err("none").to_string();
    for part in [
        "CREDENTIALS_DIRECTORY is not set",
        "ALIBABA_CLOUD_ACCESS_KEY_ID is not set",
        r#"mode "CloudSSO""#,
        r#"type "rsa_key_pair""#,
        "is this an ECS instance?",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(!error.contains("hush"), "{error}");
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
