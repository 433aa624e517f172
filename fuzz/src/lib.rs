//! What reads bytes that somebody else wrote, each as a function that must not panic whatever it is
//! given.
//!
//! An input begins with a line that says how the rest is to be read, so that a corpus is made of
//! files that a person can read; a fuzzer changes that line like any other.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aliyun::credentials::KeyPair;
use aliyun::{Ecs, HttpRequest, HttpResponse, Seams, Settings, Transport, TransportError};
use async_trait::async_trait;
use cloud::dice::SeededDice;
use cloud::{InstanceId, ManualClock, Mutate, Observe, TagFilter, Terminate};
use fleetscaler::config::{self, Env};
use fleetscaler::journal::codec;
use fleetscaler::model::History;

/// A configuration file.
pub fn config(data: &[u8]) {
    let vars = BTreeMap::from([("TOKEN".to_owned(), "sesame".to_owned())]);
    let files = ["password", "token", "key-id", "start.sh", "ca.pem"];
    let files = files.map(|name| (PathBuf::from(name), b"hunter2\n".to_vec()));
    let env = Env::given(vars, files.into());
    match config::parse(&String::from_utf8_lossy(data), Path::new("fuzz.toml"), &env) {
        Ok(config) => drop(format!("{config:?}")),
        Err(problems) => drop(problems.to_string()),
    }
}

/// An answer of the ECS API, after `ACTION STATUS`: `describe 200`.
pub fn ecs_json(data: &[u8]) {
    thread_local! {
        static CLOUD: (Ecs, Arc<Says>, tokio::runtime::Runtime) = cloud();
    }
    let (head, body) = split(data);
    let mut words = head.split(' ');
    let action = words.next().unwrap_or_default();
    let status = words.next().and_then(|status| status.parse().ok()).unwrap_or(200);
    CLOUD.with(|(ecs, says, runtime)| {
        says.say(status, body);
        runtime.block_on(ask(ecs, action));
    });
}

async fn ask(ecs: &Ecs, action: &str) {
    let ids = ["i-1", "i-2"].map(|id| InstanceId(id.to_owned()));
    let text = match action {
        "ids" => format!("{:?}", ecs.instances_by_ids(&ids).await),
        "stock" => format!("{:?}", ecs.offers("ecs.c7.large").await),
        "price" => format!("{:?}", ecs.price_per_hour("ecs.c7.large", "cn-hangzhou-h").await),
        "stop" => format!("{:?}", ecs.stop(&permit(), &ids).await),
        "delete" => format!("{:?}", ecs.delete(&permit(), &ids, Terminate::Graceful).await),
        "whose" => format!("{:?}", ecs.signer(false).await),
        "probe" => format!("{:?}", ecs.probe_list().await),
        _ => {
            let filter = TagFilter::of(("scale-source", "auto"), ("scale-fleet", "web"), &[]);
            format!("{:?}", ecs.instances_by_tags(&filter).await)
        }
    };
    drop(text);
}

#[expect(clippy::disallowed_methods, reason = "nothing is sent anywhere")]
fn permit() -> cloud::Permit {
    let end = cloud::Timestamp::MAX_UTC;
    cloud::Permit::after_commit(Default::default(), cloud::Deadline::fixed(end), end)
}

/// A provider that gives one answer to everything.
#[derive(Debug, Default)]
struct Says(Mutex<RefCell<(u16, Vec<u8>, u32)>>);

/// A page may name a next one, and this answer is each of them.
const PAGES: u32 = 3;

impl Says {
    fn say(&self, status: u16, body: &[u8]) {
        let says = self.0.lock().expect("no holder of this lock can panic");
        *says.borrow_mut() = (status, body.to_vec(), 0);
    }
}

#[async_trait]
impl Transport for Says {
    async fn send(&self, _request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let says = self.0.lock().expect("no holder of this lock can panic");
        let mut says = says.borrow_mut();
        says.2 += 1;
        if says.2 > PAGES {
            return Err(TransportError::TimedOut);
        }
        let headers = BTreeMap::from([("x-acs-retry-after".to_owned(), "1".to_owned())]);
        Ok(HttpResponse { status: says.0, headers, body: says.1.clone() })
    }
}

fn cloud() -> (Ecs, Arc<Says>, tokio::runtime::Runtime) {
    let says = Arc::new(Says::default());
    let settings = Settings {
        region: "cn-hangzhou".to_owned(),
        endpoint: None,
        sts_endpoint: None,
        vpc_endpoint: false,
        allow_plain_http: false,
        signature: aliyun::Signature::V1,
        timeouts: aliyun::Timeouts::default(),
        // One attempt: an answer is not better the second time.
        retry: cloud::retry::Policy { deadline: Duration::ZERO, ..Default::default() },
        rates: cloud::limit::Rates {
            reads: 1e9,
            writes: 1e9,
            account: 1e9,
            ..cloud::limit::Rates::default()
        },
        credentials: Arc::new(KeyPair::new("testid", "testsecret")),
    };
    let clock = Arc::new(ManualClock::at("2026-01-02T12:00:00Z".parse().expect("a valid time")));
    let seams = Seams { transport: says.clone(), dice: Arc::new(SeededDice::new(1)) };
    let ecs = Ecs::with_seams(settings, clock, seams).expect("settings that work");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    (ecs, says, runtime)
}

/// An answer of Prometheus, after its status: `200`.
pub fn prometheus_json(data: &[u8]) {
    let (head, body) = split(data);
    let status = head.parse().unwrap_or(200);
    if let Err(gap) = fleetscaler::signals::read_answer(status, body) {
        drop(gap.to_string());
    }
}

/// A record of the journal, after `KIND VERSION`: `event 2`.
pub fn journal_record(data: &[u8]) {
    let (head, body) = split(data);
    let mut words = head.split(' ');
    let kind = words.next().unwrap_or_default();
    let v = words.next().and_then(|v| v.parse().ok()).unwrap_or(2);
    if kind == "zipped" {
        drop(codec::decode_inputs(body));
        return;
    }
    let text = String::from_utf8_lossy(body);
    match kind {
        "account" => {
            let mut account = fleetscaler::model::Account::default();
            for line in text.lines() {
                if let Ok(event) = codec::account_event(v, line) {
                    account.apply(&event);
                }
            }
        }
        "operator" => drop(codec::operator_event(v, &text)),
        "inputs" => drop(codec::decode_inputs(&zipped(body))),
        // A snapshot, and the records after it.
        "history" => {
            let mut lines = text.lines();
            if let Ok(history) = codec::history(v, lines.next().unwrap_or_default()) {
                fold(history, lines);
            }
        }
        _ => fold(History::default(), text.lines()),
    }
}

/// What is read is folded, and looked at as a tick does.
fn fold<'a>(mut history: History, records: impl Iterator<Item = &'a str>) {
    for event in records.filter_map(|line| codec::event(2, line).or(codec::event(1, line)).ok()) {
        history.apply(&event);
    }
    black_box(history.launches_in_doubt());
    black_box(history.last_action());
    if let Some(at) = history.last_change {
        black_box(history.in_service_at(at));
        drop(history.seeing(&BTreeMap::new(), &BTreeMap::new(), at));
    }
}

fn zipped(body: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

/// The first line, and the rest.
fn split(data: &[u8]) -> (&str, &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let head = std::str::from_utf8(&data[..end]).unwrap_or_default();
    (head, data.get(end + 1..).unwrap_or_default())
}
