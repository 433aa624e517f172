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
pub struct Env {
    source: EnvSource,
    /// Whether secrets are of no use here, and are not looked for.
    lacks_secrets: bool,
}

#[derive(Clone)]
enum EnvSource {
    System,
    Given { vars: BTreeMap<String, String>, files: BTreeMap<PathBuf, Vec<u8>> },
}

impl Env {
    /// This process's environment and this machine's files.
    #[must_use]
    pub fn system() -> Self {
        Env { source: EnvSource::System, lacks_secrets: false }
    }

    /// Exactly these variables and files.
    #[must_use]
    pub fn given(vars: BTreeMap<String, String>, files: BTreeMap<PathBuf, Vec<u8>>) -> Self {
        Env { source: EnvSource::Given { vars, files }, lacks_secrets: false }
    }

    /// The same surroundings for a trial that calls nobody: secrets need not be there.
    pub(super) fn without_secrets(&self) -> Env {
        Env { source: self.source.clone(), lacks_secrets: true }
    }

    pub(super) fn lacks_secrets(&self) -> bool {
        self.lacks_secrets
    }

    /// The value of an environment variable; one that is empty counts as unset.
    pub(super) fn var(&self, name: &str) -> Option<String> {
        let value = match &self.source {
            EnvSource::System => std::env::var(name).ok(),
            EnvSource::Given { vars, .. } => vars.get(name).cloned(),
        };
        value.filter(|value| !value.is_empty())
    }

    /// Whether everybody on this machine can read or change the file at `path`. A group may: it was
    /// made for somebody.
    pub(super) fn is_exposed(&self, path: &Path) -> bool {
        match &self.source {
            EnvSource::System => {
                std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o006 != 0)
            }
            EnvSource::Given { .. } => false,
        }
    }

    /// The names of what is in a directory. Fails with why not, in words.
    pub(super) fn list(&self, directory: &Path) -> Result<Vec<String>, String> {
        let in_words = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => "there is no such directory".to_owned(),
            _ => in_words(&error),
        };
        match &self.source {
            EnvSource::System => names(directory).map_err(in_words),
            EnvSource::Given { files, .. } => {
                let within = files.keys().filter(|path| path.parent() == Some(directory));
                let names: Vec<String> =
                    within.filter_map(|path| name(path.file_name()?)).collect();
                if names.is_empty() {
                    Err(in_words(io::ErrorKind::NotFound.into()))
                } else {
                    Ok(names)
                }
            }
        }
    }

    /// A regular file of at most `limit` bytes. Fails with why not, in words.
    pub(super) fn read(&self, path: &Path, limit: usize) -> Result<Vec<u8>, String> {
        let bytes = match &self.source {
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

fn names(directory: &Path) -> io::Result<Vec<String>> {
    // Without one it is the directory in which the process is.
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let entries = std::fs::read_dir(directory)?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn name(name: &std::ffi::OsStr) -> Option<String> {
    Some(name.to_str()?.to_owned())
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
        match &self.source {
            EnvSource::System => f.write_str("Env::system"),
            EnvSource::Given { vars, files } => f
                .debug_struct("Env::given")
                .field("vars", &vars.keys())
                .field("files", &files.keys())
                .finish(),
        }
    }
}
