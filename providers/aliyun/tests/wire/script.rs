//! A provider that answers from a script, in this process.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aliyun::{Ecs, HttpRequest, HttpResponse, Seams, Settings, Transport, TransportError};
use async_trait::async_trait;
use cloud::dice::SeededDice;
use cloud::{ManualClock, Timestamp};

use crate::common::settings;

/// A reply in the place of the next answer.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    /// Status and body.
    Answer(u16, String),
    Fail(TransportError),
}

/// A refusal with this code.
pub(crate) fn refuse(code: &str) -> Say {
    Say::Answer(403, format!(r#"{{"RequestId":"R-1","Code":"{code}","Message":"as it says"}}"#))
}

/// The connection breaks after the request was sent.
pub(crate) fn lose() -> Say {
    Say::Fail(TransportError::Cut { why: "reset by peer".to_owned() })
}

pub(crate) fn launched() -> Say {
    let ids = r#"{"RequestId":"R-2","InstanceIdSets":{"InstanceIdSet":["i-1","i-2"]}}"#;
    Say::Answer(200, ids.to_owned())
}

/// Says one line after the other, the last one for ever, and keeps what it was asked.
#[derive(Debug, Default)]
pub(crate) struct Script {
    lines: Mutex<VecDeque<Say>>,
    asked: Mutex<Vec<HttpRequest>>,
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        self.asked.lock().expect("no panic").push(request);
        let mut lines = self.lines.lock().expect("no panic");
        let line = if lines.len() > 1 { lines.pop_front() } else { lines.front().cloned() };
        match line.expect("a script has a line") {
            Say::Answer(status, body) => {
                let headers = BTreeMap::new();
                Ok(HttpResponse { status, headers, body: body.into_bytes() })
            }
            Say::Fail(error) => Err(error),
        }
    }
}

/// An account whose provider follows a script.
pub(crate) struct Stage {
    pub(crate) ecs: Ecs,
    pub(crate) clock: ManualClock,
    script: Arc<Script>,
}

impl Stage {
    pub(crate) fn new(at: Timestamp, lines: &[Say]) -> Stage {
        Stage::with(at, lines, |_| {})
    }

    pub(crate) fn with(at: Timestamp, lines: &[Say], change: impl FnOnce(&mut Settings)) -> Stage {
        let clock = ManualClock::at(at);
        let script = Arc::new(Script::default());
        script.lines.lock().expect("no panic").extend(lines.iter().cloned());
        let mut settings = settings("http://127.0.0.1:1");
        change(&mut settings);
        let seams = Seams { transport: script.clone(), dice: Arc::new(SeededDice::new(1)) };
        let ecs = Ecs::with_seams(settings, Arc::new(clock.clone()), seams).expect("it works");
        Stage { ecs, clock, script }
    }

    /// The requests sent, in order: URL and body.
    pub(crate) fn asked(&self) -> Vec<String> {
        let asked = self.script.asked.lock().expect("no panic");
        let text = |request: &HttpRequest| {
            format!("{} {}", request.url, String::from_utf8_lossy(&request.body))
        };
        asked.iter().map(text).collect()
    }

    /// Waits for `work`; whenever it sleeps, a tenth of a second passes, and `meanwhile` is told.
    pub(crate) async fn patiently<T>(
        &self,
        work: impl Future<Output = T>,
        mut meanwhile: impl FnMut(Timestamp),
    ) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tokio::task::yield_now() => {
                    if self.clock.sleepers() > 0 {
                        self.clock.advance(Duration::from_millis(100));
                        meanwhile(cloud::Clock::now(&self.clock));
                    }
                }
            }
        }
    }
}
