//! A file takes another one's place in one step: whoever reads it, and whatever happens meanwhile, finds the
//! old text or the new one, whole.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::Path;

/// Why a file keeps its text.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplaceError {
    #[error("somebody changed it meanwhile: run the command again")]
    Changed,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Puts `new` in the place of `old` in the file at `path`, with its owner and its rights; a link stays one.
pub(super) fn replace(path: &Path, old: &str, new: &str) -> Result<(), ReplaceError> {
    let path = fs::canonicalize(path)?;
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    let replaced = write(&path, &beside, old, new);
    if replaced.is_err() {
        // It may never have come to be.
        drop(fs::remove_file(&beside));
    }
    replaced
}

fn write(path: &Path, beside: &Path, old: &str, new: &str) -> Result<(), ReplaceError> {
    let before = fs::metadata(path)?;
    let mut file = File::create_new(beside)?;
    let made = file.metadata()?;
    if (made.uid(), made.gid()) != (before.uid(), before.gid()) {
        fchown(&file, Some(before.uid()), Some(before.gid()))?;
    }
    file.set_permissions(before.permissions())?;
    file.write_all(new.as_bytes())?;
    file.sync_all()?;
    if fs::read(path)? != old.as_bytes() {
        return Err(ReplaceError::Changed);
    }
    fs::rename(beside, path)?;
    // The rename is on the disk once its directory is.
    match path.parent() {
        Some(directory) => Ok(File::open(directory)?.sync_all()?),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_replaced_through_its_link_and_keeps_its_rights() {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, link) = (dir.path().join("config.toml"), dir.path().join("link.toml"));
        fs::write(&file, "old").expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("set");
        std::os::unix::fs::symlink("config.toml", &link).expect("linked");
        replace(&link, "old", "new").expect("replaced");
        assert_eq!(fs::read_to_string(&file).expect("read"), "new");
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 2, "nothing is left over");
    }

    #[test]
    fn a_file_that_was_changed_meanwhile_keeps_its_text() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("config.toml");
        fs::write(&file, "somebody else's").expect("written");
        let error = replace(&file, "old", "new").expect_err("changed");
        assert!(matches!(error, ReplaceError::Changed), "{error}");
        assert_eq!(fs::read_to_string(&file).expect("read"), "somebody else's");
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1, "nothing is left over");
    }
}
