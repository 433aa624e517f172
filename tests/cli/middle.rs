//! Somebody between the daemon and the cloud, without a certificate: nothing that is signed, and no
//! secret, is sent to him.

use std::process::{Command, Stdio};
use std::time::Duration;

use cloud::{Clock, SystemClock};

use crate::harness::World;

/// Writes `endpoint`, and more lines, into `[provider.aliyun]`.
fn point_to(world: &World, lines: &str) {
    let text = std::fs::read_to_string(world.config()).expect("the configuration");
    let own = format!("endpoint = \"{}\"", world.emulator.url());
    assert!(text.contains(&own), "{text}");
    std::fs::write(world.config(), text.replace(&own, lines)).expect("written");
}

#[tokio::test]
#[ignore = "waits out the retries of several calls, minutes: cargo test --test cli -- --ignored middle"]
async fn a_certificate_of_nobodys_gets_no_request() {
    let world = World::new().await;
    let dir = tempfile::tempdir().expect("a directory");
    let [key, cert] = ["key.pem", "cert.pem"].map(|name| dir.path().join(name));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"])
        .args(["/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .stderr(Stdio::null())
        .status();
    assert!(made.is_ok_and(|status| status.success()), "openssl makes a certificate");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let got = dir.path().join("got");
    let mut middle = Command::new("openssl")
        .args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}"), "-key"])
        .arg(&key)
        .arg("-cert")
        .arg(&cert)
        .stdin(Stdio::piped())
        .stdout(std::fs::File::create(&got).expect("a file"))
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl serves");
    for _ in 0..50 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            break;
        }
        SystemClock.sleep(Duration::from_millis(100)).await;
    }
    for lines in [
        format!("endpoint = \"https://127.0.0.1:{port}\""),
        // The question whose the key is goes there as well.
        format!(
            "endpoint = \"{}\"\nsts_endpoint = \"https://127.0.0.1:{port}\"",
            world.emulator.url()
        ),
    ] {
        world.configure("", "web");
        point_to(&world, &lines);
        let said = world.run(&["run", "--once", "--log-format", "json"]).await;
        let text = format!("{}{}", said.out, said.err);
        let is_told = text.contains("certificate") || text.contains("UnknownIssuer");
        assert!(is_told, "{said:?}");
        assert!(text.lines().count() < 40, "{said:?}");
        assert!(!text.contains("testsecret"), "{said:?}");
        let sent = std::fs::read_to_string(&got).unwrap_or_default();
        assert_eq!(sent, "", "nothing was sent behind the handshake");
    }
    drop(middle.kill());
    drop(middle.wait());
}

#[tokio::test]
async fn plain_http_to_another_machine_is_refused_for_every_address_of_the_cloud() {
    for key in ["endpoint", "sts_endpoint"] {
        let world = World::new().await;
        point_to(&world, &format!("{key} = \"http://192.0.2.1\""));
        let said = world.run(&["check"]).await;
        assert_eq!(said.code, Some(3), "{said:?}");
        assert!(
            said.out.contains(&format!("`{key}` is plain http to another machine")),
            "{said:?}"
        );
    }
}
