//! `fleetscaler demo`.

use tokio::sync::watch;

use super::args::DemoArgs;
use super::{Exit, output};
use crate::demo::{self, Show};

pub(super) async fn run(args: DemoArgs) -> anyhow::Result<Exit> {
    let show = if args.plain || !output::is_terminal() { Show::Plain } else { Show::Live };
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.send_replace(true);
        }
        // The receiver must not see the sender go while the demo runs.
        std::future::pending::<()>().await;
    });
    let summary = demo::run(args.duration.get(), show, output::line, stopped).await?;
    output::line(&format!("\n{summary}"));
    Ok(Exit::Ok)
}
