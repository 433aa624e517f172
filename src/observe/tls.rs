//! TLS at `listen`: a certificate and its key from two files, which are read again when they change.
//!
//! Certificates are renewed by other programs, every other month or every day. Nobody restarts a daemon
//! for that, and a renewal that failed half-way must not end what still works: the pair that was good is kept
//! until there is another good one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[error("[daemon.tls] {} cannot be used: {why}; {todo}", path.display())]
pub struct TlsError {
    path: PathBuf,
    why: String,
    todo: &'static str,
}

/// A certificate with its key.
#[derive(Debug)]
pub struct Tls {
    cert: PathBuf,
    key: PathBuf,
    loaded: Mutex<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    /// As the files were when they were read last, well or badly.
    seen: Seen,
}

/// When each file was written last and how long it is; `None`: it cannot be told.
type Seen = [Option<(SystemTime, u64)>; 2];

impl Tls {
    /// Reads the pair.
    ///
    /// # Errors
    /// A file cannot be read, holds something else, or the two do not belong together.
    pub fn load(cert: &Path, key: &Path) -> Result<Tls, TlsError> {
        // Before they are read: what is written meanwhile is read again.
        let seen = seen(cert, key);
        let config = read(cert, key)?;
        let (cert, key) = (cert.to_owned(), key.to_owned());
        Ok(Tls { cert, key, loaded: Mutex::new(Loaded { config, seen }) })
    }

    /// The pair for a new connection.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        let mut loaded = self.loaded.lock().expect("no holder of this lock can panic");
        let seen = seen(&self.cert, &self.key);
        if seen != loaded.seen {
            loaded.seen = seen;
            match read(&self.cert, &self.key) {
                Ok(config) => {
                    loaded.config = config;
                    tracing::info!("{} was renewed, and is used", self.cert.display());
                }
                Err(error) => tracing::warn!("{error}; the one before it is used"),
            }
        }
        loaded.config.clone()
    }
}

fn seen(cert: &Path, key: &Path) -> Seen {
    [cert, key].map(|file| {
        let file = std::fs::metadata(file).ok()?;
        Some((file.modified().ok()?, file.len()))
    })
}

fn read(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let wrong = |path: &Path, why: String, todo| TlsError { path: path.to_owned(), why, todo };
    let pem = "write a PEM file, with -----BEGIN CERTIFICATE----- for each certificate";
    let certs = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(cert, error.to_string(), pem))?;
    if certs.is_empty() {
        return Err(wrong(cert, "it holds no certificate".to_owned(), pem));
    }
    let pem = "write a PEM file, with the one private key that belongs to the certificate";
    // What is wrong in a key is not told by its text.
    let private =
        PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, error.to_string(), pem))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certs, private));
    let mut config = config.map_err(|error| wrong(key, error.to_string(), pem))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate for `localhost` and its key, as PEM.
    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("made");
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_renewed_pair_is_used_and_a_broken_one_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let (cert, key) = (dir.path().join("tls.crt"), dir.path().join("tls.key"));
        let write = |pair: &(String, String)| {
            std::fs::write(&cert, &pair.0).expect("written");
            std::fs::write(&key, &pair.1).expect("written");
        };
        write(&pair());
        let tls = Tls::load(&cert, &key).expect("a pair");
        let first = tls.config();
        assert!(Arc::ptr_eq(&first, &tls.config()), "nothing changed");
        // Half of a renewal: the key of another certificate.
        let other = pair();
        std::fs::write(&key, format!("{}\n", other.1)).expect("written");
        assert!(Arc::ptr_eq(&first, &tls.config()));
        std::fs::remove_file(&key).expect("removed");
        assert!(Arc::ptr_eq(&first, &tls.config()));
        write(&other);
        assert!(!Arc::ptr_eq(&first, &tls.config()));
    }

    #[test]
    fn what_is_no_pair_is_refused_with_its_file_and_the_way_out() {
        let dir = tempfile::tempdir().expect("a directory");
        let (cert, key) = (dir.path().join("tls.crt"), dir.path().join("tls.key"));
        let error = |of: &str| {
            let text = Tls::load(&cert, &key).expect_err("no pair").to_string();
            assert!(text.contains(of) && text.contains("write a PEM file"), "{text}");
            assert!(!text.contains("PRIVATE"), "{text}");
        };
        error("tls.crt");
        std::fs::write(&cert, "no certificate").expect("written");
        error("holds no certificate");
        let (one, other) = (pair(), pair());
        std::fs::write(&cert, &one.0).expect("written");
        error("tls.key");
        std::fs::write(&key, &one.0).expect("written");
        error("tls.key");
        std::fs::write(&key, &other.1).expect("written");
        error("tls.key");
        std::fs::write(&key, &one.1).expect("written");
        Tls::load(&cert, &key).expect("a pair");
    }
}
