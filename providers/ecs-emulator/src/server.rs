//! HTTP: accepting connections, answering, and cutting them off when a fault says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming as HttpBody};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::actions::{self, Call};
use crate::answer::{self, ApiError, Outcome};
use crate::request::{self, Incoming, Raw, Scheme};
use crate::transcript::Entry;
use crate::{Fault, FaultKind, Shared, Violation, control, names};

/// A launch with a start script of 32 KB has some 50 kB.
const BODY_LIMIT: usize = 1024 * 1024;

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("cut off by a fault")]
struct Cut;

pub(crate) type Answer = Response<Full<Bytes>>;

pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
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

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
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

async fn handle(request: Request<HttpBody>, shared: &Shared) -> Result<Answer, Cut> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => body.to_bytes().to_vec(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"));
        }
        Err(_) => return Err(Cut),
    };
    let path = head.uri.path();
    if let Some(what) = path.strip_prefix("/_emulator/") {
        return Ok(control::answer(shared, &head.method, what, head.uri.query(), &body));
    }
    if path != "/" {
        return Ok(plain(StatusCode::NOT_FOUND, "the API is at /, the controls at /_emulator/"));
    }
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect::<BTreeMap<String, String>>();
    let raw = Raw {
        method: head.method.as_str().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers,
        body,
    };
    call(&raw, shared).await
}

/// One call of the API.
async fn call(raw: &Raw, shared: &Shared) -> Result<Answer, Cut> {
    let incoming = request::take_apart(raw);
    let Performed { outcome, request_id, fault, retry_after_ms, date } =
        perform(raw, &incoming, shared);
    if let Some(fault) = &fault
        && fault.kind == FaultKind::Slow
    {
        let clock = shared.state().clock();
        clock.sleep(fault.delay.0).await;
    }
    let status = outcome.as_ref().err().map_or(200, |error| error.status);
    let body = answer::body(&outcome, &request_id);
    let text = if incoming.wants_json {
        body.to_string()
    } else if outcome.is_err() {
        answer::xml("Error", &body)
    } else {
        answer::xml(&format!("{}Response", incoming.action), &body)
    };
    let kind = if incoming.wants_json {
        "application/json;charset=utf-8"
    } else {
        "text/xml;charset=utf-8"
    };
    let mut answer = respond(status, kind, text);
    let throttled = outcome.as_ref().is_err_and(|error| error.code.starts_with("Throttling"));
    let mut header = |name: &'static str, value: String| {
        if let Ok(value) = value.parse() {
            answer.headers_mut().insert(name, value);
        }
    };
    header("x-acs-request-id", request_id);
    header("date", date);
    if let Some(millis) = retry_after_ms.filter(|_| throttled) {
        header("x-acs-retry-after", millis.to_string());
    }
    spoil(answer, fault.map(|fault| fault.kind))
}

/// What the fault makes of an answer.
fn spoil(answer: Answer, fault: Option<FaultKind>) -> Result<Answer, Cut> {
    match fault {
        Some(FaultKind::CutBefore | FaultKind::CutAfter) => Err(Cut),
        Some(FaultKind::Html) => Ok(respond(
            502,
            "text/html",
            "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad \
             Gateway</h1></body></html>"
                .to_owned(),
        )),
        Some(FaultKind::EmptyBody) => Ok(respond(200, "application/json", String::new())),
        Some(FaultKind::Truncated) => Ok(respond(
            200,
            "application/json",
            "{\"RequestId\":\"473469C7-AA6F-4DC5-B3DB".to_owned(),
        )),
        Some(FaultKind::Huge) => Ok(respond(
            200,
            "application/json",
            format!("{{\"x\":\"{}\"}}", "x".repeat(20 * 1024 * 1024)),
        )),
        _ => Ok(answer),
    }
}

struct Performed {
    outcome: Outcome,
    request_id: String,
    fault: Option<Fault>,
    retry_after_ms: Option<u64>,
    date: String,
}

