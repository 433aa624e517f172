//! `/v1/events`: the journal as it grows, as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use cloud::Clock;
use futures::Stream;

use super::Api;
use super::error::{ErrorView, Refusal};
use super::shape::EventView;
use crate::journal::store::Seq;
use crate::journal::{JournalError, Look, Reader};

/// Ticks that only look are written about once a second.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A database that is away is not asked each second by everybody who listens.
const AGAIN: Duration = Duration::from_secs(5);
/// Records that are read at once: some hundred kilobytes.
const AT_ONCE: u32 = 500;

/// Each record of the journal from now on, or from the one after `Last-Event-ID`.
#[utoipa::path(
    get, path = "/v1/events", tag = "events",
    params(("Last-Event-ID" = Option<i64>, Header, description = "The id of the last event that was seen")),
    responses(
        (status = 200, content_type = "text/event-stream", body = EventView),
        (status = 400, body = ErrorView), (status = 503, body = ErrorView)
    )
)]
pub(super) async fn stream(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let reader = api.world.journal.reader();
    let after = match headers.get("last-event-id") {
        Some(id) => id.to_str().ok().and_then(|id| id.trim().parse().ok()).ok_or_else(|| {
            let hint = "send the id of an event, or leave it out to begin now";
            Refusal::bad_request("`Last-Event-ID` is no number", hint)
        })?,
        None => newest(&reader).await?,
    };
    let clock = api.world.clock.clone();
    let follower = Follower { reader, clock, after, waiting: VecDeque::new() };
    let events = futures::stream::unfold(follower, async |mut follower| {
        let event = follower.next().await;
        Some((Ok(event), follower))
    });
    Ok(Sse::new(Box::pin(events)).keep_alive(KeepAlive::default()))
}

/// The place of the newest record.
async fn newest(reader: &Reader) -> Result<Seq, JournalError> {
    let look = Look { newest: Some(1), ..Look::default() };
    Ok(reader.look(&look).await?.last().map_or(0, |entry| entry.seq))
}

/// Reads the journal behind its writer.
struct Follower {
    reader: Reader,
    clock: Arc<dyn Clock>,
    after: Seq,
    waiting: VecDeque<Event>,
}

impl Follower {
    async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return event;
            }
            let look = Look { after: Some(self.after), oldest: Some(AT_ONCE), ..Look::default() };
            match self.reader.look(&look).await {
                Ok(entries) => {
                    for entry in entries {
                        self.after = self.after.max(entry.seq);
                        let view = EventView::from(&entry);
                        let event = Event::default().id(view.seq.to_string()).event(&view.kind);
                        self.waiting.extend(event.json_data(&view));
                    }
                    if self.waiting.is_empty() {
                        self.clock.sleep(LOOK_EVERY).await;
                    }
                }
                Err(error) => {
                    self.clock.sleep(AGAIN).await;
                    let why = cloud::text::one_line(&error.to_string());
                    return Event::default().comment(format!("the journal cannot be read: {why}"));
                }
            }
        }
    }
}
