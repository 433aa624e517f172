//! The files of a state belong to the daemon: nobody else reads, replaces or locks them.
//!
//! A symbolic link in the place of one would make the daemon write somewhere else, as root perhaps,
//! so none is followed. Directories may be links: `/var/lib/fleetscaler` is one under systemd.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::JournalError;

/// The files beside the database: its log, the log's index, the log of older modes, the lock.
const BESIDE: [&str; 4] = ["-wal", "-shm", "-journal", ".lock"];
/// Everybody may write there.
const OTHERS_WRITE: u32 = 0o002;
/// But everybody removes and renames only what is their own, as in `/tmp`.
const STICKY: u32 = 0o1000;

/// `path` with `suffix` at its end.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes a directory that only its owner enters.
pub(super) fn make_directory(dir: &Path) -> std::io::Result<()> {
    DirBuilder::new().mode(0o700).create(dir)
}

/// Options to open a file of the state: made for its owner alone, and no link followed.
pub(super) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// Takes from others what they may do with a file that came from elsewhere.
pub(super) fn close(file: &File) -> std::io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o600))
}

/// Gives the files of the state at `path` to the owner of `dir`, where root made them.
pub(super) fn hand_over(path: &Path, dir: &Path) -> std::io::Result<()> {
    let owner = std::fs::metadata(dir)?;
    if !rustix::process::geteuid().is_root() || owner.uid() == 0 {
        return Ok(());
    }
    for file in std::iter::once(path.to_owned()).chain(BESIDE.map(|end| beside(path, end))) {
        match std::os::unix::fs::lchown(&file, Some(owner.uid()), Some(owner.gid())) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Refuses the state at `path` where somebody else could have made or could replace its files.
pub(super) fn refuse_unsafe(path: &Path, dir: &Path) -> Result<(), JournalError> {
    let Ok(around) = std::fs::metadata(dir) else { return Ok(()) };
    if around.mode() & OTHERS_WRITE != 0 && around.mode() & STICKY == 0 {
        let why = "everybody on this machine may replace the files in it: chmod o-w";
        return Err(refused(dir, why));
    }
    for file in std::iter::once(path.to_owned()).chain(BESIDE.map(|end| beside(path, end))) {
        // A file that cannot be looked at cannot be opened: that is said there.
        let Ok(found) = std::fs::symlink_metadata(&file) else { continue };
        let kind = found.file_type();
        if kind.is_symlink() {
            let why = "it is a symbolic link: name the file itself in [daemon] state";
            return Err(refused(&file, why));
        }
        if kind.is_fifo() || kind.is_socket() || kind.is_char_device() || kind.is_block_device() {
            return Err(refused(&file, "it is no file"));
        }
        refuse_owner(&file, &found, around.uid())?;
    }
    Ok(())
}

/// Refuses a file of somebody who is neither this process's user, nor root, nor the owner of the
/// directory, who can do what they like there.
fn refuse_owner(file: &Path, found: &Metadata, directory: u32) -> Result<(), JournalError> {
    let me = rustix::process::geteuid().as_raw();
    if [me, directory, 0].contains(&found.uid()) {
        return Ok(());
    }
    let why =
        format!("it belongs to the user {}, who is neither this service's nor root", found.uid());
    Err(refused(file, &why))
}

/// Refuses a file that has a second name, under which it may be something else's.
pub(super) fn refuse_second_name(path: &Path, file: &File) -> Result<(), JournalError> {
    match file.metadata() {
        Ok(found) if found.nlink() > 1 => Err(refused(path, "it has a second name (a hard link)")),
        _ => Ok(()),
    }
}

fn refused(path: &Path, why: &str) -> JournalError {
    JournalError::Unsafe { path: path.to_owned(), why: why.to_owned() }
}
