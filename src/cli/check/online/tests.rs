//! Peers that refuse connections, that never answer, and that answer some questions.

use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::config::{Env, parse};

/// Keeps what it is told.
#[derive(Default)]
struct Told {
    rows: Vec<CheckRow>,
    asked: Vec<(usize, usize)>,
}

impl Listener for Told {
    fn asks(&mut self, number: usize, total: usize, _what: &str) {
        self.asked.push((number, total));
    }

    fn finds(&mut self, row: CheckRow) {
        self.rows.push(row);
    }
}

impl Told {
    /// `fail provider aliyun: …`, a line a row.
    fn lines(&self) -> Vec<String> {
        self.rows.iter().map(|row| format!("{} {}", row.found.name(), row.what)).collect()
    }
}

/// A provider at `cloud`, and the fleets `mail` and `web` with these signals.
fn config(cloud: &str, signals: &str, dir: &Path) -> Config {
    let mut text = format!(
        "[daemon]\nstate = \"memory:\"\n[provider.aliyun]\nregion = \"cn-hangzhou\"\n\
         endpoint = \"{cloud}\"\naccess_key_id_file = \"id\"\naccess_key_secret_file = \"secret\"\n"
    );
    for fleet in ["mail", "web"] {
        text.push_str(&format!(
            "[fleet.{fleet}]\nprovider = \"aliyun\"\nmin = 1\nmax = 3\n[fleet.{fleet}.launch]\n\
             image_id = \"m-1\"\ninstance_types = [\"ecs.c7.large\"]\nvswitches = [\"vsw-1\"]\n\
             security_group_ids = [\"sg-1\"]\n"
        ));
        text.push_str(&signals.replace("{FLEET}", fleet));
    }
    let keys = [("id", "testid\n"), ("secret", "testsecret\n")];
    let files = keys.map(|(name, text)| {
        std::fs::write(dir.join(name), text).expect("written");
        (dir.join(name), text.as_bytes().to_vec())
    });
    let env = Env::given([].into(), files.into());
    parse(&text, &dir.join("config.toml"), &env).unwrap_or_else(|problems| panic!("{problems}"))
}

/// A signal `name` that is read from a document.
fn signal(name: &str, url: &str) -> String {
    format!(
        "[fleet.{{FLEET}}.signal.{name}]\nsource = \"http-json\"\nurl = \"{url}\"\npointer = \"/n\"\n\
         timeout = \"1s\"\n[[fleet.{{FLEET}}.rule]]\nkind = \"external\"\nsignal = \"{name}\"\n"
    )
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, url)
}

/// Where nobody listens.
async fn refusing() -> String {
    listener().await.1
}

async fn told(config: &Config, limit: Duration) -> Told {
    let mut told = Told::default();
    ask(config, limit, &mut told).await.expect("sources can be made");
    told
}

#[tokio::test]
async fn what_refuses_connections_is_told_once_in_the_order_of_the_questions() {
    let dir = tempfile::tempdir().expect("a directory");
    let metrics = refusing().await;
    let signals = signal("depth", &metrics) + &signal("rate", &metrics);
    let config = config(&refusing().await, &signals, dir.path());
    let told = told(&config, Duration::from_secs(2)).await;
    let source = format!(
        "fail signal source {metrics}, asked by fleet mail (depth, rate) and fleet web (depth, rate)"
    );
    assert_eq!(
        told.lines(),
        [
            "ok state in memory",
            "fail provider aliyun: credentials, and permission to list",
            source.as_str(),
            "skip provider aliyun: 5 more checks",
        ]
    );
    let (wrong, todo) = told.rows[1].found.texts();
    assert!(wrong.contains("could not connect"), "{wrong}");
    assert!(todo.is_some_and(|todo| todo.contains("`region`")), "{todo:?}");
    assert_eq!(told.asked.last(), Some(&(3, 11)), "the others are not asked");
}

#[tokio::test]
async fn what_never_answers_is_given_up_at_the_limit_and_told_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let ((_cloud, cloud), (_metrics, metrics)) = (listener().await, listener().await);
    let config = config(&cloud, &signal("depth", &metrics), dir.path());
    let told = told(&config, Duration::from_millis(200)).await;
    let source =
        format!("fail signal source {metrics}, asked by fleet mail (depth) and fleet web (depth)");
    assert_eq!(
        told.lines(),
        [
            "ok state in memory",
            "fail provider aliyun: credentials, and permission to list",
            source.as_str(),
            "skip provider aliyun: 5 more checks",
        ]
    );
    assert_eq!(told.rows[1].found.texts().0, "there was no answer within 200ms");
    assert!(told.rows[3].found.texts().0.contains("does not answer"), "{:?}", told.rows[3]);
}

/// Answers every question but those with `slow` in them.
async fn serve(listener: TcpListener) {
    let mut held: Vec<TcpStream> = Vec::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut request = [0; 2048];
        let read = stream.read(&mut request).await.unwrap_or(0);
        if String::from_utf8_lossy(&request[..read]).contains("slow") {
            held.push(stream);
            continue;
        }
        let body = "{\"n\": 7}";
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{body}",
            body.len()
        );
        drop(stream.write_all(answer.as_bytes()).await);
    }
}

#[tokio::test]
async fn a_question_that_is_slow_does_not_speak_for_its_server() {
    let dir = tempfile::tempdir().expect("a directory");
    let (server, metrics) = listener().await;
    let signals =
        signal("a", &format!("{metrics}/slow/{{fleet}}")) + &signal("b", &format!("{metrics}/n"));
    let config = config(&refusing().await, &signals, dir.path());
    let serving = tokio::spawn(serve(server));
    let told = told(&config, Duration::from_secs(2)).await;
    serving.abort();
    assert_eq!(
        told.lines()[2..6],
        [
            "fail fleet mail: signal a",
            "ok fleet mail: signal b",
            "fail fleet web: signal a",
            "ok fleet web: signal b",
        ]
    );
}

#[test]
fn one_peer_has_one_lane_and_every_question_a_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let signals = signal("a", "http://127.0.0.1:1/x") + &signal("b", "http://127.0.0.1:2/y");
    let config = config("http://127.0.0.1:3", &signals, dir.path());
    let questions = question::all(&config);
    let count = questions.len();
    let lanes = question::lanes(questions);
    let origins: Vec<&str> = lanes
        .iter()
        .filter_map(|lane| match &lane.peer {
            Peer::Server { origin, .. } => Some(origin.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(origins, ["http://127.0.0.1:1", "http://127.0.0.1:2"]);
    let mut slots: Vec<usize> =
        lanes.iter().flat_map(|lane| lane.questions.iter().map(|(slot, _)| *slot)).collect();
    slots.sort_unstable();
    assert_eq!(slots, (0..count).collect::<Vec<_>>());
}
