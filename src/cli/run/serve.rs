//! Where the daemon is asked: metrics, health and the API on `listen`, the API on its socket.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use crate::api::{self, Api, Door};
use crate::config::{ApiToken, Daemon, TlsFiles};
use crate::control::{Reloader, World};
use crate::observe::{self, Instruments, Names, Served, ServedSocket, Tls};

/// The configured addresses.
pub(super) struct Doors {
    listen: Option<SocketAddr>,
    names: Names,
    socket: Option<PathBuf>,
    tls: Option<TlsFiles>,
    tokens: Vec<ApiToken>,
}

/// Both end when this is dropped.
pub(super) struct OpenListeners {
    _port: Option<Served>,
    _socket: Option<ServedSocket>,
}

impl Doors {
    pub(super) fn of(daemon: &Daemon) -> Doors {
        Doors {
            listen: daemon.listen,
            names: Names::of_this_machine(&daemon.listen_hosts),
            socket: daemon.api_socket.clone(),
            tls: daemon.tls.clone(),
            tokens: daemon.api_tokens.clone(),
        }
    }
}

/// Who may use the API at `address`; `None`: nobody, since whoever sits between could read along and use a
/// token.
fn door(address: SocketAddr, has_tls: bool, tokens: &[ApiToken]) -> Option<Door> {
    match (address.ip().is_loopback(), has_tls) {
        (true, _) => Some(Door::loopback(tokens.to_vec())),
        (false, true) => Some(Door::open(tokens.to_vec())),
        (false, false) => None,
    }
}

pub(super) async fn serve(
    doors: &Doors,
    world: &Arc<World>,
    instruments: &Arc<Instruments>,
    reloader: &Arc<Reloader>,
) -> anyhow::Result<OpenListeners> {
    let api = Api::new(world.clone(), instruments.clone(), reloader.clone());
    let pages = |with_page| observe::pages(instruments.clone(), with_page);
    let clock = &world.clock;
    let port = match doors.listen {
        Some(address) => {
            let tls = doors.tls.as_ref().map(|files| Tls::load(&files.cert, &files.key));
            let tls = tls.transpose().context("cannot start")?;
            let scheme = if tls.is_some() { "https" } else { "http" };
            let door = door(address, tls.is_some(), &doors.tokens);
            let has_api = door.is_some();
            let pages = match door {
                Some(door) => pages(true).merge(api::router(api.clone(), door)),
                None => pages(false),
            };
            let names = doors.names.clone();
            let served = observe::serve(address, names, pages, tls, clock.clone()).await;
            let served = served.context("cannot start")?;
            let address = served.address();
            if has_api {
                tracing::info!(
                    "a page for people, metrics, health and the API are served on \
                     {scheme}://{address}/"
                );
            } else {
                tracing::info!(
                    "metrics and health are served on http://{address}/; the API is not, because \
                     others may read along there: it is on api_socket, on a loopback address, or \
                     behind [daemon.tls]"
                );
            }
            Some(served)
        }
        None => None,
    };
    let socket = match &doors.socket {
        Some(path) => {
            let pages = pages(false).merge(api::router(api, Door::Socket));
            let served = observe::serve_socket(path, pages, clock.clone()).await;
            let served = served.context("cannot start")?;
            tracing::info!("the API is served on {}", path.display());
            Some(served)
        }
        None => None,
    };
    Ok(OpenListeners { _port: port, _socket: socket })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_need_tls_and_a_token_even_to_look() {
        let door = |address: &str, has_tls| {
            let door = door(address.parse().expect("an address"), has_tls, &[]);
            door.map(|door| match door {
                Door::Port(access) => access.reads_need_token,
                Door::Socket => panic!("no socket"),
            })
        };
        for (address, in_the_clear, by_tls) in [
            ("127.0.0.1:9177", Some(false), Some(false)),
            ("[::1]:9177", Some(false), Some(false)),
            ("0.0.0.0:9177", None, Some(true)),
            ("[::]:9177", None, Some(true)),
            ("192.168.0.9:9177", None, Some(true)),
        ] {
            assert_eq!(door(address, false), in_the_clear, "{address}");
            assert_eq!(door(address, true), by_tls, "{address} by TLS");
        }
    }
}
