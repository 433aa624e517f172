//! The demo's page and API, on a free port of 127.0.0.1: the same ones that the daemon serves.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::api::{self, Api, Door};
use crate::config::{ApiToken, Role};
use crate::control::{ReloadError, ReloadSink, Reloaded, Reloader, Running, World};
use crate::observe::{self, BindError, Instruments, Names, Served};

/// Changes something in the demo. It is no secret: nothing here is real. A page of another site cannot use it
/// all the same, since a browser asks first, and is refused.
pub(super) const TOKEN: &str = "demo";

/// Serves until what is returned is dropped.
pub(super) async fn serve(
    world: &Arc<World>,
    instruments: &Arc<Instruments>,
    running: Running,
) -> Result<Served, BindError> {
    let reloader =
        Reloader::new(world.clone(), PathBuf::from("demo.toml"), running, Arc::new(NoOne));
    let api = Api::new(world.clone(), instruments.clone(), Arc::new(reloader));
    let token = ApiToken { sha256: Sha256::digest(TOKEN).into(), role: Role::Admin };
    let door = Door::loopback(vec![token]);
    let pages = observe::pages(instruments.clone(), true).merge(api::router(api, door));
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let names = Names::of_this_machine(&[]);
    observe::serve(any_port, names, pages, None, world.clock.clone()).await
}

/// The demo's configuration is a text within it. Whoever asks for a reload is told that there is no such file.
#[derive(Debug)]
struct NoOne;

impl ReloadSink for NoOne {
    fn reloaded(&self, _author: &str, _ended: Result<&Reloaded, &ReloadError>) {}
}
