//! `fleetscaler accept-account`: an operator's word that a provider's key may be of another account,
//! recorded beside the daemon.
//!
//! The operator names the account. Nothing is asked of the cloud, so that no key that happens to lie
//! there is accepted unseen.

use anyhow::{Context, bail};
use cloud::{Clock, SystemClock};

use super::args::AcceptAccountArgs;
use super::hold::{author, refuse_memory, soon};
use super::{Exit, output};
use crate::config;
use crate::journal::say;
use crate::model::{AccountId, OperatorEvent};

pub(super) async fn run(args: AcceptAccountArgs) -> anyhow::Result<Exit> {
    let config = match output::load_for_command(&args.config, "accept-account") {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let provider = AccountId(args.provider);
    if !config.providers.contains(&provider) {
        let names = config.providers.iter().map(|provider| provider.0.as_str());
        let hint = config::hint(&provider.0, names, "there are");
        output::error(&format!("no provider is called `{provider}`: {hint}"));
        return Ok(Exit::Usage);
    }
    let account = args.account.trim().to_owned();
    if account.is_empty() || !account.chars().all(|c| c.is_ascii_digit()) {
        bail!("`{account}` is no account: ids are digits only, as the alert says them");
    }
    refuse_memory(&config.daemon.state)?;
    let event = OperatorEvent::AccountAccepted {
        at: SystemClock.now(),
        provider: provider.clone(),
        account: account.clone(),
        author: author(args.author),
        reason: args.reason,
    };
    say(&config.daemon.state, &event).await.context("the word is not recorded")?;
    output::line(&format!("the keys of provider `{provider}` may be of account {account} only"));
    output::line(&format!("it takes effect with the next tick: {}", soon(&config)));
    Ok(Exit::Ok)
}
