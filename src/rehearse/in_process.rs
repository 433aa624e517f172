//! Client and emulator in one process: everything is real but the socket between them.

use std::sync::Arc;

use aliyun::{HttpRequest, HttpResponse, Transport, TransportError};
use async_trait::async_trait;
use cloud::{Clock, ManualClock};
use ecs_emulator::{Emulator, RawRequest};

/// Hands requests to the emulator in this process; time-outs are on the simulated clock.
#[derive(Debug)]
pub struct InProcess {
    pub emulator: Arc<Emulator>,
    pub clock: ManualClock,
}

#[async_trait]
impl Transport for InProcess {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let path = request.url.strip_prefix(&self.emulator.url()).unwrap_or_default();
        let raw = RawRequest {
            method: request.method,
            path_and_query: path.to_owned(),
            headers: request.headers,
            body: request.body,
        };
        tokio::select! {
            biased;
            answer = self.emulator.call(raw) => match answer {
                Ok(raw) => {
                    Ok(HttpResponse { status: raw.status, headers: raw.headers, body: raw.body })
                }
                Err(cut) => Err(TransportError::Cut { why: cut.to_string() }),
            },
            () = self.clock.sleep(request.timeout) => Err(TransportError::TimedOut),
        }
    }
}
