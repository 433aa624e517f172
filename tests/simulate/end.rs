//! The checks when nothing has gone wrong for a while.

use std::collections::BTreeSet;

use fleetscaler::journal::store::Query;
use fleetscaler::journal::{Reader, codec};
use fleetscaler::model::{Event, History, Phase};
use fleetscaler::{plan, policy};

use crate::check::{Known, Whose};
use crate::driver::Driver;

fn history(driver: &Driver, fleet: usize) -> Result<History, String> {
    let shape = &driver.outside.shape.fleets[fleet];
    let kept = &driver.outside.journals[shape.installation];
    let reader = Reader::over(kept.open());
    kept.wait(reader.history(&shape.name.as_str().into())).map_err(|error| error.to_string())
}

/// The fleets that are configured.
fn present(driver: &Driver) -> impl Iterator<Item = usize> {
    (0..driver.setups.len()).filter(|fleet| driver.setups[*fleet].present)
}

/// Why a fleet is not at rest, if so: its size does not fit its load, or something is under way.
pub(crate) fn restless(driver: &Driver) -> Option<String> {
    let known = driver.outside.checks.known();
    let known: Vec<&Known> = known.values().filter(|known| known.status != "Gone").collect();
    present(driver)
        .find_map(|fleet| restless_fleet(driver, fleet, &known))
        .or_else(|| replaced(driver))
        .or_else(|| stray(driver, &known))
}

/// Intents whose outcome is not known, at rest.
pub(crate) fn open(driver: &Driver) -> Option<String> {
    present(driver).find_map(|fleet| match history(driver, fleet) {
        Err(error) => Some(error),
        Ok(history) if !history.open.is_empty() => {
            Some(format!("fleet {fleet}: {} intents are open", history.open.len()))
        }
        Ok(_) => None,
    })
}

/// An instance that a person has replaced, on its way out.
fn replaced(driver: &Driver) -> Option<String> {
    let known = driver.outside.checks.known();
    let leaving = known.iter().find(|(key, known)| {
        let Whose::Fleet(fleet) = known.whose else { return false };
        let is_leaving = |history: &History| {
            let tracked = history.instances.get(&key.1.as_str().into());
            tracked.is_some_and(|tracked| tracked.phase == Phase::Draining)
        };
        known.status == "Running"
            && driver.outside.checks.is_replaced(key)
            && driver.setups[fleet].present
            && history(driver, fleet).is_ok_and(|history| is_leaving(&history))
    });
    leaving.map(|((_, id), _)| format!("{id} is replaced and drained"))
}

/// Instances of a fleet that is not configured any more, where they are to be deleted.
fn stray(driver: &Driver, known: &[&Known]) -> Option<String> {
    let shape = &driver.outside.shape;
    (0..driver.setups.len()).filter(|fleet| !driver.setups[*fleet].present).find_map(|fleet| {
        let of = &shape.fleets[fleet];
        let is_used = present(driver).any(|other| {
            let other = &shape.fleets[other];
            other.installation == of.installation && other.account == of.account
        });
        let left = known
            .iter()
            .any(|known| known.whose == Whose::Fleet(fleet) && known.touched_at.is_none());
        let deletes = shape.installations[of.installation].deletes_strays && is_used;
        (deletes && left).then(|| format!("strays of fleet {fleet} are left"))
    })
}

fn restless_fleet(driver: &Driver, fleet: usize, known: &[&Known]) -> Option<String> {
    let shape = &driver.setups[fleet];
    let ours = |known: &&&Known| known.whose == Whose::Fleet(fleet);
    let base = known.iter().filter(|known| known.whose == Whose::Base(fleet)).count();
    let exist: Vec<&&Known> = known.iter().filter(ours).collect();
    let running = exist.iter().filter(|known| known.status == "Running").count();
    let stopped = exist.iter().filter(|known| known.status == "Stopped").count();
    let name = format!("fleet {fleet}");
    if running + stopped != exist.len() {
        return Some(format!("{name}: {} of {} are under way", exist.len() - running, exist.len()));
    }
    let base = u32::try_from(base).expect("few");
    let size = u32::try_from(running).expect("few") + base;
    let stopped = u32::try_from(stopped).expect("few");
    let load = driver.outside.truth.fleets()[fleet].load;
    let cpu = 100.0 * load / f64::from(size.max(1));
    // An instance that somebody stopped counts against max until somebody sees to it.
    let full = size + stopped >= shape.max;
    if size < shape.min && !full {
        return Some(format!("{name}: {size} is below min = {}", shape.min));
    }
    if size > shape.max && running > 0 {
        return Some(format!("{name}: {size} is above max = {}", shape.max));
    }
    // A fleet of none has no signal.
    if cpu > 75.0 && !full && size > 0 {
        return Some(format!("{name}: {size} have {cpu:.0} % and there is room"));
    }
    if cpu < 30.0 && size > shape.min && size > base {
        return Some(format!("{name}: {size} have {cpu:.0} % and min = {}", shape.min));
    }
    None
}

