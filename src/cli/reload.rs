//! `fleetscaler reload`: the running daemon takes its changed configuration, or says why not.

use axum::http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Exit;
use super::args::ReloadArgs;
use super::daemon::{Daemon, NoAnswer};
use super::hold::author;
use super::output::{self, wrap};
use crate::api::shape::ReloadView;
use crate::config;
use crate::model::plural;

pub(super) async fn run(args: ReloadArgs) -> anyhow::Result<Exit> {
    // Problems of the rest of it are the daemon's to tell.
    let config = match config::load_for_command(&args.config) {
        Ok(config) => config,
        Err(problems) => {
            output::error(&format!(
                "the configuration has problems; a daemon that runs goes on as it is\n{problems}"
            ));
            return Ok(Exit::Config);
        }
    };
    let author = author(args.author);
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

/// Room for the word before each line.
const LABEL: usize = 9;

/// The answer in lines.
fn told(view: &ReloadView, columns: usize) -> Vec<String> {
    let mut told: Vec<(&str, String)> = Vec::new();
    let mut tell = |label: &'static str, text: &str| told.push((label, text.to_owned()));
    for setting in &view.changed_settings {
        tell("daemon", &setting.text);
    }
    for fleet in &view.added_fleets {
        tell("add", fleet);
    }
    for changed in &view.changed_fleets {
        let texts: Vec<&str> = changed.settings.iter().map(|s| s.text.as_str()).collect();
        tell("change", &format!("{}: {}", changed.fleet, texts.join(", ")));
    }
    for fleet in &view.removed_fleets {
        tell("remove", &format!("{fleet}: its instances stay, as strays"));
    }
    for warning in &view.warnings {
        tell("warning", warning);
    }
    let differs = told.len() > view.warnings.len();
    let mut lines = Vec::new();
    for (label, text) in told {
        for (n, line) in wrap(&text, columns.saturating_sub(LABEL)).into_iter().enumerate() {
            let label = if n == 0 { label } else { "" };
            lines.push(format!("{label:<LABEL$}{line}"));
        }
    }
    lines.push(match (differs, view.taken) {
        (false, _) => format!("nothing differs from {}", view.path),
        (true, true) => format!("taken from {}", view.path),
        (true, false) => format!("{} can be taken; nothing was changed yet", view.path),
    });
    if differs && view.unchanged_fleets > 0 {
        let unchanged = u32::try_from(view.unchanged_fleets).unwrap_or(u32::MAX);
        lines.push(format!("{} as before", plural(unchanged, "fleet")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::shape::{ChangedFleetView, SettingView};

    #[test]
    fn every_line_fits_and_says_what_happens_to_whom() {
        let setting = |text: &str| SettingView {
            setting: "max".to_owned(),
            before: None,
            after: None,
            text: text.to_owned(),
        };
        let mut view = ReloadView {
            taken: false,
            path: "c.toml".to_owned(),
            added_fleets: vec!["api".to_owned()],
            changed_fleets: vec![ChangedFleetView {
                fleet: "web".to_owned(),
                settings: vec![setting("max 9 → 12"), setting("launch.vswitches differs")],
            }],
            removed_fleets: vec!["old".to_owned()],
            unchanged_fleets: 7,
            changed_settings: Vec::new(),
            warnings: vec!["w ".repeat(60)],
        };
        let lines = told(&view, 80);
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
        assert_eq!(lines[0], "add      api");
        assert_eq!(lines[1], "change   web: max 9 → 12, launch.vswitches differs");
        assert_eq!(lines[2], "remove   old: its instances stay, as strays");
        assert_eq!(lines[lines.len() - 2], "c.toml can be taken; nothing was changed yet");
        assert_eq!(lines[lines.len() - 1], "7 fleets as before");
        view = ReloadView { unchanged_fleets: 1, warnings: Vec::new(), ..view };
        view.added_fleets.clear();
        view.changed_fleets.clear();
        view.removed_fleets.clear();
        assert_eq!(told(&view, 80), ["nothing differs from c.toml"]);
    }
}
