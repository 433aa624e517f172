//! `fleetscaler hold`, `resume` and `holds`: an operator's word, recorded beside the daemon.
//!
//! A hold is an entry of the journal and an input to the next tick: it needs no daemon to hear it.

use anyhow::{Context, bail};
use cloud::text::one_line;
use cloud::{Clock, SystemClock, Timestamp, clock};
use uuid::Uuid;

use super::args::{AuthorArgs, HoldArgs, HoldsArgs, ResumeArgs, WhichArgs, config_flag};
use super::journal::short;
use super::output::wrap;
use super::{Exit, output};
use crate::api::shape::{HoldView, HoldsView};
use crate::config::{self, CommandConfig, StateUrl};
use crate::journal::{Reader, say};
use crate::model::{Direction, FleetId, Hold, OperatorEvent, Span};

pub(super) async fn place(args: HoldArgs) -> anyhow::Result<Exit> {
    let (config, fleet) = match given(&args.config, &args.which, "hold") {
        Ok(given) => given,
        Err(exit) => return Ok(exit),
    };
    let author = author(args.author);
    refuse_memory(&config.daemon.state)?;
    let now = SystemClock.now();
    let hold = Hold {
        id: Uuid::new_v4(),
        fleet,
        direction: match (args.scale_in, args.scale_out) {
            (true, _) => Some(Direction::In),
            (_, true) => Some(Direction::Out),
            _ => None,
        },
        author: one_line(&author),
        // It cannot look like another line, whatever is in it.
        reason: one_line(&args.reason),
        placed: now,
        until: clock::after(now, args.duration.get()),
    };
    let event = OperatorEvent::Held { at: now, hold: hold.clone() };
    say(&config.daemon.state, &event).await.context("the hold is not recorded")?;
    print(&hold, now);
    let which = match &hold.fleet {
        Some(fleet) => fleet.to_string(),
        None => "--all-fleets".to_owned(),
    };
    output::line(&format!("it takes effect with the next tick: {}", soon(&config)));
    output::line("lift it with:");
    let flag = config_flag(&args.config);
    output::line(&format!("  fleetscaler resume {which}{flag}"));
    Ok(Exit::Ok)
}

pub(super) async fn lift(args: ResumeArgs) -> anyhow::Result<Exit> {
    let (config, fleet) = match given(&args.config, &args.which, "resume") {
        Ok(given) => given,
        Err(exit) => return Ok(exit),
    };
    let author = author(args.author);
    refuse_memory(&config.daemon.state)?;
    let now = SystemClock.now();
    let holds = in_force(&config.daemon.state, now).await?;
    let (lifted, rest): (Vec<Hold>, Vec<Hold>) =
        holds.into_iter().partition(|hold| fleet.is_none() || hold.fleet == fleet);
    for hold in &lifted {
        let event = OperatorEvent::Lifted {
            at: now,
            id: hold.id,
            author: author.clone(),
            hold: Some(hold.clone()),
        };
        say(&config.daemon.state, &event).await.context("the hold is not lifted")?;
        output::line("lifted:");
        print(hold, now);
    }
    // Those of all fleets: they keep this one too.
    let general: Vec<&Hold> = rest.iter().filter(|hold| hold.fleet.is_none()).collect();
    if let (Some(fleet), false) = (&fleet, general.is_empty()) {
        output::line(&format!("fleet `{fleet}` is still held, with all others:"));
        general.iter().for_each(|hold| print(hold, now));
        output::line("--all-fleets lifts that, and every other hold");
        return Ok(Exit::Failed);
    }
    if lifted.is_empty() {
        output::line(&match fleet {
            Some(fleet) => format!("nobody holds fleet `{fleet}`"),
            None => "nobody holds any fleet".to_owned(),
        });
        return Ok(Exit::Ok);
    }
    output::line(&format!("it takes effect with the next tick: {}", soon(&config)));
    Ok(Exit::Ok)
}

pub(super) async fn list(args: HoldsArgs) -> anyhow::Result<Exit> {
    let config = match output::load_for_command(&args.config, "holds") {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    refuse_memory(&config.daemon.state)?;
    let now = SystemClock.now();
    let holds = in_force(&config.daemon.state, now).await?;
    if args.json {
        let view = HoldsView { holds: holds.iter().map(HoldView::from).collect() };
        output::line(&serde_json::to_string(&view).context("it cannot be written")?);
        return Ok(Exit::Ok);
    }
    if holds.is_empty() {
        output::line("nobody holds any fleet");
    }
    holds.iter().for_each(|hold| print(hold, now));
    Ok(Exit::Ok)
}

/// The configuration, and the fleet that is meant; `None`: all.
fn given(
    path: &std::path::Path,
    which: &WhichArgs,
    command: &str,
) -> Result<(CommandConfig, Option<FleetId>), Exit> {
    let config = output::load_for_command(path, command)?;
    let Some(name) = which.fleet() else { return Ok((config, None)) };
    let fleet = fleet_of(&config, name)?;
    Ok((config, Some(fleet)))
}

/// The fleet of that name.
pub(super) fn fleet_of(config: &CommandConfig, name: &str) -> Result<FleetId, Exit> {
    let fleet = FleetId(name.to_owned());
    if config.fleets.contains(&fleet) {
        return Ok(fleet);
    }
    let names = config.fleets.iter().map(|fleet| fleet.0.as_str());
    let hint = config::hint(name, names, "there are");
    output::error(&format!("no fleet is called `{name}`: {hint}"));
    Err(Exit::Usage)
}

/// The speaker: the person behind `sudo`, rather than root; where no name is known, the user's number.
pub(super) fn author(args: AuthorArgs) -> String {
    let of = |name| std::env::var(name).ok();
    let author = args.author.or_else(|| of("SUDO_USER")).or_else(|| of("USER"));
    let author = author.filter(|author| !author.trim().is_empty());
    author.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}

pub(super) fn refuse_memory(state: &StateUrl) -> anyhow::Result<()> {
    if *state == StateUrl::Memory {
        bail!(
            "`state = \"memory:\"` keeps nothing: the daemon would not hear of it, and it would be \
             forgotten; name a file or a database as [daemon] state"
        );
    }
    Ok(())
}

async fn in_force(state: &StateUrl, now: Timestamp) -> anyhow::Result<Vec<Hold>> {
    let reader = Reader::open(state).await.context("the journal cannot be read")?;
    let orders = reader.orders().await;
    reader.close().await;
    Ok(orders?.holds.into_iter().filter(|hold| now < hold.until).collect())
}

/// When the next tick is.
pub(super) fn soon(config: &CommandConfig) -> String {
    format!("within {}, if the daemon runs", config.interval)
}

fn print(hold: &Hold, now: Timestamp) {
    let whose = match &hold.fleet {
        Some(fleet) => format!("fleet `{fleet}`"),
        None => "all fleets".to_owned(),
    };
    let what = hold.direction.map_or_else(|| "scaling".to_owned(), |d| d.to_string());
    let minutes = clock::age(hold.until, now).as_secs().div_ceil(60);
    output::line(&format!("{}  {whose}: {what} held by {}", short(hold.id), hold.author));
    output::line(&format!(
        "          until {}, for {}",
        hold.until.format("%Y-%m-%d %H:%M:%SZ"),
        Span::secs(minutes * 60),
    ));
    wrap(&hold.reason, 70).iter().for_each(|line| output::line(&format!("          {line}")));
}
