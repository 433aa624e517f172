//! The surroundings that a configuration may look at beside its own text: environment variables and the files that
//! it names. Given as a value, so that a test needs neither.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The surroundings of a configuration.
#[derive(Clone)]
pub struct Env(EnvSource);

#[derive(Clone)]
enum EnvSource {
    System,
    Given { vars: BTreeMap<String, String>, files: BTreeMap<PathBuf, Vec<u8>> },
}

impl Env {
    /// This process's environment and this machine's files.
    #[must_use]
    pub fn system() -> Self {
        Env(EnvSource::System)
    }

    /// Exactly these variables and files.
    #[must_use]
    pub fn given(vars: BTreeMap<String, String>, files: BTreeMap<PathBuf, Vec<u8>>) -> Self {
        Env(EnvSource::Given { vars, files })
    }

    /// The value of an environment variable; one that is empty counts as unset.
    pub(super) fn var(&self, name: &str) -> Option<String> {
        let value = match &self.0 {
            EnvSource::System => std::env::var(name).ok(),
            EnvSource::Given { vars, .. } => vars.get(name).cloned(),
        };
        value.filter(|value| !value.is_empty())
    }

    /// Whether everybody on this machine can read or change the file at `path`. A group may: it was
    /// made for somebody.
    pub(super) fn is_exposed(&self, path: &Path) -> bool {
        match &self.0 {
            EnvSource::System => {
                std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o006 != 0)
            }
            EnvSource::Given { .. } => false,
        }
    }

    /// A regular file of at most `limit` bytes. Fails with why not, in words.
    pub(super) fn read(&self, path: &Path, limit: usize) -> Result<Vec<u8>, String> {
        let bytes = match &self.0 {
            EnvSource::System => read_file(path, limit).map_err(|error| in_words(&error))?,
            EnvSource::Given { files, .. } => {
                files.get(path).cloned().ok_or_else(|| in_words(&io::ErrorKind::NotFound.into()))?
            }
        };
        if bytes.len() > limit {
            return Err(format!("it is larger than {limit} bytes"));
        }
        Ok(bytes)
    }
}

/// At most one byte more than `limit`, so that a device or a huge file cannot fill the memory.
fn read_file(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The common failures as a person would say them, equal on every platform.
fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "this process may not read it (its owner or mode forbids)".to_owned()
        }
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    }
}

impl fmt::Debug for Env {
    /// Names only: variables and files hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            EnvSource::System => f.write_str("Env::system"),
            EnvSource::Given { vars, files } => f
                .debug_struct("Env::given")
                .field("vars", &vars.keys())
                .field("files", &files.keys())
                .finish(),
        }
    }
}
