//! Instructions: read them, give them, withdraw them. What is said here is recorded as what the commands say.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use cloud::clock;
use uuid::Uuid;

use super::error::{ErrorView, Refusal};
use super::holds::Author;
use super::shape::{InstructionView, InstructionsView, NewInstruction};
use super::{Api, Query};
use crate::model::{
    FleetId, HOLD_TIMES, INSTRUCTIONS_KEPT, Instructed, Instruction, OperatorEvent, Span,
    instance_id, vswitch_id,
};

/// The form of a new instruction.
const FORM: &str =
    r#"write {"kind":"protect","instance":"i-…","for_secs":7200,"author":"mei","reason":"…"}"#;

/// The instructions that concern a fleet.
#[utoipa::path(
    get, path = "/v1/fleets/{fleet}/instructions", tag = "instructions",
    params(("fleet", description = "Its name")),
    responses((status = 200, body = InstructionsView), (status = 404, body = ErrorView),
        (status = 503, body = ErrorView))
)]
pub(super) async fn of_fleet(
    State(api): State<Arc<Api>>,
    Path(fleet): Path<String>,
) -> Result<Json<InstructionsView>, Refusal> {
    let instructions = api.world.journal.instructions(&api.fleet(&fleet)?.fleet.id)?;
    Ok(Json(InstructionsView::of(&instructions)))
}

/// All instructions that are in force.
#[utoipa::path(
    get, path = "/v1/instructions", tag = "instructions",
    responses((status = 200, body = InstructionsView), (status = 503, body = ErrorView))
)]
pub(super) async fn list(State(api): State<Arc<Api>>) -> Result<Json<InstructionsView>, Refusal> {
    Ok(Json(InstructionsView::of(&in_force(&api).await?)))
}

async fn in_force(api: &Api) -> Result<Vec<Instruction>, Refusal> {
    let now = api.world.clock.now();
    let orders = api.world.journal.reader().orders().await?;
    Ok(orders.instructions.into_iter().filter(|one| now < one.until).collect())
}

/// Gives an instruction.
#[utoipa::path(
    post, path = "/v1/instructions", tag = "instructions", request_body = NewInstruction,
    responses(
        (status = 201, body = InstructionView), (status = 400, body = ErrorView),
        (status = 401, body = ErrorView), (status = 403, body = ErrorView),
        (status = 404, body = ErrorView), (status = 409, body = ErrorView),
        (status = 503, body = ErrorView)
    )
)]
pub(super) async fn place(
    State(api): State<Arc<Api>>,
    body: Bytes,
) -> Result<(StatusCode, Json<InstructionView>), Refusal> {
    let asked: NewInstruction = serde_json::from_slice(&body).map_err(|error| {
        Refusal::bad_request(format!("the body is no instruction: {error}"), FORM)
    })?;
    let fleet = match &asked.fleet {
        Some(name) => Some(api.fleet(name)?.fleet.id.clone()),
        None => None,
    };
    let what = instructed(&asked)?;
    let said = Said { author: asked.author, reason: asked.reason, for_secs: asked.for_secs };
    give(&api, fleet, what, said, FORM).await
}

/// The part that every instruction has.
pub(super) struct Said {
    pub(super) author: String,
    pub(super) reason: String,
    pub(super) for_secs: u64,
}

/// Records an instruction; `form` is how its body is written.
pub(super) async fn give(
    api: &Api,
    fleet: Option<FleetId>,
    what: Instructed,
    said: Said,
    form: &str,
) -> Result<(StatusCode, Json<InstructionView>), Refusal> {
    let span = Span::secs(said.for_secs);
    if !HOLD_TIMES.contains(&span) {
        return Err(Refusal::bad_request("`for_secs` is out of its range", "write 60 to 2592000"));
    }
    let now = api.world.clock.now();
    let instruction = Instruction {
        id: Uuid::new_v4(),
        fleet,
        what,
        author: said.author,
        reason: said.reason,
        placed: now,
        until: clock::after(now, span.get()),
    };
    let instruction = instruction.in_lines();
    if instruction.author.trim().is_empty() || instruction.reason.trim().is_empty() {
        return Err(Refusal::bad_request("`author` or `reason` is empty", form));
    }
    let is_word = |one: &&Instruction| !one.what.is_report();
    let words = in_force(api).await?.iter().filter(is_word).count();
    if words >= INSTRUCTIONS_KEPT && !instruction.what.is_report() {
        let message = format!("{INSTRUCTIONS_KEPT} instructions are in force, which is the most");
        let hint = "GET /v1/instructions lists them, and DELETE ends one";
        return Err(Refusal::new(StatusCode::CONFLICT, "too_many_instructions", message, hint));
    }
    let event = OperatorEvent::Instructed { at: now, instruction: instruction.clone() };
    api.world.journal.say(&event).await?;
    // A report waits for the next tick, as the verdict of a check does: programs may send many.
    if !instruction.what.is_report() {
        nudge(api, &instruction);
    }
    Ok((StatusCode::CREATED, Json(InstructionView::from(&instruction))))
}

