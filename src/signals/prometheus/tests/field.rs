//! Answers as servers and gateways really give them, and questions that cost others.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::Request;

use super::*;
use cloud::http::Proxies;

/// `vector(&["42"])` with more members at the top.
fn with(more: &str) -> String {
    vector(&["42"]).replacen('{', &format!("{{{more},"), 1)
}

#[tokio::test]
async fn an_answer_that_says_it_is_incomplete_is_a_gap() {
    for (name, answer, gap) in [
        ("VictoriaMetrics, a node is lost", with(r#""isPartial":true"#), Some("partial")),
        ("VictoriaMetrics, whole", with(r#""isPartial":false,"stats":{"a":"1"}"#), None),
        ("another spelling", with(r#""partial_response":1"#), Some("partial")),
        (
            "within the data",
            vector(&["42"]).replace(r#""resultType""#, r#""partial":true,"resultType""#),
            Some("partial"),
        ),
        (
            "Thanos, a store is lost",
            with(r#""warnings":["receive series from Addr: s1: rpc error: code = Unavailable"]"#),
            Some("warned"),
        ),
        (
            "Thanos, only information",
            with(r#""warnings":["PromQL info: metric might not be a counter: \"x\" (1:6)"]"#),
            None,
        ),
        (
            "information and a warning",
            with(r#""warnings":["PromQL info: a","PromQL warning: b"]"#),
            Some("warned"),
        ),
        ("Prometheus 3, information", with(r#""infos":["PromQL info: a"],"warnings":[]"#), None),
        ("Mimir, null lists", with(r#""warnings":null,"infos":null"#), None),
        ("null instead of an error", with(r#""error":null,"errorType":null"#), None),
        ("an error beside the data", with(r#""error":"one shard failed""#), Some("warned")),
        ("warnings of another shape", with(r#""warnings":{"a":1}"#), Some("warned")),
        (
            "a warning after the data",
            vector(&["42"]).replacen(r#"]}}"#, r#"]},"warnings":["w"]}"#, 1),
            Some("warned"),
        ),
        (
            "the type after the result",
            format!(
                r#"{{"data":{{"result":[{{"value":[{AT},"42"]}}],"resultType":"vector"}},"status":"success"}}"#
            ),
            None,
        ),
        (
            "a null vector",
            r#"{"status":"success","data":{"resultType":"vector","result":null}}"#.to_owned(),
            Some("empty"),
        ),
    ] {
        let server = server(body(answer)).await;
        let reading = read(&spec(&server.uri())).await;
        assert_eq!(reading.as_ref().err().map(Gap::name), gap, "{name}: {reading:?}");
        if let Ok(sample) = reading {
            assert_eq!(sample.value, 42.0, "{name}");
        }
    }
    let limited =
        server(body(vector(&["42"])).insert_header("M3-Results-Limited", "max_fetch")).await;
    assert_eq!(read(&spec(&limited.uri())).await.expect_err("M3").name(), "partial");
}

#[tokio::test]
async fn a_gateway_that_takes_no_post_is_asked_by_get() {
    for (status, asked_again) in [(405, 2), (501, 2), (403, 2)] {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(status).set_body_string("no POST"))
            .mount(&server)
            .await;
        Mock::given(method("GET"))
            .respond_with(|request: &Request| {
                let is_age = request.url.query().unwrap_or_default().contains("timestamp");
                body(vector(&[&if is_age { (AT - 1.0).to_string() } else { "7".to_owned() }]))
            })
            .mount(&server)
            .await;
        let (shared, clock) = shared();
        let source = Prometheus::new(&spec(&server.uri()), &shared).expect("a source");
        assert_eq!(source.read().await.expect("by GET").value, 7.0, "{status}");
        let before = server.received_requests().await.expect("recorded").len();
        clock.advance(Duration::from_secs(15));
        source.read().await.expect("by GET at once");
        let requests = server.received_requests().await.expect("recorded");
        assert_eq!(requests.len() - before, asked_again, "{status}: it is remembered");
    }
    // Who may do neither is told what the first one said.
    let closed = MockServer::start().await;
    Mock::given(path("/api/v1/query"))
        .respond_with(ResponseTemplate::new(403).set_body_string("not you"))
        .mount(&closed)
        .await;
    let gap = read(&spec(&closed.uri())).await.expect_err("forbidden").to_string();
    assert_eq!(gap, "the source answered HTTP 403: not you");
}

#[tokio::test]
async fn a_redirect_says_where_to() {
    for (to, says) in [
        (
            "https://prometheus.example/p/api/v1/query",
            "write url = \"https://prometheus.example/p\"",
        ),
        ("/login?next=x", "it redirects to /login, and is not followed"),
    ] {
        let server = server(ResponseTemplate::new(301).insert_header("Location", to)).await;
        let gap = read(&spec(&server.uri())).await.expect_err("a redirect").to_string();
        assert!(gap.contains("HTTP 301") && gap.contains(says), "{gap}");
    }
}

/// A server that knows these queries, each with the vector that it answers; others are empty.
async fn knowing(answers: &'static [(&'static str, &'static str)]) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(move |request: &Request| {
            let form = String::from_utf8_lossy(&request.body).into_owned();
            let query = reqwest::Url::parse(&format!("http://x/?{form}")).expect("a form");
            let query = query.query_pairs().find(|(name, _)| name == "query").expect("a query").1;
            let result = answers.iter().find(|(known, _)| *known == query);
            let result = result.map_or("", |(_, result)| result).replace("AT", &AT.to_string());
            body(format!(
                r#"{{"status":"success","data":{{"resultType":"vector","result":[{result}]}}}}"#
            ))
        })
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn of_two_sides_the_one_with_data_says_how_old_it_is() {
    const QUERY: &str = "service:load:avg5m or avg(service_load)";
    let server = knowing(&[
        (QUERY, r#"{"metric":{},"value":[AT,"3"]}"#),
        ("max(timestamp(service_load))", r#"{"metric":{},"value":[AT,"1767355190"]}"#),
        ("count(count by (instance) (service_load))", r#"{"metric":{},"value":[AT,"4"]}"#),
    ])
    .await;
    let spec =
        PrometheusSpec { query: QUERY.to_owned(), asks_coverage: true, ..spec(&server.uri()) };
    let sample = read(&spec).await.expect("a number");
    assert_eq!((sample.value, sample.age, sample.reporting), (3.0, Span::secs(10), Some(4)));
}

#[tokio::test]
async fn data_of_unknown_age_says_the_way_out() {
    let server = knowing(&[("sum(x) or vector(0)", r#"{"metric":{},"value":[AT,"0"]}"#)]).await;
    let spec = PrometheusSpec { query: "sum(x) or vector(0)".to_owned(), ..spec(&server.uri()) };
    let gap = read(&spec).await.expect_err("nothing under it");
    assert_eq!(gap.name(), "age_unknown");
    assert!(gap.to_string().contains("give `freshness`"), "{gap}");
}

/// The signal of `fleet`, of one query for many.
fn of_fleet(url: &str, fleet: &str) -> PrometheusSpec {
    PrometheusSpec {
        query: "avg by (fleet) (load)".to_owned(),
        series: [("fleet".to_owned(), fleet.to_owned())].into(),
        asks_coverage: true,
        ..spec(url)
    }
}

#[tokio::test]
async fn one_query_serves_many_fleets() {
    let server = knowing(&[
        (
            "avg by (fleet) (load)",
            r#"{"metric":{"fleet":"web"},"value":[AT,"1"]},{"metric":{"fleet":"db"},"value":[AT,"2"]},
               {"metric":{"fleet":"twice","a":"1"},"value":[AT,"2"]},{"metric":{"fleet":"twice","a":"2"},"value":[AT,"2"]},
               {"metric":{"fleet":"nan"},"value":[AT,"NaN"]},{"metric":{"fleet":"ageless"},"value":[AT,"2"]}"#,
        ),
        (
            "max by (fleet) (timestamp(load))",
            r#"{"metric":{"fleet":"web"},"value":[AT,"1767355190"]},{"metric":{"fleet":"db"},"value":[AT,"1767355195"]}"#,
        ),
        (
            "count by (fleet) (count by (fleet, instance) (load))",
            r#"{"metric":{"fleet":"web"},"value":[AT,"3"]},{"metric":{"fleet":"db"},"value":[AT,"5"]}"#,
        ),
    ])
    .await;
    let (shared, _clock) = shared();
    let read = async |fleet: &str| {
        let source = Prometheus::new(&of_fleet(&server.uri(), fleet), &shared).expect("a source");
        source.read().await
    };
    let web = read("web").await.expect("web");
    assert_eq!((web.value, web.age, web.reporting), (1.0, Span::secs(10), Some(3)));
    let db = read("db").await.expect("db");
    assert_eq!((db.value, db.age, db.reporting), (2.0, Span::secs(5), Some(5)));
    let none = read("gone").await.expect_err("no series");
    assert_eq!(none.name(), "no_series");
    let text = none.to_string();
    assert!(text.contains(r#"{fleet="gone"}"#) && text.contains(r#"{fleet="web"}"#), "{text}");
    let two = read("twice").await.expect_err("two series").to_string();
    assert!(two.contains(r#"{fleet="twice", a="1"}, {fleet="twice", a="2"}"#), "{two}");
    assert_eq!(read("nan").await.expect_err("NaN").name(), "not_finite");
    assert_eq!(read("ageless").await.expect_err("no age").name(), "age_unknown");
    // Three questions, however many fleets ask.
    assert_eq!(server.received_requests().await.expect("recorded").len(), 3);
}

/// A server that accepts and says nothing; counts the connections.
async fn silent() -> (String, std::sync::Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let count = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            held.push(stream);
        }
    });
    (url, count)
}

#[tokio::test]
async fn a_server_that_hangs_is_asked_by_few_and_told_to_all_at_once() {
    let (url, connections) = silent().await;
    let (shared, clock) = shared();
    let source = |n: usize| {
        let query = format!("avg(x{n})");
        let timeout = Span(Duration::from_millis(300));
        let spec = PrometheusSpec { query, timeout, ..spec(&url) };
        Prometheus::new(&spec, &shared).expect("a source")
    };
    // 200 fleets with a query each, and 10 places: none waits for longer than its time-out.
    let sources: Vec<Prometheus> = (0..200).map(source).collect();
    let all = futures::future::join_all(sources.iter().map(Source::read));
    let gaps = tokio::time::timeout(Duration::from_secs(20), all).await.expect("no queue");
    assert!(gaps.iter().all(|gap| gap.as_ref().is_err_and(|gap| gap.name() == "timed_out")));
    let asked = connections.load(Ordering::Relaxed);
    assert!(asked <= 10, "{asked} connections");
    // Then it is left alone for some seconds.
    source(500).read().await.expect_err("open");
    assert_eq!(connections.load(Ordering::Relaxed), asked);
    clock.advance(Duration::from_secs(5));
    source(501).read().await.expect_err("one tries");
    assert_eq!(connections.load(Ordering::Relaxed), asked + 1);
}

#[tokio::test]
async fn a_peer_that_repeats_the_request_tells_no_secret() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(|request: &Request| {
            let auth = request.headers.get("authorization").expect("sent").to_str().expect("text");
            let key = request.headers.get("x-api-key").expect("sent").to_str().expect("text");
            let error = format!("denied:\n{auth} with key%3D{key} {}", "x".repeat(3_900_000));
            ResponseTemplate::new(400).set_body_json(serde_json::json!({
                "status": "error", "errorType": auth, "error": error,
            }))
        })
        .mount(&server)
        .await;
    let secret = |text: &str| Secret::new(text.to_owned());
    let headers = [("X-Api-Key".to_owned(), secret("abcd-1234"))];
    for auth in [
        Auth::Bearer { token: secret("sesame+open") },
        Auth::Basic { username: "prom".to_owned(), password: secret("sesame+open") },
    ] {
        let access =
            ServerAccess { auth: Some(auth), headers: headers.clone().into(), ca_file: None };
        let gap =
            read(&PrometheusSpec { access, ..spec(&server.uri()) }).await.expect_err("denied");
        let text = gap.to_string();
        for told in ["sesame", "c2VzYW1l", "cHJvbTp", "abcd-1234", "\n"] {
            assert!(!text.contains(told), "{told}: {text}");
        }
        assert!(text.contains("<secret>") && text.chars().count() < 900, "{text}");
    }
}

#[tokio::test]
async fn a_proxy_is_named_and_never_asked_for_loopback() {
    let proxy = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(403).set_body_string("denied by policy"))
        .mount(&proxy)
        .await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(403)).mount(&proxy).await;
    let proxies = Proxies { http: proxy.uri(), ..Proxies::default() };
    let clock = shared().1;
    let through = |url: &str| {
        let clock = Arc::new(clock.clone());
        let shared = Clients::through(clock, Duration::from_secs(7), proxies.clone());
        Prometheus::new(&spec(url), &Arc::new(shared)).expect("a source")
    };
    let direct = server(body(vector(&["42.5"]))).await;
    through(&direct.uri()).read().await.expect("asked directly");
    assert_eq!(proxy.received_requests().await.expect("recorded").len(), 0);
    let gap = through("http://prometheus.invalid:9090").read().await.expect_err("denied");
    let name = proxy.address().to_string();
    let text = gap.to_string();
    assert!(text.contains(&format!("came through the proxy {name}")), "{text}");
    assert!(text.contains("denied by policy"), "{text}");
}

/// A server that answers every request with these bytes, again and again until it is cut off.
async fn raw(head: &'static str, again: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _read = stream.read(&mut request).await?;
                stream.write_all(head.as_bytes()).await?;
                loop {
                    stream.write_all(again).await?;
                }
                #[expect(unreachable_code, reason = "it names the type of the errors above")]
                Ok::<(), std::io::Error>(())
            });
        }
    });
    url
}

#[tokio::test]
async fn answers_without_an_end_are_gaps() {
    for (name, head, again) in [
        ("no end", "HTTP/1.1 200 OK\r\n\r\n", &[b'['; 8192][..]),
        (
            "more than it said",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            &[b' '; 8192],
        ),
        ("headers without end", "HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
        ("only interim answers", "", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ] {
        let url = raw(head, again).await;
        let timeout = Span(Duration::from_millis(500));
        let spec = PrometheusSpec { timeout, ..spec(&url) };
        let reading = tokio::time::timeout(Duration::from_secs(20), read(&spec)).await;
        reading.expect(name).expect_err(name);
    }
}
