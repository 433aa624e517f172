//! Access: which connections may ask, and which may change something.
//!
//! On the socket, whoever may open it may do both. On a port everybody on the machine may ask, and only
//! who has a token may change something. A browser on the machine has none.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::error::Refusal;

/// By which way somebody came.
#[derive(Debug, Clone)]
pub enum Door {
    Socket,
    /// SHA-256 of each token that may change something.
    Port(Arc<[[u8; 32]]>),
}

/// Lets through who may do what is asked.
pub(super) async fn admit(State(door): State<Door>, request: Request, next: Next) -> Response {
    let only_reads = [Method::GET, Method::HEAD].contains(request.method());
    let Door::Port(tokens) = &door else { return next.run(request).await };
    if only_reads {
        return next.run(request).await;
    }
    let given = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes());
    match refusal(given, tokens) {
        None => next.run(request).await,
        Some(refusal) => refusal.into_response(),
    }
}

fn refusal(given: Option<&[u8]>, tokens: &[[u8; 32]]) -> Option<Refusal> {
    if tokens.is_empty() {
        return Some(Refusal::new(
            StatusCode::FORBIDDEN,
            "socket_only",
            "nothing is changed by way of this address",
            "use the socket (api_socket), or give the daemon an api_token_sha256",
        ));
    }
    let token = given.and_then(|given| given.strip_prefix(b"Bearer "));
    let is_known = token.is_some_and(|token| {
        let hash: [u8; 32] = Sha256::digest(token).into();
        // Every token is looked at to its end: the time tells nothing.
        tokens.iter().fold(false, |known, token| known | is_same(&hash, token))
    });
    (!is_known).then(|| {
        Refusal::new(
            StatusCode::UNAUTHORIZED,
            "token_needed",
            "to change something here takes a token",
            "send it as `Authorization: Bearer TOKEN`",
        )
    })
}

/// Takes the same time whatever they are.
fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_known_token_changes_something_at_a_port() {
        let tokens: Vec<[u8; 32]> = ["one", "two"].map(|token| Sha256::digest(token).into()).into();
        let code = |given: Option<&str>, tokens: &[[u8; 32]]| {
            let refusal = refusal(given.map(str::as_bytes), tokens);
            refusal.map_or(200, |refusal| refusal.into_response().status().as_u16())
        };
        for (given, expected) in [
            (Some("Bearer one"), 200),
            (Some("Bearer two"), 200),
            (Some("Bearer three"), 401),
            (Some("Bearer "), 401),
            (Some("one"), 401),
            (None, 401),
        ] {
            assert_eq!(code(given, &tokens), expected, "{given:?}");
        }
        assert_eq!(code(Some("Bearer one"), &[]), 403);
    }
}
