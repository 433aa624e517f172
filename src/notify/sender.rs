//! The channels: a task for each, which waits for news and sends what is due.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloud::retry::{Next, Policy, Schedule};
use cloud::{Class, Clock, Error, ErrorKind, clock};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::channel::{self, Refused};
use super::queue::Queue;
use super::{Message, News, NotifySpec, Tally, Told, mail};
use crate::model::{AlertCode, AlertKey};

/// A channel answers within seconds, or not at all.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Mail servers let strangers wait before they greet them, half a minute as a rule.
const MAIL_TIMEOUT: Duration = Duration::from_secs(60);
/// Attempts at one message: what did not arrive by then comes with the next one.
const DEADLINE: Duration = Duration::from_secs(300);
/// An alert that was on before the daemon started was told then. It is found again within some ticks.
const KNOWN_BEFORE: Duration = Duration::from_secs(60);

/// A channel that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
    #[error("{name}: {why}")]
    Refused { name: String, why: String },
}

/// Tells people. Nothing waits for it.
#[derive(Debug)]
pub struct Notifier {
    channels: Vec<Arc<Channel>>,
    tasks: Vec<JoinHandle<()>>,
    began: cloud::Timestamp,
}

#[derive(Debug)]
struct Channel {
    spec: NotifySpec,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    queue: Mutex<Queue>,
    changed: Notify,
    trouble: Mutex<Option<String>>,
    arrived: AtomicU64,
    failed: AtomicU64,
}

