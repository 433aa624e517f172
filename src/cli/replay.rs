//! `fleetscaler replay`: a past decision is made once more, from what it was made from, and must
//! come out the same to the last bit.

mod difference;

use anyhow::{Context, bail};
use cloud::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::args::ReplayArgs;
use super::output::wrap;
use super::{Exit, output};
use crate::journal::{Reader, Recorded};
use crate::model::{Decided, FleetId, Inputs};
use crate::{plan, policy};

/// Fewer digits name several decisions of any longer journal.
const DIGITS_LEAST: usize = 4;
/// A decision that differs in more than this is another decision: the first ones tell it.
const DIFFERENCES_SHOWN: usize = 20;

pub(super) async fn run(args: ReplayArgs) -> anyhow::Result<Exit> {
    let config = match output::load_for_command(&args.config, "replay") {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let id = id(&args.decision)?;
    let reader = Reader::open(&config.daemon.state).await.context("the journal cannot be read")?;
    let recorded = reader.decision(&id).await;
    reader.close().await;
    let Some(Recorded { decided, inputs }) = recorded? else {
        bail!(
            "no decision {id} is recorded; `fleetscaler journal --kind decision` lists those that \
             are"
        );
    };
    let Some(inputs) = inputs else {
        bail!(
            "the inputs of decision {} of {} are past their retention of two days",
            decided.id,
            time(decided.at),
        );
    };
    describe(&decided, &inputs.fleet.id);
    Ok(compare(&decided, &inputs))
}

/// The digits of an id as it is written in full, as far as they go.
fn id(text: &str) -> anyhow::Result<String> {
    let digits: Vec<char> = text.chars().filter(|c| *c != '-').collect();
    let is_hex = digits.iter().all(char::is_ascii_hexdigit);
    // A UUID has 32.
    if !is_hex || !(DIGITS_LEAST..=32).contains(&digits.len()) {
        bail!(
            "`{text}` is no decision's id: give its {DIGITS_LEAST} first hexadecimal digits or \
             more, as `fleetscaler journal` shows them"
        );
    }
    let mut id = String::new();
    for (n, digit) in digits.into_iter().enumerate() {
        if [8, 12, 16, 20].contains(&n) {
            id.push('-');
        }
        id.push(digit.to_ascii_lowercase());
    }
    Ok(id)
}

fn describe(decided: &Decided, fleet: &FleetId) {
    let Decided { id, at, decision, plan } = decided;
    output::line(&format!("decision {id}"));
    output::line(&format!("of fleet `{fleet}` at {}", time(*at)));
    let row = |label: &str, text: &str| {
        for (n, line) in wrap(text, 67).iter().enumerate() {
            output::line(&format!("  {:<10} {line}", if n == 0 { label } else { "" }));
        }
    };
    row("decided", &decision.to_string());
    for action in &plan.actions {
        row("planned", &action.to_string());
    }
    for skipped in &plan.skipped {
        row("skipped", &skipped.to_string());
    }
    for shortfall in &plan.shortfalls {
        row("short", shortfall);
    }
}

/// Decides and plans once more, and says what came of it.
fn compare(decided: &Decided, inputs: &Inputs) -> Exit {
    let (decision, _) =
        policy::decide(&inputs.situation(&inputs.census()), inputs.history.memory.clone());
    let plan = plan::plan(inputs, &decision);
    let before = [text(&decided.decision), text(&decided.plan)];
    let after = [text(&decision), text(&plan)];
    if before == after {
        let mut hash = Sha256::new();
        after.iter().for_each(|text| hash.update(text));
        let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let [decision, plan] = after.map(|text| text.len());
        output::line(&format!("identical: decision {decision} bytes, plan {plan} bytes,"));
        output::line(&format!("  sha256 {hash}"));
        return Exit::Ok;
    }
    output::line("NOT identical: the inputs do not lead to what is recorded");
    let mut shown = Vec::new();
    for (part, (before, after)) in ["decision", "plan"].into_iter().zip(before.iter().zip(&after)) {
        shown.extend(difference::between(part, before, after));
    }
    for line in shown.iter().take(DIFFERENCES_SHOWN).flat_map(difference::Difference::lines) {
        output::line(&line);
    }
    if shown.len() > DIFFERENCES_SHOWN {
        output::line(&format!("  and {} more", shown.len() - DIFFERENCES_SHOWN));
    }
    output::line("either the record was changed, or this program decides otherwise than the");
    output::line("one that wrote it: replay it with that version");
    Exit::Failed
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("decisions and plans have text keys and finite numbers")
}

fn time(at: Timestamp) -> impl std::fmt::Display {
    at.format("%Y-%m-%d %H:%M:%SZ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_be_shortened_and_written_with_or_without_dashes() {
        assert_eq!(id("1A2b").expect("an id"), "1a2b");
        assert_eq!(id("1a2b3c4d5e").expect("an id"), "1a2b3c4d-5e");
        let whole = "1a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d";
        assert_eq!(id(whole).expect("an id"), whole);
        assert_eq!(id(&whole.replace('-', "")).expect("an id"), whole);
        for text in ["", "1a2", "web", "1a2g", &format!("{whole}0")] {
            assert!(id(text).is_err(), "{text}");
        }
    }
}