/// The thing that is asked for, if the fields of its kind are there and no others.
fn instructed(asked: &NewInstruction) -> Result<Instructed, Refusal> {
    let NewInstruction { fleet, min, max, instance, vswitch, .. } = asked;
    let is_size = min.is_some() || max.is_some();
    let id = || {
        let hint = "write \"instance\": \"i-…\", and neither `min`, `max` nor `vswitch`";
        let id = instance.as_ref().filter(|_| !is_size && vswitch.is_none());
        let id = id.ok_or_else(|| Refusal::bad_request("`instance` is not there alone", hint))?;
        instance_id(id).map_err(|error| Refusal::bad_request(error.to_string(), hint))
    };
    match asked.kind.as_str() {
        "size" => {
            let fits = min.zip(*max).is_none_or(|(min, max)| min <= max);
            if fleet.is_none() || !is_size || !fits || instance.is_some() || vswitch.is_some() {
                let hint =
                    "write `fleet`, and `min`, `max` or both, the first not above the second";
                return Err(Refusal::bad_request("that is no size for a fleet", hint));
            }
            Ok(Instructed::Size { min: *min, max: *max })
        }
        "protect" => Ok(Instructed::Protect { instance: id()? }),
        "standby" => Ok(Instructed::Standby { instance: id()? }),
        "return" => Ok(Instructed::Return { instance: id()? }),
        "replace" => Ok(Instructed::Replace { instance: id()? }),
        "report_healthy" => Ok(Instructed::ReportHealthy { instance: id()? }),
        "report_unhealthy" => Ok(Instructed::ReportUnhealthy { instance: id()? }),
        "evacuate" => {
            let hint = "write \"vswitch\": \"vsw-…\", and neither `min`, `max` nor `instance`";
            let id = vswitch.as_ref().filter(|_| !is_size && instance.is_none());
            let id =
                id.ok_or_else(|| Refusal::bad_request("`vswitch` is not there alone", hint))?;
            let vswitch = vswitch_id(id);
            let vswitch = vswitch.map_err(|error| Refusal::bad_request(error.to_string(), hint))?;
            Ok(Instructed::Evacuate { vswitch })
        }
        "refresh" => {
            if fleet.is_none() || is_size || instance.is_some() || vswitch.is_some() {
                let hint = "write `fleet`, and neither `min`, `max`, `instance` nor `vswitch`";
                return Err(Refusal::bad_request("`fleet` is not there alone", hint));
            }
            Ok(Instructed::Refresh)
        }
        _ => {
            let hint = "write \"size\", \"protect\", \"standby\", \"return\", \"replace\", \"evacuate\", \
                        \"refresh\", \"report_healthy\" or \"report_unhealthy\"";
            Err(Refusal::bad_request("`kind` is no kind of instructions", hint))
        }
    }
}

/// Withdraws an instruction.
#[utoipa::path(
    delete, path = "/v1/instructions/{id}", tag = "instructions",
    params(("id" = Uuid, description = "The instruction's"), Author),
    responses(
        (status = 200, body = InstructionView), (status = 400, body = ErrorView),
        (status = 401, body = ErrorView), (status = 403, body = ErrorView),
        (status = 404, body = ErrorView), (status = 503, body = ErrorView)
    )
)]
pub(super) async fn withdraw(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Query(author): Query<Author>,
) -> Result<Json<InstructionView>, Refusal> {
    let author = author.named()?;
    let meant = in_force(&api).await?.into_iter().find(|one| one.id.to_string() == id);
    let Some(one) = meant else {
        let message = "no such instruction is in force";
        let hint = "GET /v1/instructions lists those that are";
        return Err(Refusal::new(StatusCode::NOT_FOUND, "unknown_instruction", message, hint));
    };
    let at = api.world.clock.now();
    let event = OperatorEvent::Withdrawn { at, id: one.id, author, instruction: Some(one.clone()) };
    api.world.journal.say(&event).await?;
    nudge(&api, &one);
    Ok(Json(InstructionView::from(&one)))
}

/// Lets the fleets that it may concern tick now.
fn nudge(api: &Api, one: &Instruction) {
    let fleets = api.world.fleets.all();
    let meant = fleets
        .iter()
        .filter(|member| one.fleet.as_ref().is_none_or(|fleet| *fleet == member.fleet.id));
    meant.for_each(|member| member.nudge.notify_one());
}
