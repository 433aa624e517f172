//! Where the daemon is asked: metrics, health and the API on `listen`, the API on its socket.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use crate::api::{self, Api, Door};
use crate::config::Daemon;
use crate::control::{Reloader, World};
use crate::observe::{self, Instruments, Names, Served, ServedSocket};

/// The configured addresses.
pub(super) struct Doors {
    listen: Option<SocketAddr>,
    names: Names,
    socket: Option<PathBuf>,
    tokens: Arc<[[u8; 32]]>,
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
            tokens: daemon.api_tokens.as_slice().into(),
        }
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
            let pages = match address.ip().is_loopback() {
                true => {
                    pages(true).merge(api::router(api.clone(), Door::Port(doors.tokens.clone())))
                }
                // Without encryption whoever sits between could read along and use a token.
                false => pages(false),
            };
            let names = doors.names.clone();
            let served = observe::serve(address, names, pages, clock.clone()).await;
            let served = served.context("cannot start")?;
            let address = served.address();
            if address.ip().is_loopback() {
                tracing::info!(
                    "a page for people, metrics, health and the API are served on http://{address}/"
                );
            } else {
                tracing::info!(
                    "metrics and health are served on http://{address}/; the API is not, because \
                     others may read along there: it is on api_socket, or on a loopback address"
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
