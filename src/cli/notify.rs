//! `fleetscaler notify test`: does a message arrive?

use std::sync::Arc;

use cloud::{Clock, SystemClock};

use super::args::{NotifyArgs, NotifyCommand};
use super::{Exit, output};
use crate::config;
use crate::notify;

pub(super) async fn run(args: NotifyArgs) -> anyhow::Result<Exit> {
    let config = match output::load(&args.config, Some("notify test")) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let NotifyCommand::Test { name } = args.command;
    if let Some(name) = &name
        && !config.notify.iter().any(|spec| spec.name == *name)
    {
        let names = config.notify.iter().map(|spec| spec.name.as_str());
        let hint = config::hint(name, names, "there are");
        output::error(&format!("no channel is called `{name}`: {hint}"));
        return Ok(Exit::Usage);
    }
    let wanted: Vec<_> =
        config.notify.iter().filter(|spec| name.as_ref().is_none_or(|n| spec.name == *n)).collect();
    if wanted.is_empty() {
        output::line("there is no channel: add a table [notify.NAME]");
        return Ok(Exit::Ok);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut exit = Exit::Ok;
    for spec in wanted {
        match notify::test(spec, &clock).await {
            Ok(()) => output::line(&format!("ok      {}: it took the message", spec.name)),
            Err(error) => {
                output::line(&format!("FAILED  {error}"));
                exit = Exit::Check;
            }
        }
    }
    Ok(exit)
}
