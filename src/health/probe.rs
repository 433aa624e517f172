//! One probe of one instance. Whatever goes wrong is a bad answer, never an error: what an instance says
//! is not trusted, not kept and not read beyond a bound.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use super::{CheckKind, HttpCheck, Target};
use crate::model::FleetId;
use crate::programs::{self, ProgramError};

/// 64 KiB: a health page is a word, or a small document.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Whether `target` answers as it should, within `timeout`.
pub(super) async fn probe(
    kind: &CheckKind,
    client: &reqwest::Client,
    fleet: &FleetId,
    target: &Target,
    timeout: Duration,
) -> bool {
    let probed = async {
        match kind {
            CheckKind::Http(check) => http(check, client, target).await.unwrap_or(false),
            CheckKind::Tcp { port } => {
                TcpStream::connect(SocketAddr::new(target.address, *port)).await.is_ok()
            }
            CheckKind::Command { argv } => command(argv, fleet, target).await.unwrap_or(false),
        }
    };
    tokio::time::timeout(timeout, probed).await.unwrap_or(false)
}

async fn http(
    check: &HttpCheck,
    client: &reqwest::Client,
    target: &Target,
) -> reqwest::Result<bool> {
    let mut request = client.get(target.fill(&check.url, true));
    for (name, value) in &check.headers {
        request = request.header(name, value);
    }
    let mut response = request.send().await?;
    let (first, last) = check.status;
    if !(first..=last).contains(&response.status().as_u16()) {
        return Ok(false);
    }
    let Some(wanted) = &check.body else { return Ok(true) };
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk[..chunk.len().min(BODY_BYTES_MAX - body.len())]);
        if body.len() == BODY_BYTES_MAX {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&body).contains(wanted))
}

async fn command(argv: &[String], fleet: &FleetId, target: &Target) -> Result<bool, ProgramError> {
    let argv: Vec<String> = argv.iter().map(|word| target.fill(word, false)).collect();
    let facts = [
        ("FLEETSCALER_FLEET", fleet.0.clone()),
        ("FLEETSCALER_INSTANCE", target.id.0.clone()),
        ("FLEETSCALER_ADDRESS", target.address.to_string()),
    ];
    Ok(programs::run(&argv, &facts, 0).await?.status.success())
}
