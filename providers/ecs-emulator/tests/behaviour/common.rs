//! An emulator over HTTP, and a caller with a signer of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloud::{Clock, ManualClock, Timestamp};
use ecs_emulator::{Emulator, World};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use sha1::Sha1;

pub(crate) struct Cloud {
    pub(crate) emulator: Emulator,
    pub(crate) clock: ManualClock,
    pub(crate) client: reqwest::Client,
    calls: std::sync::atomic::AtomicU32,
}

/// Mistakes that a request may have.
pub(crate) struct Slip<'a> {
    pub(crate) secret: &'a str,
    pub(crate) at: Timestamp,
    pub(crate) nonce: &'a str,
    pub(crate) format: &'a str,
}

/// The parameters of a launch: these beside, or instead of, the usual ones.
pub(crate) fn usual<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut parameters: BTreeMap<&str, &str> = [
        ("ImageId", "m-bp1example"),
        ("InstanceType", "ecs.c7.large"),
        ("VSwitchId", "vsw-zone-h"),
        ("SecurityGroupId", "sg-bp1example"),
    ]
    .into();
    parameters.extend(more.iter().copied());
    parameters.into_iter().collect()
}

const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub(crate) fn start() -> Timestamp {
    "2026-01-02T12:00:30Z".parse().expect("a valid time")
}

impl Cloud {
    pub(crate) async fn new(world: World) -> Cloud {
        let clock = ManualClock::at(start());
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let emulator = Emulator::on_loopback(world, shared).await.expect("it starts");
        let client = cloud::http::client_builder().tls_certs_only([]).build().expect("a client");
        Cloud { emulator, clock, client, calls: 0.into() }
    }

    pub(crate) async fn call(&self, action: &str, parameters: &[(&str, &str)]) -> (u16, Value) {
        let nonce = self.calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
        let slip =
            Slip { secret: "testsecret", at: self.clock.now(), nonce: &nonce, format: "JSON" };
        let (status, text) = self.send(action, parameters, slip).await;
        (status, serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}")))
    }

    pub(crate) async fn send(
        &self,
        action: &str,
        parameters: &[(&str, &str)],
        slip: Slip<'_>,
    ) -> (u16, String) {
        let url = self.signed(action, parameters, slip);
        let response = self.client.get(url).send().await.expect("an answer");
        (response.status().as_u16(), response.text().await.expect("a body"))
    }

    fn signed(&self, action: &str, parameters: &[(&str, &str)], slip: Slip<'_>) -> String {
        let at = slip.at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let common = [
            ("Action", action),
            ("Version", "2014-05-26"),
            ("AccessKeyId", "testid"),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureVersion", "1.0"),
            ("SignatureNonce", slip.nonce),
            ("Timestamp", &at),
            ("RegionId", "cn-hangzhou"),
        ];
        let mut all: BTreeMap<&str, &str> =
            common.into_iter().chain(parameters.iter().copied()).collect();
        if !slip.format.is_empty() {
            all.insert("Format", slip.format);
        }
        let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
        let query: Vec<String> =
            all.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect();
        let query = query.join("&");
        let key = format!("{}&", slip.secret);
        let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).expect("any length");
        mac.update(format!("GET&%2F&{}", encode(&query)).as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        format!("{}/?{query}&Signature={}", self.emulator.url(), encode(&signature))
    }

    /// The same, of a call whose connection is closed without an answer.
    pub(crate) async fn cut(&self, action: &str, parameters: &[(&str, &str)]) {
        let nonce = self.calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
        let slip =
            Slip { secret: "testsecret", at: self.clock.now(), nonce: &nonce, format: "JSON" };
        let url = self.signed(action, parameters, slip);
        assert!(self.client.get(url).send().await.is_err(), "no answer comes");
    }

    /// Posts to the controls.
    pub(crate) async fn post(&self, what: &str, body: &str) -> (u16, String) {
        let url = format!("{}/_emulator/{what}", self.emulator.url());
        let answer = self.client.post(url).body(body.to_owned()).send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a body"))
    }

    /// Launches with these parameters beside the usual ones.
    pub(crate) async fn launch(&self, more: &[(&str, &str)]) -> (u16, Value) {
        self.call("RunInstances", &usual(more)).await
    }

    pub(crate) async fn launched(&self, more: &[(&str, &str)]) -> Vec<String> {
        let (status, body) = self.launch(more).await;
        assert_eq!(status, 200, "{body}");
        let ids = body["InstanceIdSets"]["InstanceIdSet"].as_array().expect("ids").clone();
        ids.iter().map(|id| id.as_str().expect("an id").to_owned()).collect()
    }

    pub(crate) async fn list(&self, parameters: &[(&str, &str)]) -> Vec<Value> {
        let (status, body) = self.call("DescribeInstances", parameters).await;
        assert_eq!(status, 200, "{body}");
        body["Instances"]["Instance"].as_array().expect("a list").clone()
    }
}

pub(crate) fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["Code"].as_str().unwrap_or("none"))
}
