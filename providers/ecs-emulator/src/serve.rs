//! One request from arrival to answer, whichever way it came: over a socket or from this process.

use crate::actions::{self, Call};
use crate::answer::{self, ApiError, Outcome};
use crate::request::{self, Incoming, RawRequest, Scheme};
use crate::response::{Cut, RawResponse, plain, respond};
use crate::transcript::Entry;
use crate::{Fault, FaultKind, SharedState, Violation, control, names};

/// Answers a request: of the API at `/`, of the controls below `/_emulator/`.
pub(crate) async fn answer(request: &RawRequest, shared: &SharedState) -> Result<RawResponse, Cut> {
    if let Some(what) = request.path().strip_prefix("/_emulator/") {
        return Ok(control::answer(shared, request, what));
    }
    if request.path() != "/" {
        return Ok(plain(404, "the API is at /, the controls at /_emulator/"));
    }
    call(request, shared).await
}

/// One call of the API.
async fn call(raw: &RawRequest, shared: &SharedState) -> Result<RawResponse, Cut> {
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
    let mut header = |name: &str, value: String| {
        answer.headers.insert(name.to_owned(), value);
    };
    header("x-acs-request-id", request_id);
    header("date", date);
    if let Some(millis) = retry_after_ms.filter(|_| throttled) {
        header("x-acs-retry-after", millis.to_string());
    }
    spoil(answer, fault.map(|fault| fault.kind))
}

/// The answer as the fault changes it.
fn spoil(answer: RawResponse, fault: Option<FaultKind>) -> Result<RawResponse, Cut> {
    match fault {
        Some(FaultKind::CutBefore | FaultKind::CutAfter | FaultKind::Delayed) => Err(Cut),
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
fn perform(raw: &RawRequest, incoming: &Incoming, shared: &SharedState) -> Performed {
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
    let several = parameters.contains_key("InstanceId.2");
    let fault = state.faults.hit(&incoming.action, zone.as_deref(), instance_type, several);
    let mut call = Call {
        action: &incoming.action,
        version: &incoming.version,
        parameters,
        fault: fault.as_ref(),
        created: Vec::new(),
        deleted: Vec::new(),
        repeated: false,
    };
    let before = fault.as_ref().and_then(refused_before);
    let late = fault.as_ref().filter(|fault| fault.kind == FaultKind::Delayed);
    let outcome = match before {
        Some(error) => Err(error),
        None => request::authenticate(raw, incoming, &mut state)
            .and_then(|key| state.throttle(call.action).map(|()| key))
            .and_then(|key| match late {
                Some(fault) => state.postpone(seq, &call, fault.delay.0),
                None if call.action == actions::WHOSE => Ok(actions::whose(&state.world, &key)),
                None => actions::perform(&mut state, &mut call),
            }),
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
        (Some(Fault { kind: FaultKind::TokenProcessing, .. }), _) => {
            Err(crate::state::token_processing())
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
fn refused_before(fault: &Fault) -> Option<ApiError> {
    match fault.kind {
        FaultKind::Refused => {
            let code = fault.code.as_deref().unwrap_or("OperationDenied");
            Some(ApiError::new(403, code, "It is refused, as was asked for."))
        }
        FaultKind::Throttle => Some(crate::state::throttled()),
        FaultKind::ErrorBefore => {
            let message = "The request has failed due to a temporary failure of the server.";
            Some(ApiError::new(503, "ServiceUnavailable", message))
        }
        FaultKind::BadCredentials => {
            Some(ApiError::not_found("InvalidAccessKeyId.NotFound", "access key id"))
        }
        FaultKind::Forbidden => {
            let message = "User not authorized to operate on the specified resource.";
            Some(ApiError::new(403, "Forbidden.RAM", message))
        }
        FaultKind::CreatingConflict => {
            let message = "Another Instance has been creating.";
            Some(ApiError::new(404, "OperationDenied.CreatingConflict", message))
        }
        FaultKind::ThrottleResource => Some(crate::state::throttled_resource()),
        FaultKind::Initializing => Some(ApiError::initializing()),
        FaultKind::Protected => Some(ApiError::protected()),
        FaultKind::BadBatch => Some(ApiError::wrong_status()),
        FaultKind::TagRefused => {
            let message = "The operation is not permitted: no permission to tag the resource.";
            Some(ApiError::new(403, "NoPermission.Tag", message))
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