impl Notifier {
    /// Starts a task for each of `specs`; to be made within a runtime.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn start(specs: &[NotifySpec], clock: &Arc<dyn Clock>) -> Result<Notifier, NotifyError> {
        let channels: Result<Vec<Arc<Channel>>, NotifyError> =
            specs.iter().map(|spec| Ok(Arc::new(Channel::new(spec, clock)?))).collect();
        let channels = channels?;
        let tasks = channels.iter().map(|channel| tokio::spawn(run(channel.clone()))).collect();
        Ok(Notifier { channels, tasks, began: clock.now() })
    }

    /// Something happened. Alerts that were on before the daemon started are not news.
    pub fn tell(&self, news: News, since: Option<cloud::Timestamp>) {
        let before = clock::before(self.began, KNOWN_BEFORE);
        if news.key.code == AlertCode::NotifyFailed {
            return;
        }
        let told = since.filter(|since| news.message.is_some() && *since < before);
        for channel in &self.channels {
            match told {
                Some(at) => {
                    let (news, now) = (News { at, ..news.clone() }, channel.clock.now());
                    channel.queue().take_told(&channel.spec, news, now);
                }
                None => channel.queue().take(&channel.spec, news.clone()),
            }
            channel.changed.notify_one();
        }
    }

    /// The channels that cannot be reached, each with the reason.
    #[must_use]
    pub fn troubles(&self) -> BTreeMap<String, String> {
        let trouble = |channel: &Arc<Channel>| {
            let why = channel.trouble().clone()?;
            Some((channel.spec.name.clone(), why))
        };
        self.channels.iter().filter_map(trouble).collect()
    }

    /// The numbers of each channel's messages.
    #[must_use]
    pub fn tallies(&self) -> BTreeMap<String, Tally> {
        let tally = |channel: &Arc<Channel>| Tally {
            arrived: channel.arrived.load(Ordering::Relaxed),
            failed: channel.failed.load(Ordering::Relaxed),
            waiting: channel.queue().waiting(),
        };
        self.channels.iter().map(|channel| (channel.spec.name.clone(), tally(channel))).collect()
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Sends a message of no consequence to a channel, once.
///
/// # Errors
/// Why it did not arrive.
pub async fn test(spec: &NotifySpec, clock: &Arc<dyn Clock>) -> Result<(), NotifyError> {
    let channel = Channel::new(spec, clock)?;
    let now = clock.now();
    let news = News {
        whose: None,
        key: AlertKey { code: AlertCode::AtMax, about: "(a test)".to_owned() },
        message: Some("this is a test of the channel: nothing is wrong".to_owned()),
        at: now,
    };
    let told = Told { news, is_reminder: false, since: now };
    let sent = channel.send(&Message { news: vec![told], kept_back: 0 }).await;
    sent.map_err(|refused| NotifyError::Refused { name: spec.name.clone(), why: refused.why })
}

impl Channel {
    fn new(spec: &NotifySpec, clock: &Arc<dyn Clock>) -> Result<Channel, NotifyError> {
        let client = cloud::http::client_builder_by_env(spec.url.expose());
        let client = client.and_then(|client| client.timeout(TIMEOUT).build());
        Ok(Channel {
            spec: spec.clone(),
            client: client.map_err(NotifyError::Client)?,
            clock: clock.clone(),
            queue: Mutex::default(),
            changed: Notify::new(),
            trouble: Mutex::default(),
            arrived: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().expect("no holder of this lock can panic")
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.trouble.lock().expect("no holder of this lock can panic")
    }

    async fn send(&self, message: &Message) -> Result<(), Refused> {
        if let Some(mail) = &self.spec.mail {
            return mail::send(&self.spec, mail, message, MAIL_TIMEOUT).await;
        }
        let now = self.clock.now().timestamp_millis();
        channel::send(&self.client, &self.spec, channel::request(&self.spec, message, now)).await
    }

    /// Tries until it is taken, is refused for good, or is too old.
    async fn deliver(&self, message: &Message) -> Result<(), Refused> {
        let policy = Policy { deadline: DEADLINE, ..Policy::default() };
        let (mut schedule, began) = (Schedule::new(policy), self.clock.elapsed());
        loop {
            let Err(refused) = self.send(message).await else { return Ok(()) };
            let class = if refused.may_pass { Class::Transient } else { Class::Permanent };
            let error = Error {
                action: "notify".to_owned(),
                class,
                kind: ErrorKind::Cut { why: refused.why.clone() },
                status: None,
                request_id: None,
                attempts: 1,
            };
            let elapsed = self.clock.elapsed().saturating_sub(began);
            match schedule.next(&error, 1.0, elapsed) {
                Next::Wait(wait) => self.clock.sleep(wait).await,
                Next::GiveUp | Next::Deadline => return Err(refused),
            }
        }
    }
}

async fn run(channel: Arc<Channel>) {
    let name = &channel.spec.name;
    loop {
        let due = channel.queue().due(&channel.spec, channel.clock.now());
        let Some(message) = due else {
            let now = channel.clock.now();
            let next = channel.queue().next(&channel.spec, now);
            // Not more often than each second, whatever the clock does.
            let wait = clock::age(next, now).max(Duration::from_secs(1));
            tokio::select! {
                () = channel.clock.sleep(wait) => {}
                () = channel.changed.notified() => {}
            }
            continue;
        };
        match channel.deliver(&message).await {
            Ok(()) => {
                channel.arrived.fetch_add(1, Ordering::Relaxed);
                *channel.trouble() = None;
            }
            Err(refused) => {
                channel.failed.fetch_add(1, Ordering::Relaxed);
                tracing::warn!("notify `{name}`: a message did not arrive: {}", refused.why);
                *channel.trouble() = Some(refused.why);
                let now = channel.clock.now();
                channel.queue().did_not_arrive(message, now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use cloud::{Secret, SystemClock};
    use wiremock::matchers::{body_partial_json, method};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::notify::{ChannelKind, Language, fixtures};

    fn spec(url: &str) -> NotifySpec {
        let secret = Some(Secret::new("SECabcdef".to_owned()));
        let language = Language::Chinese;
        NotifySpec { secret, language, ..fixtures::spec(ChannelKind::DingTalk, url) }
    }

    fn news(message: Option<&str>) -> News {
        let key = AlertKey { code: AlertCode::AtMax, about: String::new() };
        let at = SystemClock.now();
        News { whose: Some("api".to_owned()), key, message: message.map(str::to_owned), at }
    }

    async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        for _ in 0..600 {
            if is_so().await {
                return;
            }
            SystemClock.sleep(Duration::from_millis(50)).await;
        }
        panic!("never: {what}");
    }

    #[tokio::test]
    async fn news_reach_the_channel_after_a_failure_that_passes() {
        let server = MockServer::start().await;
        let ok = ResponseTemplate::new(200).set_body_string(r#"{"errcode":0}"#);
        let failed = ResponseTemplate::new(503);
        Mock::given(method("POST")).respond_with(failed).up_to_n_times(1).mount(&server).await;
        Mock::given(method("POST"))
            .and(body_partial_json(serde_json::json!({ "msgtype": "text" })))
            .respond_with(ok)
            .mount(&server)
            .await;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let notifier = Notifier::start(&[spec(&server.uri())], &clock).expect("a notifier");
        let old = clock::before(SystemClock.now(), Duration::from_secs(3_600));
        let before =
            News { whose: Some("web".to_owned()), ..news(Some("told before the restart")) };
        notifier.tell(before, Some(old));
        notifier.tell(news(Some("max = 20 is reached")), None);
        eventually("two attempts", async || {
            server.received_requests().await.is_some_and(|requests| requests.len() == 2)
        })
        .await;
        let requests = server.received_requests().await.expect("requests");
        let said = String::from_utf8_lossy(&requests[1].body).into_owned();
        assert!(said.contains("已达上限") && said.contains("max = 20"), "{said}");
        assert!(!said.contains("told before"), "{said}");
        assert!(requests[1].url.query().is_some_and(|query| query.contains("sign=")));
        let arrived = Tally { arrived: 1, failed: 0, waiting: 0 };
        eventually("it is counted", async || notifier.tallies()["ops"] == arrived).await;
    }

    #[tokio::test]
    async fn a_channel_that_refuses_is_a_trouble_that_names_no_secret() {
        let server = MockServer::start().await;
        let url = format!("{}/robot/send?access_token=T0PSECRET", server.uri());
        let body = r#"{"errcode":310000,"errmsg":"sign not match: T0PSECRET SECabcdef"}"#;
        let no = ResponseTemplate::new(200).set_body_string(body);
        Mock::given(method("POST")).respond_with(no).mount(&server).await;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let why = test(&spec(&url), &clock).await.expect_err("it is refused").to_string();
        assert!(why.contains("sign not match") && !why.contains("SECabcdef"), "{why}");
        let notifier = Notifier::start(&[spec(&url)], &clock).expect("a notifier");
        notifier.tell(news(Some("short")), None);
        eventually("a trouble", async || !notifier.troubles().is_empty()).await;
        let failed = Tally { arrived: 0, failed: 1, waiting: 1 };
        eventually("it is counted, and waits", async || notifier.tallies()["ops"] == failed).await;
        let nobody = spec("http://127.0.0.1:9/robot?access_token=T0PSECRET");
        let gone = test(&nobody, &clock).await.expect_err("nobody is there").to_string();
        assert!(!gone.contains("T0PSECRET"), "{gone}");
    }
}
