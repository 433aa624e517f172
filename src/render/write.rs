//! One rendering: read the template, fill it in, check the new file, put it in the place of the old one,
//! tell its reader. Whatever fails before the last step leaves the old file as it was.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cloud::text::one_line;
use minijinja::{Environment, UndefinedBehavior};

use super::{RenderSpec, Scene};
use crate::programs::{self, Ended};

/// 1 MiB: a list of ten thousand servers has less.
const TEMPLATE_BYTES_MAX: u64 = 1024 * 1024;

/// Brings the file up to date. `Ok(false)`: it was so already, and nobody was told.
///
/// # Errors
/// What failed, in one line for people.
pub(super) async fn render(spec: &RenderSpec, scene: &Scene) -> Result<bool, String> {
    let text = fill_in(&spec.template, scene)?;
    let file = spec.file.display();
    if std::fs::read(&spec.file).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(false);
    }
    let new = beside(&spec.file);
    write(&new, &text).map_err(|error| format!("{} cannot be written: {error}", new.display()))?;
    if let Some(check) = &spec.check
        && let Err(why) = run(check, &new, spec.timeout.get()).await
    {
        drop(std::fs::remove_file(&new));
        return Err(format!("the new {file} was refused, the old one stays: {why}"));
    }
    std::fs::rename(&new, &spec.file)
        .map_err(|error| format!("{file} cannot be replaced: {error}"))?;
    if let Some(reload) = &spec.reload {
        run(reload, &spec.file, spec.timeout.get())
            .await
            .map_err(|why| format!("{file} is new, but its reader could not be told: {why}"))?;
    }
    Ok(true)
}

fn fill_in(template: &Path, scene: &Scene) -> Result<String, String> {
    let shown = template.display();
    let failed = |error: io::Error| format!("the template {shown} cannot be read: {error}");
    let size = std::fs::metadata(template).map_err(failed)?.len();
    if size > TEMPLATE_BYTES_MAX {
        return Err(format!("the template {shown} has {size} bytes; 1 MiB is the most"));
    }
    let text = std::fs::read_to_string(template).map_err(failed)?;
    let mut jinja = Environment::new();
    // A slip in a name must not leave a hole in a file that others trust.
    jinja.set_undefined_behavior(UndefinedBehavior::Strict);
    jinja.set_keep_trailing_newline(true);
    let rendered = jinja.render_str(&text, scene);
    rendered.map_err(|error| one_line(&format!("the template {shown}: {error:#}")))
}

/// In the same directory, so that it can take the place of `file` in one step.
fn beside(file: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(file.file_name().unwrap_or_default());
    name.push(".new");
    file.with_file_name(name)
}

/// With the rights of the old file's directory: its readers are other users' programs.
fn write(path: &Path, text: &str) -> io::Result<()> {
    // What an earlier attempt left, or a link that somebody put there, is not written through.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::File::create_new(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

async fn run(argv: &[String], file: &Path, timeout: Duration) -> Result<(), String> {
    let fill = |word: &String| word.replace("{file}", &file.display().to_string());
    let argv: Vec<String> = argv.iter().map(fill).collect();
    let program = argv.first().map_or("", String::as_str);
    let Ok(ended) = tokio::time::timeout(timeout, programs::run(&argv, &[], 0)).await else {
        return Err(format!("{program} did not end within {} s", timeout.as_secs()));
    };
    let Ended { status, said, .. } = ended.map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("{program}: {status}: {said}")) }
}
