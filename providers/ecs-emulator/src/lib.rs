//! An HTTP server (or, embedded, a function) that behaves as the Alibaba Cloud ECS API does, strict enough to catch mistakes
//! of a client: signatures, tokens, paging, statuses that take time, stock, quotas, throttling;
//! and faults on request.
//!
//! It derives signatures on its own and shares no code with the client that it tests. What it
//! simulates lives on a [`Clock`], so a test can let an hour pass at once.

mod actions;
mod answer;
mod balancers;
mod control;
mod faults;
mod late;
mod machine;
mod machines;
mod monitor;
mod names;
mod policy;
mod request;
mod response;
mod serve;
mod server;
mod sign;
mod state;
mod time;
mod transcript;
mod world;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cloud::Clock;

pub use balancers::{BackendView, Balancers, GroupKind, ServerGroup};
pub use faults::{Fault, FaultKind};
pub use machine::InstanceView;
pub use monitor::Monitor;
pub use request::RawRequest;
pub use response::{Cut, RawResponse};
pub use state::Violation;
pub use transcript::Entry;
pub use world::{Quotas, VSwitch, World, WorldError};

use state::State;

/// The prefix of an API's actions in a policy; `None` for that of ECS.
fn api_prefix(version: &str) -> Option<&'static str> {
    balancers::prefix(version).or_else(|| monitor::prefix(version))
}

/// Where an embedded emulator says that it is. Nobody listens there.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// A running emulator. It stops when it is dropped.
#[derive(Debug)]
pub struct Emulator {
    addr: SocketAddr,
    shared: Arc<SharedState>,
    /// `None` when it has no socket.
    server: Option<tokio::task::JoinHandle<()>>,
}

/// The state that requests share.
#[derive(Debug)]
pub(crate) struct SharedState {
    pub(crate) state: Mutex<State>,
}

impl SharedState {
    fn new(world: World, clock: Arc<dyn Clock>) -> Arc<SharedState> {
        Arc::new(SharedState { state: Mutex::new(State::new(world, clock)) })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().expect("no holder of this lock can panic");
        state.catch_up();
        state
    }
}

/// Why an emulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "it listens on loopback only, and {0} is not: anybody could buy instances in its world"
    )]
    NotLoopback(SocketAddr),
    #[error("cannot listen on {addr}")]
    Listen { addr: SocketAddr, source: std::io::Error },
}

impl Emulator {
    /// Serves `world` on `addr` (port 0: any free one).
    pub async fn start(
        world: World,
        clock: Arc<dyn Clock>,
        addr: SocketAddr,
    ) -> Result<Emulator, StartError> {
        if !addr.ip().is_loopback() {
            return Err(StartError::NotLoopback(addr));
        }
        let listen = |source| StartError::Listen { addr, source };
        let listener = tokio::net::TcpListener::bind(addr).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let shared = SharedState::new(world, clock);
        let server = tokio::spawn(server::serve(listener, shared.clone()));
        Ok(Emulator { addr, shared, server: Some(server) })
    }

    /// `world` without a socket: requests come by [`Emulator::call`]. Nothing in it takes real time
    /// or depends on chance, so a simulation over it can be repeated.
    #[must_use]
    pub fn embedded(world: World, clock: Arc<dyn Clock>) -> Emulator {
        Emulator { addr: NOWHERE, shared: SharedState::new(world, clock), server: None }
    }

    /// Answers one request as the server would.
    pub async fn call(&self, request: RawRequest) -> Result<RawResponse, Cut> {
        serve::answer(&request, &self.shared).await
    }

    /// Serves `world` on a free port of 127.0.0.1.
    pub async fn on_loopback(world: World, clock: Arc<dyn Clock>) -> Result<Emulator, StartError> {
        Emulator::start(world, clock, ([127, 0, 0, 1], 0).into()).await
    }

    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Such as `http://127.0.0.1:8089`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Every instance that ever was, in the order of creation, whatever listings show.
    #[must_use]
    pub fn instances(&self) -> Vec<InstanceView> {
        self.shared.state().views()
    }

