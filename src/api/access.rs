//! Access: which connections may ask, and which may change something.
//!
//! On the socket, whoever may open it may do both. On a loopback port everybody on the machine may ask, and only
//! who has a token may change something. On any other port even to ask takes a token. Each token has a role.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cloud::{Clock, SystemClock};
use sha2::{Digest, Sha256};

use super::error::Refusal;
use crate::config::{ApiToken, Role};

/// A wrong token is answered after this long. Of [`crate::observe`]'s 32 connections each can guess once a
/// second then, which for a token of 32 letters is never.
const GUESS: Duration = Duration::from_secs(1);

/// By which way somebody came.
#[derive(Debug, Clone)]
pub enum Door {
    Socket,
    Port(Arc<PortAccess>),
}

/// The rights that callers have at a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortAccess {
    pub tokens: Vec<ApiToken>,
    /// Strangers reach it: nothing is told without a token.
    pub reads_need_token: bool,
}

impl Door {
    /// A port of this machine alone.
    #[must_use]
    pub fn loopback(tokens: Vec<ApiToken>) -> Door {
        Door::Port(Arc::new(PortAccess { tokens, reads_need_token: false }))
    }

    /// A port that strangers reach.
    #[must_use]
    pub fn open(tokens: Vec<ApiToken>) -> Door {
        Door::Port(Arc::new(PortAccess { tokens, reads_need_token: true }))
    }
}

/// Lets through who may do what is asked.
pub(super) async fn admit(State(door): State<Door>, request: Request, next: Next) -> Response {
    let Door::Port(access) = &door else { return next.run(request).await };
    let Some(role) = access.needed(request.method(), request.uri().path()) else {
        return next.run(request).await;
    };
    let given = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes());
    match refusal(given, &access.tokens, role) {
        None => next.run(request).await,
        Some(refusal) => {
            if given.is_some() {
                SystemClock.sleep(GUESS).await;
            }
            refusal.into_response()
        }
    }
}

impl PortAccess {
    /// The role that a request needs; `None`: everybody may.
    fn needed(&self, method: &Method, path: &str) -> Option<Role> {
        if [Method::GET, Method::HEAD].contains(method) {
            return self.reads_need_token.then_some(Role::Read);
        }
        Some(if path == "/v1/reload" { Role::Admin } else { Role::Operate })
    }
}

/// Why who came by `door` with these credentials may not send a number that has a token of its `own`.
pub(super) fn push_refusal(
    door: &Door,
    given: Option<&[u8]>,
    own: Option<[u8; 32]>,
) -> Option<Refusal> {
    let Door::Port(access) = door else { return None };
    let own = own.map(|sha256| ApiToken { sha256, role: Role::Operate });
    let tokens: Vec<ApiToken> = access.tokens.iter().copied().chain(own).collect();
    refusal(given, &tokens, Role::Operate)
}

fn refusal(given: Option<&[u8]>, tokens: &[ApiToken], needed: Role) -> Option<Refusal> {
    if tokens.is_empty() {
        return Some(Refusal::new(
            StatusCode::FORBIDDEN,
            "socket_only",
            "nothing is changed by way of this address",
            "use the socket (api_socket), or give the daemon an [[daemon.api_token]]",
        ));
    }
    let token = given.and_then(|given| given.strip_prefix(b"Bearer "));
    let role = token.and_then(|token| {
        let hash: [u8; 32] = Sha256::digest(token).into();
        // Every token is looked at to its end: the time tells nothing.
        tokens.iter().fold(None, |known: Option<Role>, token| {
            if is_same(&hash, &token.sha256) { known.max(Some(token.role)) } else { known }
        })
    });
    match role {
        Some(role) if role >= needed => None,
        Some(_) => Some(Refusal::new(
            StatusCode::FORBIDDEN,
            "role_too_low",
            "this token may not do that",
            match needed {
                Role::Admin => "it takes a token with role = \"admin\"",
                Role::Read | Role::Operate => {
                    "it takes a token with role = \"operate\" or \"admin\""
                }
            },
        )),
        None => Some(Refusal::new(
            StatusCode::UNAUTHORIZED,
            "token_needed",
            match needed {
                Role::Read => "to look at something here takes a token",
                Role::Operate | Role::Admin => "to change something here takes a token",
            },
            "send it as `Authorization: Bearer TOKEN`",
        )),
    }
}

/// Takes the same time whatever they are.
fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str, role: Role) -> ApiToken {
        ApiToken { sha256: Sha256::digest(text).into(), role }
    }

    fn all() -> Vec<ApiToken> {
        vec![token("looks", Role::Read), token("acts", Role::Operate), token("rules", Role::Admin)]
    }

    #[test]
    fn each_role_may_do_what_it_says_and_no_more() {
        let (get, post) = (Method::GET, Method::POST);
        let loopback = PortAccess { tokens: all(), reads_need_token: false };
        let open = PortAccess { reads_need_token: true, ..loopback.clone() };
        let status = |access: &PortAccess, method: &Method, path: &str, given: Option<&str>| {
            let Some(needed) = access.needed(method, path) else { return 200 };
            let refusal = refusal(given.map(str::as_bytes), &access.tokens, needed);
            refusal.map_or(200, |refusal| refusal.into_response().status().as_u16())
        };
        let ways = [(&get, "/v1/fleets"), (&post, "/v1/instructions"), (&post, "/v1/reload")];
        for (given, on_loopback, elsewhere) in [
            (None, [200, 401, 401], [401, 401, 401]),
            (Some("Bearer wrong"), [200, 401, 401], [401, 401, 401]),
            (Some("Bearer "), [200, 401, 401], [401, 401, 401]),
            (Some("looks"), [200, 401, 401], [401, 401, 401]),
            (Some("Bearer looks"), [200, 403, 403], [200, 403, 403]),
            (Some("Bearer acts"), [200, 200, 403], [200, 200, 403]),
            (Some("Bearer rules"), [200, 200, 200], [200, 200, 200]),
        ] {
            let got = |access| ways.map(|(method, path)| status(access, method, path, given));
            assert_eq!(got(&loopback), on_loopback, "{given:?} on loopback");
            assert_eq!(got(&open), elsewhere, "{given:?} elsewhere");
        }
        let none = PortAccess { tokens: Vec::new(), reads_need_token: false };
        assert_eq!(status(&none, &post, "/v1/holds", Some("Bearer acts")), 403);
    }

    #[test]
    fn the_token_of_a_signal_is_good_for_it_beside_the_others() {
        let of = |token: &str| -> [u8; 32] { Sha256::digest(token).into() };
        for (door, given, own, allowed) in [
            (Door::loopback(all()), Some("Bearer acts"), Some("own"), true),
            (Door::loopback(all()), Some("Bearer own"), Some("own"), true),
            (Door::loopback(all()), Some("Bearer own"), None, false),
            (Door::loopback(all()), Some("Bearer looks"), Some("own"), false),
            (Door::open(all()), Some("Bearer own"), Some("own"), true),
            (Door::loopback(Vec::new()), Some("Bearer own"), Some("own"), true),
            (Door::loopback(Vec::new()), Some("Bearer acts"), Some("own"), false),
            (Door::loopback(Vec::new()), None, Some("own"), false),
            (Door::loopback(Vec::new()), Some("Bearer "), None, false),
            (Door::Socket, None, Some("own"), true),
        ] {
            let refused = push_refusal(&door, given.map(str::as_bytes), own.map(of));
            assert_eq!(refused.is_none(), allowed, "{door:?} {given:?} {own:?}");
        }
    }
}
