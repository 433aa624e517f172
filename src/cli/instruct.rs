//! `set`, `protect`, `standby`, `resume-instance`, `replace`, `evacuate`, `refresh`, `instructions` and `withdraw`: people's
//! instructions, recorded beside the daemon like holds.

pub(super) mod args;

use std::path::Path;

use anyhow::{Context, bail};
use cloud::text::one_line;
use cloud::{Clock, SystemClock, Timestamp, clock};
use uuid::Uuid;

use self::args::{
    EvacuateArgs, InstructionsArgs, ProtectArgs, RefreshArgs, ReplaceArgs, ResumeInstanceArgs,
    SetArgs, StandbyArgs, WithdrawArgs, WordArgs,
};
use super::args::config_flag;
use super::hold::{author, fleet_of, refuse_memory, soon};
use super::journal::short;
use super::output::wrap;
use super::{Exit, output};
use crate::api::shape::InstructionsView;
use crate::config::StateUrl;
use crate::journal::{Reader, say};
use crate::model::{
    INSTRUCTIONS_KEPT, Instructed, Instruction, OperatorEvent, Span, instance_id, vswitch_id,
};

/// A replacement waits for holds, stock and hourly limits for a day; after that somebody looks again.
const REPLACED_WITHIN: Span = Span::secs(24 * 3600);
/// What is done with the next tick is done within the hour, or nobody waits for it any more.
const DONE_WITHIN: Span = Span::secs(3600);

pub(super) async fn set(args: SetArgs) -> anyhow::Result<Exit> {
    let (min, max) = (args.size.or(args.min), args.size.or(args.max));
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        bail!("--min {min} is more than --max {max}");
    }
    place(args.word, Some(&args.fleet), Instructed::Size { min, max }, args.duration).await
}

pub(super) async fn protect(args: ProtectArgs) -> anyhow::Result<Exit> {
    let instance = instance_id(&args.instance)?;
    place(args.word, None, Instructed::Protect { instance }, args.duration).await
}

pub(super) async fn standby(args: StandbyArgs) -> anyhow::Result<Exit> {
    let instance = instance_id(&args.instance)?;
    place(args.word, None, Instructed::Standby { instance }, DONE_WITHIN).await
}

pub(super) async fn resume_instance(args: ResumeInstanceArgs) -> anyhow::Result<Exit> {
    let instance = instance_id(&args.instance)?;
    place(args.word, None, Instructed::Return { instance }, DONE_WITHIN).await
}

pub(super) async fn replace(args: ReplaceArgs) -> anyhow::Result<Exit> {
    let instance = instance_id(&args.instance)?;
    place(args.word, None, Instructed::Replace { instance }, REPLACED_WITHIN).await
}

pub(super) async fn evacuate(args: EvacuateArgs) -> anyhow::Result<Exit> {
    let vswitch = vswitch_id(&args.vswitch)?;
    place(args.word, args.fleet.as_deref(), Instructed::Evacuate { vswitch }, args.duration).await
}

pub(super) async fn refresh(args: RefreshArgs) -> anyhow::Result<Exit> {
    place(args.word, Some(&args.fleet), Instructed::Refresh, args.duration).await
}

async fn place(
    word: WordArgs,
    fleet: Option<&str>,
    what: Instructed,
    lasts: Span,
) -> anyhow::Result<Exit> {
    let config = match output::load_for_command(&word.config, what.name()) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let fleet = match fleet.map(|name| fleet_of(&config, name)).transpose() {
        Ok(fleet) => fleet,
        Err(exit) => return Ok(exit),
    };
    refuse_memory(&config.daemon.state)?;
    let now = SystemClock.now();
    let instruction = Instruction {
        id: Uuid::new_v4(),
        fleet,
        what,
        author: author(word.author),
        reason: word.reason,
        placed: now,
        until: clock::after(now, lasts.get()),
    };
    let instruction = instruction.in_lines();
    let known = in_force(&config.daemon.state, now).await?;
    if known.iter().filter(|one| !one.what.is_report()).count() >= INSTRUCTIONS_KEPT {
        bail!(
            "{INSTRUCTIONS_KEPT} instructions are in force, which is the most: `fleetscaler instructions` \
             lists them, `fleetscaler withdraw` ends one"
        );
    }
    let event = OperatorEvent::Instructed { at: now, instruction: instruction.clone() };
    say(&config.daemon.state, &event).await.context("the instruction is not recorded")?;
    print(&instruction, now);
    output::line(&format!("it takes effect with the next tick: {}", soon(&config)));
    output::line("withdraw it with:");
    let flag = config_flag(&word.config);
    output::line(&format!("  fleetscaler withdraw {}{flag}", short(instruction.id)));
    Ok(Exit::Ok)
}

