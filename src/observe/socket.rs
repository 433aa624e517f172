//! Serving on a Unix socket: who may open the file may ask, and is a person or a tool of this machine.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use cloud::Clock;
use futures::future::BoxFuture;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::AbortHandle;

use super::listener::{Door, serve_at};

/// The daemon's user and its group.
const MODE: u32 = 0o660;

/// Why nothing is served there.
#[derive(Debug, thiserror::Error)]
#[error("[daemon] api_socket = \"{}\" cannot be used: {why}; {todo}", path.display())]
pub struct SocketError {
    path: PathBuf,
    why: String,
    todo: &'static str,
}

/// A running server; it ends, and its file goes, when this is dropped.
#[derive(Debug)]
pub struct ServedSocket {
    path: PathBuf,
    server: AbortHandle,
}

impl Drop for ServedSocket {
    fn drop(&mut self) {
        self.server.abort();
        // A socket that is left behind is cleared away by the next start.
        drop(std::fs::remove_file(&self.path));
    }
}

impl Door for UnixListener {
    type Raw = UnixStream;
    type Stream = UnixStream;
    const KEY: &'static str = "api_socket";

    async fn next(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }

    fn enter(&self, raw: UnixStream) -> BoxFuture<'static, io::Result<UnixStream>> {
        Box::pin(async { Ok(raw) })
    }
}

/// Serves `router` on a socket at `path`. One that an ended daemon left there is replaced.
///
/// # Errors
/// Another process serves there, something else has that name, or the directory cannot be written.
pub async fn serve_socket(
    path: &Path,
    router: Router,
    clock: Arc<dyn Clock>,
) -> Result<ServedSocket, SocketError> {
    let wrong = |why: String, todo| SocketError { path: path.to_owned(), why, todo };
    if let Ok(found) = std::fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            let why = "something else has that name".to_owned();
            return Err(wrong(why, "name a path at which there is nothing"));
        }
        if UnixStream::connect(path).await.is_ok() {
            let why = "another process serves there".to_owned();
            return Err(wrong(why, "give each daemon a socket of its own"));
        }
    }
    let listen = || {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE))?;
        Ok(listener)
    };
    let todo = "the directory must be there and the daemon's; RuntimeDirectory=fleetscaler of the unit \
                makes /run/fleetscaler";
    let listener = listen().map_err(|error| wrong(error.to_string(), todo))?;
    let server = serve_at(listener, router, clock);
    Ok(ServedSocket { path: path.to_owned(), server })
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use cloud::SystemClock;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_socket_is_its_groups_replaces_a_dead_one_and_no_other() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("api.sock");
        let router = || Router::new().route("/", get(async || "ok"));
        // A daemon that was killed leaves its socket.
        drop(UnixListener::bind(&path).expect("bound"));
        let serve = async || serve_socket(&path, router(), Arc::new(SystemClock)).await;
        let served = serve().await.expect("served");
        let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        let mut stream = UnixStream::connect(&path).await.expect("a connection");
        let request = b"GET / HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok"), "{answer}");
        let error = serve().await.expect_err("it is taken").to_string();
        assert!(error.contains("another process serves there"), "{error}");
        drop(served);
        assert!(!path.exists());
        std::fs::write(&path, "a file").expect("written");
        let error = serve().await.expect_err("a file").to_string();
        assert!(error.contains("something else has that name"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).expect("it stays"), "a file");
    }
}
