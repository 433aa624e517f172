//! Files as they are written, checked and kept.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use cloud::SystemClock;

use super::write::render;
use super::{RenderSpec, Renderer, Scene, Server};
use crate::model::Span;

const TEMPLATE: &str =
    "upstream {{ fleet }} {\n{% for i in instances %}  server {{ i.ip }}:8080;\n{% endfor %}}\n";

fn scene(count: u8) -> Scene {
    let server = |n: u8| Server {
        ip: [10, 0, 0, n].into(),
        id: format!("i-{n}"),
        zone: "h".to_owned(),
        instance_type: "c7".to_owned(),
    };
    Scene {
        fleet: "web".to_owned(),
        instances: (1..=count).map(server).collect(),
        draining: vec![],
    }
}

fn spec(directory: &tempfile::TempDir, template: &str) -> RenderSpec {
    let path = directory.path().join("web.conf.j2");
    fs::write(&path, template).expect("written");
    RenderSpec {
        template: path,
        file: directory.path().join("web.conf"),
        check: None,
        reload: None,
        timeout: Span::secs(10),
    }
}

fn words(words: &[&str]) -> Option<Vec<String>> {
    Some(words.iter().map(|word| (*word).to_owned()).collect())
}

#[tokio::test]
async fn a_file_is_written_once_and_its_reader_is_told_when_it_is_new() {
    let directory = tempfile::tempdir().expect("a directory");
    let told = directory.path().join("told");
    let spec = RenderSpec {
        check: words(&["/usr/bin/grep", "-q", "server 10.0.0.1:8080", "{file}"]),
        reload: words(&["/bin/sh", "-c", "echo told >> \"$0\"", &told.display().to_string()]),
        ..spec(&directory, TEMPLATE)
    };
    assert_eq!(render(&spec, &scene(2)).await, Ok(true));
    let text = "upstream web {\n  server 10.0.0.1:8080;\n  server 10.0.0.2:8080;\n}\n";
    assert_eq!(fs::read_to_string(&spec.file).expect("it is there"), text);
    assert_eq!(render(&spec, &scene(2)).await, Ok(false), "it is as it was");
    assert_eq!(fs::read_to_string(&told).expect("it was told"), "told\n", "once");
}

#[tokio::test]
async fn a_refused_file_and_a_broken_template_leave_the_old_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let good = spec(&directory, TEMPLATE);
    assert_eq!(render(&good, &scene(1)).await, Ok(true));
    let old = fs::read_to_string(&good.file).expect("it is there");
    let refused = RenderSpec {
        check: words(&["/bin/sh", "-c", "echo 'no such host' >&2; exit 1"]),
        ..good.clone()
    };
    let why = render(&refused, &scene(2)).await.expect_err("it is refused");
    assert!(why.contains("no such host") && why.contains("the old one stays"), "{why}");
    for broken in ["{% for", "{{ instances[0].adress }}", "{{ nobody }}"] {
        let broken = spec(&directory, broken);
        let why = render(&broken, &scene(2)).await.expect_err("it cannot be filled in");
        assert!(why.contains("web.conf.j2"), "{why}");
    }
    assert_eq!(fs::read_to_string(&good.file).expect("it is there"), old);
    let left = fs::read_dir(directory.path()).expect("a directory").count();
    assert_eq!(left, 2, "the template and the file: nothing is left beside them");
}

#[tokio::test]
async fn nobody_in_service_takes_the_place_of_nobody_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let spec = spec(&directory, TEMPLATE);
    let renderer = Renderer::new(&"web".into(), &spec, Arc::new(SystemClock));
    renderer.show(scene(3), false);
    let names = async |count: usize| {
        for _ in 0..1_000 {
            let text = fs::read_to_string(&spec.file).unwrap_or_default();
            if text.matches("server").count() == count && !text.is_empty() {
                return;
            }
            #[expect(clippy::disallowed_methods, reason = "the file is written in real time")]
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?}", renderer.trouble());
    };
    names(3).await;
    renderer.show(scene(0), false);
    renderer.show(scene(2), false);
    names(2).await;
    renderer.show(scene(0), true);
    names(0).await;
}
