//! The cloud as one replica reaches it, step by step: its requests, in one process with the emulator.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use aliyun::{HttpRequest, HttpResponse, Transport, TransportError};
use async_trait::async_trait;
use cloud::{Clock, Timestamp};
use ecs_emulator::{Emulator, RawRequest};
use fleetscaler::journal::store::{Scope, Store};
use fleetscaler::model::ReplicaId;

use crate::check::{Asked, Checks};
use crate::gates::Gates;
use crate::host::TrueClock;
use crate::kept::Kept;
use crate::script::Shape;
use crate::who;

pub(crate) struct SteppedCloud {
    pub(crate) place: usize,
    pub(crate) account: usize,
    pub(crate) me: ReplicaId,
    pub(crate) gates: Arc<Gates>,
    pub(crate) emulator: Arc<Emulator>,
    pub(crate) clock: TrueClock,
    pub(crate) kept: Arc<Kept>,
    pub(crate) checks: Arc<Checks>,
    pub(crate) shape: Arc<Shape>,
}

impl fmt::Debug for SteppedCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SteppedCloud({}, {})", self.place, self.account)
    }
}

impl SteppedCloud {
    /// The asker, the time, and whether the fleet is its own by the store's word.
    async fn asked(&self) -> Asked {
        let (who, at) = (who::current(), self.clock.now());
        let fleet = who.and_then(|who| who.tick).map(|tick| tick.fleet);
        let holds = match fleet {
            Some(fleet) => self.holds(fleet, at).await,
            None => true,
        };
        Asked { account: self.account, who, at, holds }
    }

    async fn holds(&self, fleet: usize, now: Timestamp) -> bool {
        // A file has one daemon at a time.
        let Kept::Memory(memory) = &*self.kept else { return true };
        let held = memory.held(&self.me, now).await.unwrap_or_default();
        let scope = Scope::Fleet(self.shape.fleets[fleet].name.as_str().into());
        held.iter().any(|held| held.scope == scope)
    }
}

#[async_trait]
impl Transport for SteppedCloud {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let asked = self.asked().await;
        self.gates.pass(self.place).await;
        let path = request.url.strip_prefix(&self.emulator.url()).unwrap_or_default();
        let raw = RawRequest {
            method: request.method,
            path_and_query: path.to_owned(),
            headers: request.headers,
            body: request.body,
        };
        let answer = {
            let mut call = pin!(self.emulator.call(raw));
            // A call has its effect at once, and only its answer may take long.
            let first = poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
            self.checks.called(&asked);
            match first {
                Poll::Ready(answer) => Some(answer),
                Poll::Pending => tokio::select! {
                    biased;
                    answer = call => Some(answer),
                    () = self.clock.sleep(request.timeout) => None,
                },
            }
        };
        self.gates.pass(self.place).await;
        match answer {
            None => Err(TransportError::TimedOut),
            Some(Err(cut)) => Err(TransportError::Cut { why: cut.to_string() }),
            Some(Ok(raw)) => {
                Ok(HttpResponse { status: raw.status, headers: raw.headers, body: raw.body })
            }
        }
    }
}