/// Checks what the journal says against what exists, that nobody else's was touched, and that every
/// decision can be repeated.
pub(crate) fn check(driver: &Driver) -> Result<(), String> {
    for fleet in present(driver) {
        known_and_there(driver, fleet)?;
    }
    untouched(driver)?;
    for emulator in &driver.outside.emulators {
        let mistakes = emulator.violations();
        if !mistakes.is_empty() {
            return Err(format!("the emulator noted {mistakes:?}"));
        }
    }
    (0..driver.outside.journals.len()).try_for_each(|installation| replay(driver, installation))
}

/// The journal knows what exists, and nothing else.
fn known_and_there(driver: &Driver, fleet: usize) -> Result<(), String> {
    let name = format!("fleet {fleet}");
    let account = driver.outside.shape.fleets[fleet].account;
    let history = history(driver, fleet)?;
    let all = driver.outside.checks.known();
    let exist: BTreeSet<&str> = all
        .iter()
        .filter(|(key, known)| {
            key.0 == account && known.whose == Whose::Fleet(fleet) && known.status != "Gone"
        })
        .map(|(key, _)| key.1.as_str())
        .collect();
    let known: BTreeSet<&str> = history.instances.keys().map(|id| id.0.as_str()).collect();
    let lost: Vec<_> = exist.difference(&known).collect();
    if !lost.is_empty() {
        return Err(format!("{name}: {lost:?} exist, and the journal does not know them"));
    }
    // One that is on its way out may be gone already.
    let leaving = |id: &&str| {
        history.instances.iter().any(|(known, tracked)| {
            known.0 == **id && matches!(tracked.phase, Phase::Terminating | Phase::Stopping)
        })
    };
    let ghosts: Vec<_> = known.difference(&exist).filter(|id| !leaving(id)).collect();
    if !ghosts.is_empty() {
        return Err(format!("{name}: the journal believes in {ghosts:?}, which are not its own"));
    }
    let idle = history.instances.iter().find(|(id, tracked)| {
        let known = all.get(&(account, id.0.clone()));
        known.is_some_and(|known| known.status == "Running") && tracked.phase != Phase::InService
    });
    match idle {
        Some((id, _)) => Err(format!("{name}: {id} runs and is not in service")),
        None => Ok(()),
    }
}

/// Base instances and strangers are as they were.
fn untouched(driver: &Driver) -> Result<(), String> {
    let known = driver.outside.checks.known();
    for (account, emulator) in driver.outside.emulators.iter().enumerate() {
        for view in emulator.instances() {
            let Some(known) = known.get(&(account, view.id.clone())) else { continue };
            let is_ours = matches!(known.whose, Whose::Fleet(_));
            if !is_ours && view.tags != known.tags {
                return Err(format!("{} is not ours and was tagged: {:?}", view.id, view.tags));
            }
        }
    }
    Ok(())
}

/// Every recorded decision, made again from its recorded inputs, is the same to the bit.
fn replay(driver: &Driver, installation: usize) -> Result<(), String> {
    let kept = &driver.outside.journals[installation];
    let store = kept.open();
    let query = Query { kinds: vec!["decision".to_owned()], ..Query::default() };
    for record in kept.wait(store.find(&query)).map_err(|error| error.to_string())? {
        let event = codec::event(record.v, &record.body).map_err(|error| error.to_string())?;
        let Event::Decided(decided) = event else { continue };
        let bytes = kept.wait(store.inputs(decided.id.0)).map_err(|error| error.to_string())?;
        let bytes = bytes.ok_or_else(|| format!("decision {} has no inputs", decided.id))?;
        let inputs = codec::decode_inputs(&bytes).map_err(|error| error.to_string())?;
        let (decision, _) =
            policy::decide(&inputs.situation(&inputs.census()), inputs.history.memory.clone());
        let plan = plan::plan(&inputs, &decision);
        let text = |value: &dyn erased::Json| value.json();
        if text(&decision) != text(&decided.decision) || text(&plan) != text(&decided.plan) {
            return Err(format!("decision {} comes out differently when replayed", decided.id));
        }
    }
    Ok(())
}

mod erased {
    /// Anything that can be written as JSON.
    pub(super) trait Json {
        fn json(&self) -> String;
    }

    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> String {
            serde_json::to_string(self).expect("text keys and finite numbers")
        }
    }
}
