//! The running daemon, asked over its socket.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::api::{ErrorBody, ErrorView};
use crate::config;

/// Where the packaged service has its socket.
const SOCKET: &str = "/run/fleetscaler/api.sock";
/// It reads memory or its journal; a database that is slow may take a while.
const PATIENCE: Duration = Duration::from_secs(10);
/// Ten thousand fleets are some 30 MB.
const ANSWER_BYTES: usize = 256 * 1024 * 1024;

/// A daemon that may run.
#[derive(Debug)]
pub(super) struct Daemon {
    socket: PathBuf,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// Nobody is there, or nobody who may be asked: what is recorded may be enough.
    Absent(String),
    /// It refused.
    Refused(ErrorBody),
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoAnswer::Absent(why) => f.write_str(why),
            NoAnswer::Refused(body) => write!(f, "{}; {}", body.message, body.hint),
        }
    }
}

/// The system's text of an error, without its number.
fn plainly(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

impl Daemon {
    /// The daemon of a configuration.
    pub(super) fn of(daemon: &config::Daemon) -> Daemon {
        Daemon { socket: daemon.api_socket.clone().unwrap_or_else(|| PathBuf::from(SOCKET)) }
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, page: &str) -> Result<T, NoAnswer> {
        self.ask(Method::GET, page, String::new()).await
    }

    /// A page that is no JSON, with its status.
    pub(super) async fn page(&self, page: &str) -> Result<(StatusCode, String), NoAnswer> {
        let exchange = self.exchange(Method::GET, page, String::new());
        match tokio::time::timeout(PATIENCE, exchange).await {
            Ok(Ok((status, bytes))) => Ok((status, String::from_utf8_lossy(&bytes).into_owned())),
            Ok(Err(why)) => Err(self.absent(&why)),
            Err(_) => Err(self.absent(&format!("no answer within {} s", PATIENCE.as_secs()))),
        }
    }

    /// The answer to a request.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        page: &str,
        body: String,
    ) -> Result<T, NoAnswer> {
        let asked = tokio::time::timeout(PATIENCE, self.exchange(method, page, body)).await;
        let (status, bytes) = match asked {
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => return Err(self.absent(&why)),
            Err(_) => {
                return Err(self.absent(&format!("no answer within {} s", PATIENCE.as_secs())));
            }
        };
        if !status.is_success() {
            return Err(match serde_json::from_slice::<ErrorView>(&bytes) {
                Ok(view) => NoAnswer::Refused(view.error),
                Err(_) => self.absent(&format!("it answers {status}")),
            });
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| self.absent(&format!("its answer is of another version: {error}")))
    }

    fn absent(&self, why: &str) -> NoAnswer {
        NoAnswer::Absent(format!("no daemon answers on {} ({why})", self.socket.display()))
    }

    async fn exchange(
        &self,
        method: Method,
        page: &str,
        body: String,
    ) -> Result<(StatusCode, axum::body::Bytes), String> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| plainly(&error))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        let driver = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(page)
            .header(header::HOST, "fleetscaler")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))
            .map_err(|error| error.to_string())?;
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let bytes = axum::body::to_bytes(Body::new(answer.into_body()), ANSWER_BYTES).await;
        driver.abort();
        Ok((status, bytes.map_err(|error| error.to_string())?))
    }
}
