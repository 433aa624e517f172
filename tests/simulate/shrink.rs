//! Making a script that fails smaller: fewer happenings, fewer fleets and replicas, as long as it
//! still fails.

use crate::driver;
use crate::script::{Happening, Less, Script};

/// Runs at most: a smaller script is a convenience, not worth many minutes.
const RUNS: usize = 80;

/// The smallest script that was found, and how it fails.
pub(crate) fn shrink(script: Script) -> (Script, String) {
    let mut best = script;
    let mut wrong = match driver::run(&best, false) {
        Err(wrong) => wrong,
        Ok(_) => return (best, "not a second time: it depends on something else".to_owned()),
    };
    let mut runs = 0;
    let mut chunk = best.happenings.len().div_ceil(2).max(1);
    loop {
        let mut smaller = false;
        let mut from = 0;
        while from < best.happenings.len() && runs < RUNS {
            let mut happenings: Vec<Happening> = best.happenings.clone();
            let to = (from + chunk).min(happenings.len());
            happenings.drain(from..to);
            let candidate = Script { happenings, ..best.clone() };
            runs += 1;
            match driver::run(&candidate, false) {
                Err(how) => {
                    best = candidate;
                    wrong = how;
                    smaller = true;
                }
                Ok(_) => from = to,
            }
        }
        if runs >= RUNS || (chunk == 1 && !smaller) {
            break;
        }
        chunk = chunk.div_ceil(2).max(1);
    }
    for candidate in simpler(&best) {
        if let Err(how) = driver::run(&candidate, false) {
            best = candidate;
            wrong = how;
        }
    }
    (best, wrong)
}

/// The same with less around it.
fn simpler(script: &Script) -> Vec<Script> {
    let mut found = Vec::new();
    let uses = |fleet: usize| {
        script.happenings.iter().any(|h| h.what.fleets().iter().any(|f| *f >= fleet))
    };
    for keep in 1..script.shape.fleets.len() {
        if !uses(keep) {
            found.push(script.clone().with(&Less { fleets: Some(keep), ..Less::default() }));
            break;
        }
    }
    let without_lag = script.clone().with(&Less { no_lag: true, ..Less::default() });
    found.push(without_lag);
    found
}
