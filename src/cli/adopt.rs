//! `fleetscaler adopt`: an operator's word that a fleet takes instances over, recorded beside the
//! daemon.
//!
//! Like a hold it is an entry of the journal and an input to the next tick of the fleet, which carries
//! it out and records what it took over.

use anyhow::{Context, bail};
use cloud::{Clock, InstanceId, SystemClock};
use uuid::Uuid;

use super::args::AdoptArgs;
use super::hold::{author, fleet_of, refuse_memory, soon};
use super::{Exit, output};
use crate::journal::say;
use crate::model::{Adoption, OperatorEvent};

pub(super) async fn run(args: AdoptArgs) -> anyhow::Result<Exit> {
    let config = match output::load_for_command(&args.config, "adopt") {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let fleet = match fleet_of(&config, &args.fleet) {
        Ok(fleet) => fleet,
        Err(exit) => return Ok(exit),
    };
    if let Some(id) = args.ids.iter().find(|id| !id.starts_with("i-")) {
        bail!("`{id}` is no instance: ids begin with `i-`");
    }
    refuse_memory(&config.daemon.state)?;
    let adoption = Adoption {
        id: Uuid::new_v4(),
        fleet,
        ids: args.ids.into_iter().map(InstanceId).collect(),
        author: author(args.author),
        reason: args.reason,
        asked: SystemClock.now(),
    };
    let event = OperatorEvent::Asked { adoption: adoption.clone() };
    say(&config.daemon.state, &event).await.context("the wish is not recorded")?;
    let Adoption { fleet, ids, .. } = &adoption;
    let what = match ids.len() {
        0 => "every instance that carries its tags".to_owned(),
        _ => ids.iter().map(|id| id.0.as_str()).collect::<Vec<_>>().join(", "),
    };
    output::line(&format!("fleet `{fleet}` is to take over {what}"));
    output::line(&format!("its next tick does so: {}", soon(&config)));
    output::line("see what it took over with:");
    output::line(&format!(
        "  fleetscaler journal --config {} --fleet {fleet} --kind adoption",
        args.config.display()
    ));
    Ok(Exit::Ok)
}
