//! `fleetscaler completions`, `fleetscaler man` and `fleetscaler schema`: what a shell, `man` and an editor
//! need, made of the commands and of the configuration's own keys.

use anyhow::Context;
use clap::CommandFactory;

use super::args::{Args, CompletionsArgs, ManArgs};
use super::{Exit, output};
use crate::config;

pub(super) async fn completions(args: CompletionsArgs) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "fleetscaler", &mut script);
    let script = String::from_utf8(script).context("the script is no text")?;
    output::line(script.trim_end());
    Ok(Exit::Ok)
}

pub(super) fn schema() -> anyhow::Result<Exit> {
    output::line(&serde_json::to_string_pretty(&config::schema())?);
    Ok(Exit::Ok)
}

pub(super) async fn man(args: ManArgs) -> anyhow::Result<Exit> {
    std::fs::create_dir_all(&args.dir)
        .with_context(|| format!("{} cannot be made", args.dir.display()))?;
    clap_mangen::generate_to(Args::command(), &args.dir)
        .with_context(|| format!("the pages cannot be written into {}", args.dir.display()))?;
    output::line(&format!("the pages are in {}", args.dir.display()));
    Ok(Exit::Ok)
}
