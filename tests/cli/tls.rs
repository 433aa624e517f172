//! The API by TLS, with tokens of three roles.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use cloud::{Clock, SystemClock};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::World;
use crate::http::Daemon;

/// A certificate for `localhost`, and a daemon that serves with it.
fn started(world: &World) -> (Daemon, reqwest::Certificate) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("made");
    let (cert, key) =
        (world.config().with_file_name("tls.crt"), world.config().with_file_name("tls.key"));
    std::fs::write(&cert, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let tokens: String = ["read", "operate", "admin"]
        .map(|role| {
            let digest =
                Sha256::digest(role).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            format!("[[daemon.api_token]]\nsha256 = \"{digest}\"\nrole = \"{role}\"\n")
        })
        .concat();
    let daemon = Daemon::started(world, "web", |command: Command| {
        world.edit(|text| text + "[daemon.tls]\ncert = \"tls.crt\"\nkey = \"tls.key\"\n" + &tokens);
        command
    });
    let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).expect("a certificate");
    (daemon, root)
}

#[tokio::test]
async fn the_api_is_served_by_tls_to_who_has_a_token_of_the_right_role() {
    let world = World::new().await;
    let (daemon, root) = started(&world);
    let address = daemon.address.replace("http://127.0.0.1", "https://localhost");
    let client = cloud::http::client_builder().tls_certs_only([root]);
    // Whoever only waits loses its place to others, kept connections too.
    let client = client.pool_max_idle_per_host(0).build().expect("a client");
    let mut status = 0;
    for _ in 0..100 {
        if let Ok(answer) = client.get(format!("{address}/v1/fleets")).send().await {
            status = answer.status().as_u16();
            break;
        }
        SystemClock.sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(status, 200, "on loopback to look is free");
    let hold =
        serde_json::json!({ "holds": "both", "for_secs": 60, "author": "ann", "reason": "a look" });
    for (page, token, expected) in [
        ("/v1/fleets/web/holds", "read", 403),
        ("/v1/fleets/web/holds", "operate", 201),
        ("/v1/reload", "operate", 403),
        ("/v1/reload", "admin", 200),
        ("/v1/reload", "wrong", 401),
    ] {
        let request = client.post(format!("{address}{page}")).bearer_auth(token).json(&hold);
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.text().await.expect("a body");
        // A reload takes no hold: only who may ask for one is of interest.
        let is_let_in = status != 401 && status != 403;
        assert_eq!(is_let_in, expected < 400, "{page} {token}: {status} {body}");
    }

    // In the clear nothing is told, and who never ends the handshake keeps nobody out.
    let port = address.rsplit(':').next().expect("a port").to_owned();
    let to = format!("127.0.0.1:{port}");
    let mut plain = TcpStream::connect(&to).await.expect("a connection");
    plain.write_all(b"GET /v1/fleets HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
    let mut said = Vec::new();
    drop(plain.read_to_end(&mut said).await);
    assert!(!String::from_utf8_lossy(&said).contains("web"), "{said:?}");
    let mut waiting = Vec::new();
    for _ in 0..64 {
        waiting.push(TcpStream::connect(&to).await.expect("a connection"));
    }
    let fresh = client.get(format!("{address}/healthz")).send().await.expect("an answer");
    assert_eq!(fresh.status().as_u16(), 200);
    drop(waiting);
    daemon.stop();
}

#[tokio::test]
async fn a_port_that_strangers_reach_needs_tokens_and_a_key_that_nobody_else_reads() {
    let world = World::new().await;
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("made");
    let key = world.config().with_file_name("tls.key");
    std::fs::write(world.config().with_file_name("tls.crt"), made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("a mode");
    world.configure("listen = \"0.0.0.0:9177\"", "web");
    world.edit(|text| text + "[daemon.tls]\ncert = \"tls.crt\"\nkey = \"tls.key\"\n");
    let said = world.run(&["check"]).await;
    assert_eq!(said.code, Some(3), "{said:?}");
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("everybody on this machine can read"), "{said:?}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let said = world.run(&["check"]).await;
    assert_eq!(said.code, Some(3), "{said:?}");
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("nobody could use it") && words.contains("[[daemon.api_token]]"),
        "{said:?}"
    );
}