/// Authenticates, throttles, performs and records, all under one lock: calls are atomic.
fn perform(raw: &Raw, incoming: &Incoming, shared: &Shared) -> Performed {
    let mut state = shared.state();
    let at = state.now();
    let seq = state.transcript.next_seq();
    let request_id = request_id(seq);
    let parameters = &incoming.parameters;
    let instance_type = parameters.get("InstanceType").map(String::as_str);
    let zone = parameters
        .get("VSwitchId")
        .and_then(|id| state.world.vswitches.get(id))
        .map(|vswitch| vswitch.zone.clone());
    let fault = state.faults.hit(&incoming.action, zone.as_deref(), instance_type);
    let mut call = Call {
        action: &incoming.action,
        parameters,
        fault: fault.as_ref(),
        created: Vec::new(),
        deleted: Vec::new(),
        repeated: false,
    };
    let before = fault.as_ref().and_then(|fault| refused_before(fault.kind));
    let outcome = match before {
        Some(error) => Err(error),
        None => request::authenticate(raw, incoming, &mut state)
            .and_then(|()| state.throttle(call.action))
            .and_then(|()| actions::perform(&mut state, &mut call)),
    };
    let (created, deleted, repeated) = (call.created, call.deleted, call.repeated);
    let violations = violations(incoming);
    state.violations.extend(violations.into_iter().map(|what| Violation {
        seq,
        action: incoming.action.clone(),
        what,
    }));
    let outcome = match (&fault, outcome) {
        (Some(Fault { kind: FaultKind::ErrorAfter, .. }), Ok(_)) => {
            Err(ApiError::new(500, "InternalError", "The request processing has failed."))
        }
        (_, outcome) => outcome,
    };
    let mut shown = parameters.clone();
    if let Some(data) = shown.get_mut("UserData") {
        *data = format!("<{} bytes>", data.len());
    }
    state.transcript.add(Entry {
        seq,
        at,
        action: incoming.action.clone(),
        signature: match incoming.scheme {
            Scheme::V1 => "V1".to_owned(),
            Scheme::Acs3 => "ACS3".to_owned(),
        },
        parameters: shown,
        status: outcome.as_ref().err().map_or(200, |error| error.status),
        code: outcome.as_ref().err().map(|error| error.code.clone()),
        request_id: request_id.clone(),
        created,
        deleted,
        fault: fault.as_ref().map(|fault| fault.kind),
        repeated,
    });
    Performed {
        outcome,
        request_id,
        fault,
        retry_after_ms: state.world.quotas.retry_after_ms,
        date: at.format("%a, %d %b %Y %H:%M:%S GMT").to_string(),
    }
}

/// The refusal that a fault puts before any effect.
fn refused_before(kind: FaultKind) -> Option<ApiError> {
    match kind {
        FaultKind::Throttle => Some(crate::state::throttled()),
        FaultKind::ErrorBefore => {
            let message = "The request has failed due to a temporary failure of the server.";
            Some(ApiError::new(503, "ServiceUnavailable", message))
        }
        FaultKind::BadCredentials => {
            Some(ApiError::not_found("InvalidAccessKeyId.NotFound", "access key id"))
        }
        FaultKind::FailingOk => Some(ApiError::new(200, "InternalError", "It failed, politely.")),
        // Never seen: the answer is cut off or replaced.
        FaultKind::CutBefore | FaultKind::Html => {
            Some(ApiError::new(502, "BadGateway", "The gateway had no answer."))
        }
        _ => None,
    }
}

/// Mistakes that the real API lets pass.
fn violations(incoming: &Incoming) -> Vec<String> {
    let (action, parameters) = (incoming.action.as_str(), &incoming.parameters);
    let mut found: Vec<String> = parameters
        .keys()
        .filter(|name| !names::knows(action, name))
        .map(|name| format!("unknown parameter {name}"))
        .collect();
    if !incoming.wants_json {
        found.push("no Format=JSON: the answer is XML".to_owned());
    }
    let has = |name: &str| parameters.contains_key(name);
    if matches!(action, "RunInstances" | "DeleteInstances") && !has("ClientToken") {
        found.push("no ClientToken: a retry would do it twice".to_owned());
    }
    if action == "DescribeInstances" {
        if parameters.get("InstanceIds").is_some_and(|ids| ids.trim() == "[]") {
            found.push("InstanceIds=[] matches nothing, not everything".to_owned());
        }
        if has("Tag.1.Key") && !has("Tag.2.Key") {
            found.push("one tag only: a missing one would select the whole account".to_owned());
        }
    }
    found
}

/// Looks like a real one, and is the same for the same call of the same session.
fn request_id(seq: u64) -> String {
    format!("E0000000-0000-4000-8000-{seq:012X}")
}

pub(crate) fn respond(status: u16, kind: &str, text: String) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    if let Ok(kind) = kind.parse() {
        answer.headers_mut().insert("content-type", kind);
    }
    answer
}

pub(crate) fn plain(status: StatusCode, text: &str) -> Answer {
    respond(status.as_u16(), "text/plain;charset=utf-8", format!("{text}\n"))
}