    /// Every call, in the order of arrival.
    #[must_use]
    pub fn transcript(&self) -> Vec<Entry> {
        self.shared.state().transcript.entries().to_vec()
    }

    /// Every call after the one with this number, in the order of arrival.
    #[must_use]
    pub fn transcript_after(&self, seq: u64) -> Vec<Entry> {
        let state = self.shared.state();
        let newer = state.transcript.entries().iter().rev().take_while(|entry| entry.seq > seq);
        let mut newer: Vec<Entry> = newer.cloned().collect();
        newer.reverse();
        newer
    }

    /// Mistakes of callers that the real API would let pass or punish silently.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.shared.state().violations.clone()
    }

    /// From now on, `fault` applies.
    pub fn inject(&self, fault: Fault) {
        self.shared.state().faults.add(fault);
    }

    /// No fault applies any more.
    pub fn clear_faults(&self) {
        self.shared.state().faults.clear();
    }

    /// Changes the world while it runs: stock, lags, quotas.
    pub fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.shared.state().world);
    }

    /// An instance that somebody else created, with these tags, running already.
    pub fn place(&self, tags: &[(&str, &str)]) -> String {
        self.shared.state().place_foreign(tags)
    }

    /// The instance disappears, as spot capacity or failing hardware does.
    pub fn vanish(&self, id: &str) {
        self.shared.state().vanish(id);
    }

    /// A spot instance is locked for its release, which comes after `notice`.
    pub fn reclaim(&self, id: &str, notice: Duration) {
        self.shared.state().reclaim(id, notice);
    }

    /// Somebody stops an instance.
    pub fn stop(&self, id: &str) {
        self.shared.state().stop(id);
    }

    /// Somebody protects an instance against deletion, or does so no more.
    pub fn protect(&self, id: &str, protected: bool) {
        self.shared.state().protect(id, protected);
    }

    /// Every instance of a zone disappears, and no other can be launched there until it is restored.
    pub fn lose_zone(&self, zone: &str) {
        self.shared.state().lose_zone(zone);
    }

    /// The instances of a zone do not answer any more ([`InstanceView::reachable`]), while listings
    /// go on saying what they said.
    pub fn hang_zone(&self, zone: &str) {
        self.shared.state().hang_zone(zone);
    }

    /// The backends of a load balancer's group.
    #[must_use]
    pub fn backends(&self, group: &str) -> Vec<BackendView> {
        self.shared.state().backends_of(group)
    }

    /// Somebody adds an instance to a load balancer's group.
    pub fn attach(&self, group: &str, id: &str, port: Option<u16>) {
        self.shared.state().meddle(group, id, port, true);
    }

    /// Somebody takes an instance out of a load balancer's group.
    pub fn detach(&self, group: &str, id: &str) {
        self.shared.state().meddle(group, id, None, false);
    }

    /// A zone is as it was before it was lost or hung, but for the instances that it lost.
    pub fn restore_zone(&self, zone: &str) {
        self.shared.state().restore_zone(zone);
    }

    /// Somebody gives an instance tags, over those that it has.
    pub fn retag(&self, id: &str, tags: &[(&str, &str)]) {
        self.shared.state().retag(id, tags);
    }

    /// Boots take so long from now on. What runs already goes on running, and what boots already
    /// takes as long as it would have.
    pub fn set_boot(&self, boot: std::time::Duration) {
        self.shared.state().set_boot(boot);
    }

    /// Takes tags off an instance.
    pub fn untag(&self, id: &str, keys: &[&str]) {
        self.shared.state().untag(id, keys);
    }

    /// Serves until the process ends. An embedded emulator has nothing to serve and returns.
    pub async fn run(mut self) {
        if let Some(server) = &mut self.server {
            // An error means that the task was aborted, which only dropping `self` does.
            drop(server.await);
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}
