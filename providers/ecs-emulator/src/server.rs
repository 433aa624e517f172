//! HTTP: accepting connections, and cutting them off when the answer is a cut.

use std::sync::Arc;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming as HttpBody};
use hyper::header::{HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::SharedState;
use crate::request::RawRequest;
use crate::response::{Cut, RawResponse, plain};
use crate::serve;

/// A launch with a start script of 32 KB has some 50 kB.
const BODY_LIMIT: usize = 1024 * 1024;

pub(crate) async fn serve(listener: TcpListener, shared: Arc<SharedState>) {
    // Connections end with the server: the set aborts them when it is dropped.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, shared.clone()));
            }
            Err(error) => tracing::warn!("a connection was not accepted: {error}"),
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, shared: Arc<SharedState>) {
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { handle(request, &shared).await }
    });
    let served =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!("a connection ended: {error}");
    }
}

/// An error closes the connection.
async fn handle(
    request: Request<HttpBody>,
    shared: &SharedState,
) -> Result<Response<Full<Bytes>>, Cut> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => body.to_bytes().to_vec(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Ok(to_http(plain(413, "the body is too large")));
        }
        Err(_) => return Err(Cut),
    };
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let request = RawRequest {
        method: head.method.as_str().to_owned(),
        path_and_query: head.uri.path_and_query().map_or("/", |part| part.as_str()).to_owned(),
        headers: head.headers.iter().map(header).collect(),
        body,
    };
    serve::answer(&request, shared).await.map(to_http)
}

fn to_http(raw: RawResponse) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(raw.body)));
    *response.status_mut() =
        StatusCode::from_u16(raw.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in raw.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