pub(super) async fn list(args: InstructionsArgs) -> anyhow::Result<Exit> {
    let Some((state, now)) = state_of(&args.config, "instructions")? else {
        return Ok(Exit::Config);
    };
    let instructions = in_force(&state, now).await?;
    if args.json {
        let view = InstructionsView::of(&instructions);
        output::line(&serde_json::to_string(&view).context("it cannot be written")?);
        return Ok(Exit::Ok);
    }
    if instructions.is_empty() {
        output::line("no instruction is in force");
    }
    instructions.iter().for_each(|one| print(one, now));
    Ok(Exit::Ok)
}

pub(super) async fn withdraw(args: WithdrawArgs) -> anyhow::Result<Exit> {
    let Some((state, now)) = state_of(&args.config, "withdraw")? else { return Ok(Exit::Config) };
    let wanted = args.id.to_lowercase();
    if wanted.len() < 4 {
        bail!("give at least the first 4 digits of the id");
    }
    let instructions = in_force(&state, now).await?;
    let meant: Vec<&Instruction> =
        instructions.iter().filter(|one| one.id.to_string().starts_with(&wanted)).collect();
    let one = match meant.as_slice() {
        [one] => *one,
        [] => {
            let shown = one_line(&wanted);
            output::error(&format!(
                "no instruction in force begins with `{shown}`: fleetscaler instructions lists them"
            ));
            return Ok(Exit::Failed);
        }
        _ => bail!("several instructions begin with `{}`: give more digits", one_line(&wanted)),
    };
    let event = OperatorEvent::Withdrawn {
        at: now,
        id: one.id,
        author: author(args.author),
        instruction: Some(one.clone()),
    };
    say(&state, &event).await.context("the instruction is not withdrawn")?;
    output::line("withdrawn:");
    print(one, now);
    Ok(Exit::Ok)
}

/// The state of the configuration, where that can be read, and the time.
fn state_of(config: &Path, command: &str) -> anyhow::Result<Option<(StateUrl, Timestamp)>> {
    let Ok(config) = output::load_for_command(config, command) else { return Ok(None) };
    refuse_memory(&config.daemon.state)?;
    Ok(Some((config.daemon.state, SystemClock.now())))
}

async fn in_force(state: &StateUrl, now: Timestamp) -> anyhow::Result<Vec<Instruction>> {
    let reader = Reader::open(state).await.context("the journal cannot be read")?;
    let orders = reader.orders().await;
    reader.close().await;
    Ok(orders?.instructions.into_iter().filter(|one| now < one.until).collect())
}

fn print(one: &Instruction, now: Timestamp) {
    let whose = match &one.fleet {
        Some(fleet) => format!("fleet `{fleet}`: "),
        None => String::new(),
    };
    let minutes = clock::age(one.until, now).as_secs().div_ceil(60);
    output::line(&format!("{}  {whose}{}, by {}", short(one.id), one.what, one.author));
    output::line(&format!(
        "          until {}, for {}",
        one.until.format("%Y-%m-%d %H:%M:%SZ"),
        Span::secs(minutes * 60),
    ));
    wrap(&one.reason, 70).iter().for_each(|line| output::line(&format!("          {line}")));
}
