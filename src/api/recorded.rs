//! A fleet as the journal last knew it, for when no daemon runs.

use std::sync::Arc;

use cloud::Timestamp;

use super::shape::{FleetView, InstructionsView, ReasonView, at};
use crate::control::{Newest, TickReport};
use crate::journal::{JournalError, Reader};
use crate::model::FleetId;
use crate::policy;

/// The fleet as its newest recorded decision saw it: at most ten minutes older than its last tick.
pub(crate) async fn recorded(
    reader: &Reader,
    fleet: &FleetId,
    now: Timestamp,
) -> Result<FleetView, JournalError> {
    let orders = reader.orders().await?;
    let holds = orders.holds_of(fleet, now);
    let instructions = InstructionsView::of(&orders.instructions_of(fleet, now)).instructions;
    let Some(decided) = reader.decisions(fleet, None, 1).await?.pop() else {
        let view = FleetView::of(fleet, &Newest::default(), None, &holds, now);
        return Ok(FleetView { instructions, ..view });
    };
    let inputs = match reader.inputs(decided.id).await {
        Err(JournalError::Unreadable { .. }) => None,
        inputs => inputs?,
    };
    let view = match inputs {
        Some(inputs) => {
            let remembered = inputs.history.memory.clone();
            let (_, memory) = policy::decide(&inputs.situation(&inputs.census()), remembered);
            let report =
                TickReport::new(inputs, decided.decision, &memory, decided.plan, Vec::new());
            let newest = Newest { report: Some(Arc::new(report)), ..Newest::default() };
            FleetView::of(fleet, &newest, None, &holds, now)
        }
        // Past its retention, only what was decided is left.
        None => FleetView {
            seen_at: Some(at(decided.at)),
            why: Some(decided.decision.to_string()),
            reasons: decided.decision.reasons.iter().map(ReasonView::from).collect(),
            ..FleetView::of(fleet, &Newest::default(), None, &holds, now)
        },
    };
    Ok(FleetView { acts: "recorded".to_owned(), instructions, ..view })
}
