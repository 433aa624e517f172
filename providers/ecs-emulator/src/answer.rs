//! Answers: a body of an action, or an error with its code; as JSON or, by default, as XML.

use serde_json::{Value, json};

/// A refusal as the API words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        ApiError { status, code: code.to_owned(), message: message.into() }
    }

    pub(crate) fn missing(parameter: &str) -> Self {
        ApiError::new(400, "MissingParameter", format!("The parameter {parameter} is required."))
    }

    pub(crate) fn invalid(parameter: &str, why: &str) -> Self {
        ApiError::new(
            400,
            "InvalidParameter",
            format!("The parameter {parameter} is invalid: {why}"),
        )
    }

    pub(crate) fn wrong_status() -> Self {
        let message = "The current status of the resource does not support this operation.";
        ApiError::new(403, "IncorrectInstanceStatus", message)
    }

    pub(crate) fn initializing() -> Self {
        let message = "The specified instance status does not support this operation.";
        ApiError::new(403, "IncorrectInstanceStatus.Initializing", message)
    }

    pub(crate) fn protected() -> Self {
        let message = "The instance is protected against deletion.";
        ApiError::new(403, "InvalidOperation.DeletionProtection", message)
    }

    pub(crate) fn not_found(code: &str, what: &str) -> Self {
        ApiError::new(404, code, format!("The specified {what} does not exist."))
    }
}

/// The result of an action: an object, to which the request id is added.
pub(crate) type Outcome = Result<Value, ApiError>;

/// The body for an outcome.
pub(crate) fn body(outcome: &Outcome, request_id: &str) -> Value {
    match outcome {
        Ok(value) => {
            let mut value = value.clone();
            if let Some(object) = value.as_object_mut() {
                object.insert("RequestId".to_owned(), json!(request_id));
            }
            value
        }
        Err(error) => json!({
            "RequestId": request_id,
            "HostId": "ecs.emulator",
            "Code": error.code,
            "Message": error.message,
        }),
    }
}

/// `value` as XML: what a caller gets that forgets `Format=JSON`.
pub(crate) fn xml(root: &str, value: &Value) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    element(&mut out, root, value);
    out
}

fn element(out: &mut String, name: &str, value: &Value) {
    if let Value::Array(items) = value {
        for item in items {
            element(out, name, item);
        }
        return;
    }
    out.push_str(&format!("<{name}>"));
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| element(out, name, value)),
        Value::String(text) => {
            out.push_str(&text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
        }
        Value::Null => {}
        other => out.push_str(&other.to_string()),
    }
    out.push_str(&format!("</{name}>"));
}
