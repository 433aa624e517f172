//! `fleetscaler reload`: the running daemon takes its changed configuration, or says why not.

use axum::http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Exit;
use super::args::ReloadArgs;
use super::daemon::{Daemon, NoAnswer};
use super::hold::author;
use super::output::{self, wrap};
use crate::api::shape::{ReloadView, SettingView};
use crate::model::plural;

pub(super) async fn run(args: ReloadArgs) -> anyhow::Result<Exit> {
    let config = match output::load_for_command(&args.config, "reload") {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let author = author(args.author)?;
    let author = utf8_percent_encode(&author, NON_ALPHANUMERIC);
    let page = format!("/v1/reload?author={author}&dry_run={}", args.dry_run);
    let daemon = Daemon::of(&config.daemon);
    let view: ReloadView = match daemon.ask(Method::POST, &page, String::new()).await {
        Ok(view) => view,
        Err(NoAnswer::Refused(error)) => {
            output::error(&format!("{}\n{}", error.message, error.hint));
            let is_config = error.code == "configuration_refused";
            return Ok(if is_config { Exit::Config } else { Exit::Failed });
        }
        Err(NoAnswer::Absent(why)) => {
            output::error(&format!("{why}; a daemon reads its configuration when it starts"));
            return Ok(Exit::Failed);
        }
    };
    if args.json {
        output::line(&serde_json::to_string(&view)?);
        return Ok(Exit::Ok);
    }
    told(&view, output::columns()).iter().for_each(|line| output::line(line));
    Ok(Exit::Ok)
}

/// The answer in lines.
fn told(view: &ReloadView, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for setting in &view.changed_settings {
        lines.push(format!("daemon   {}", setting.text));
    }
    for fleet in &view.added_fleets {
        lines.push(format!("add      {fleet}"));
    }
    for changed in &view.changed_fleets {
        let texts: Vec<&str> =
            changed.settings.iter().map(|s: &SettingView| s.text.as_str()).collect();
        let text = format!("{}: {}", changed.fleet, texts.join(", "));
        for (n, line) in wrap(&text, columns.saturating_sub(9)).into_iter().enumerate() {
            lines.push(format!("{:<9}{line}", if n == 0 { "change" } else { "" }));
        }
    }
    for fleet in &view.removed_fleets {
        lines.push(format!("remove   {fleet}: its instances stay, as strays"));
    }
    for warning in &view.warnings {
        lines.push(format!("warning  {warning}"));
    }
    let unchanged = plural(u32::try_from(view.unchanged_fleets).unwrap_or(u32::MAX), "fleet");
    let nothing = view.changed_settings.is_empty()
        && view.added_fleets.is_empty()
        && view.changed_fleets.is_empty()
        && view.removed_fleets.is_empty();
    lines.push(match (view.taken, nothing) {
        (_, true) => format!("nothing differs from {}", view.path),
        (true, false) => format!("taken from {}; {unchanged} unchanged", view.path),
        (false, false) => {
            format!("{} can be taken; {unchanged} unchanged; nothing was changed", view.path)
        }
    });
    lines
}
