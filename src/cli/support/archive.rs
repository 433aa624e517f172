//! The archive: a gzipped tar in a new file that only its owner may read.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use cloud::Timestamp;
use flate2::Compression;
use flate2::write::GzEncoder;

/// A part has at most 64 MB: what is larger is its end, which is the newest of a log.
const PART_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One file of the archive, or why it is not in it.
#[derive(Debug)]
pub(super) struct Part {
    name: &'static str,
    text: Result<String, String>,
}

impl Part {
    pub(super) fn new(name: &'static str, text: Result<String, String>) -> Part {
        Part { name, text }
    }

    pub(super) fn found(name: &'static str, text: String) -> Part {
        Part::new(name, Ok(text))
    }

    /// `metrics.txt: no daemon answers`
    pub(super) fn missing(&self) -> Option<String> {
        self.text.as_ref().err().map(|why| format!("{}: {}", self.name, cloud::text::one_line(why)))
    }

    /// `metrics.txt  12,345 bytes`
    fn line(&self) -> String {
        match &self.text {
            Ok(text) => format!("{:<20} {} bytes\n", self.name, text.len()),
            Err(_) => format!("not there: {}\n", self.missing().unwrap_or_default()),
        }
    }
}

/// An archive to be written. Dropped before, it leaves no file behind.
pub(super) struct Archive {
    path: PathBuf,
    file: File,
    is_whole: bool,
}

/// A new file; one that is there is kept.
pub(super) fn create(path: &Path) -> io::Result<Archive> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    Ok(Archive { path: path.to_owned(), file, is_whole: false })
}

impl Archive {
    /// The parts, after a list of them.
    pub(super) fn write(mut self, parts: Vec<Part>, now: Timestamp) -> io::Result<()> {
        let contents: String = parts.iter().map(Part::line).collect();
        let contents = Part::found("contents.txt", contents);
        let mut tar = tar::Builder::new(GzEncoder::new(&self.file, Compression::default()));
        for part in std::iter::once(contents).chain(parts) {
            let Ok(text) = part.text else { continue };
            let text = end_of(&text, PART_BYTES_MAX);
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o600);
            header.set_mtime(u64::try_from(now.timestamp()).unwrap_or(0));
            tar.append_data(
                &mut header,
                format!("fleetscaler-support/{}", part.name),
                text.as_bytes(),
            )?;
        }
        tar.into_inner()?.finish()?;
        self.file.sync_all()?;
        self.is_whole = true;
        Ok(())
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        if !self.is_whole {
            // Half an archive helps nobody; that the disk is full has been said.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// The last `most` bytes of a text, from the beginning of a line on.
fn end_of(text: &str, most: usize) -> &str {
    let from = text.len().saturating_sub(most);
    if from == 0 {
        return text;
    }
    let from = text.ceil_char_boundary(from);
    let rest = &text[from..];
    rest.split_once('\n').map_or(rest, |(_, lines)| lines)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_archive_holds_its_parts_and_why_others_are_not_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("support.tar.gz");
        let parts = vec![
            Part::found("about.txt", "fleetscaler".to_owned()),
            Part::new("metrics.txt", Err("no daemon\nanswers".to_owned())),
        ];
        let now = "2026-01-02T12:00:00Z".parse().expect("a time");
        create(&path).expect("created").write(parts, now).expect("written");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut tar =
            tar::Archive::new(flate2::read::GzDecoder::new(File::open(&path).expect("open")));
        let mut read = Vec::new();
        for entry in tar.entries().expect("entries") {
            let mut entry = entry.expect("an entry");
            let name = entry.path().expect("a name").display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("text");
            read.push((name, text));
        }
        assert_eq!(read.len(), 2, "{read:?}");
        assert!(read[0].1.contains("not there: metrics.txt: no daemon answers"), "{read:?}");
        assert_eq!(read[1], ("fleetscaler-support/about.txt".to_owned(), "fleetscaler".to_owned()));
        // What is there is never written over.
        assert_eq!(
            create(&path).err().map(|error| error.kind()),
            Some(io::ErrorKind::AlreadyExists)
        );
    }

    #[test]
    fn an_archive_that_is_given_up_leaves_no_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("support.tar.gz");
        drop(create(&path).expect("created"));
        assert!(!path.exists());
    }

    #[test]
    fn a_text_is_cut_at_the_beginning_of_a_line() {
        assert_eq!(end_of("one\ntwo\n", 100), "one\ntwo\n");
        assert_eq!(end_of("one\ntwo\nthree\n", 8), "three\n");
        assert_eq!(end_of("日志日志", 4), "志");
    }
}
