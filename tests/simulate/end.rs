//! What must be so when nothing has gone wrong for a while.

use std::collections::BTreeSet;

use fleetscaler::journal::store::{Query, Store};
use fleetscaler::journal::{Reader, codec};
use fleetscaler::model::{Event, History, Phase};
use fleetscaler::{plan, policy};
use futures::executor::block_on;

use crate::driver::Driver;
use crate::truth;

fn history(driver: &Driver, fleet: usize) -> Result<History, String> {
    let reader = Reader::over(driver.outside.memory.clone());
    block_on(reader.history(&truth::name(fleet).as_str().into())).map_err(|e| e.to_string())
}

/// Why a fleet is not at rest, if so: its size does not fit its load, or something is under way.
pub(crate) fn restless(driver: &Driver) -> Option<String> {
    (0..driver.fleet_count()).find_map(|fleet| restless_fleet(driver, fleet))
}

fn restless_fleet(driver: &Driver, fleet: usize) -> Option<String> {
    let shape = &driver.shape().fleets[fleet];
    let views = driver.outside.emulator.instances();
    let counts = |view: &&ecs_emulator::InstanceView| {
        view.status != "Gone" && (truth::is_of(view, fleet) || truth::is_base(view, fleet))
    };
    let exist: Vec<_> = views.iter().filter(counts).collect();
    let running = exist.iter().filter(|view| view.status == "Running").count();
    let stopped = exist.iter().filter(|view| view.status == "Stopped").count();
    let name = truth::name(fleet);
    if running + stopped != exist.len() {
        return Some(format!("{name}: {} of {} are under way", exist.len() - running, exist.len()));
    }
    let size = u32::try_from(running).expect("few");
    let stopped = u32::try_from(stopped).expect("few");
    let load = driver.outside.truth.fleets()[fleet].load;
    let cpu = 100.0 * load / f64::from(size.max(1));
    // What somebody stopped counts against max until somebody sees to it.
    let full = size + stopped >= shape.max;
    if size < shape.min && !full {
        return Some(format!("{name}: {size} is below min = {}", shape.min));
    }
    if size > shape.max {
        return Some(format!("{name}: {size} is above max = {}", shape.max));
    }
    // A fleet of none has no signal.
    if cpu > 75.0 && !full && size > 0 {
        return Some(format!("{name}: {size} have {cpu:.0} % and there is room"));
    }
    if cpu < 30.0 && size > shape.min && size > base(driver, fleet) {
        return Some(format!("{name}: {size} have {cpu:.0} % and min = {}", shape.min));
    }
    match history(driver, fleet) {
        Err(error) => Some(error),
        Ok(history) if !history.open.is_empty() => {
            Some(format!("{name}: {} intents are open", history.open.len()))
        }
        Ok(_) => None,
    }
}

fn base(driver: &Driver, fleet: usize) -> u32 {
    let views = driver.outside.emulator.instances();
    let base = views.iter().filter(|v| v.status == "Running" && truth::is_base(v, fleet));
    u32::try_from(base.count()).expect("few")
}

/// Checks what the journal says against what exists, and that every decision can be repeated.
pub(crate) fn check(driver: &Driver) -> Result<(), String> {
    let views = driver.outside.emulator.instances();
    for fleet in 0..driver.fleet_count() {
        let name = truth::name(fleet);
        let history = history(driver, fleet)?;
        let exist: BTreeSet<&str> = views
            .iter()
            .filter(|view| view.status != "Gone" && truth::is_of(view, fleet))
            .map(|view| view.id.as_str())
            .collect();
        let known: BTreeSet<&str> = history.instances.keys().map(|id| id.0.as_str()).collect();
        let lost: Vec<_> = exist.difference(&known).collect();
        if !lost.is_empty() {
            return Err(format!("{name}: {lost:?} exist, and the journal does not know them"));
        }
        // One that is on its way out may be gone already.
        let leaving = |id: &&str| {
            history.instances.iter().any(|(known, tracked)| {
                known.0 == **id && matches!(tracked.phase, Phase::Terminating | Phase::Draining)
            })
        };
        let ghosts: Vec<_> = known.difference(&exist).filter(|id| !leaving(id)).collect();
        if !ghosts.is_empty() {
            return Err(format!("{name}: the journal believes in {ghosts:?}, which are gone"));
        }
        if let Some(view) = views.iter().find(|view| {
            exist.contains(view.id.as_str())
                && view.status == "Running"
                && history
                    .instances
                    .iter()
                    .any(|(id, tracked)| id.0 == view.id && tracked.phase != Phase::InService)
        }) {
            return Err(format!("{name}: {} runs and is not in service", view.id));
        }
    }
    let mistakes = driver.outside.emulator.violations();
    if !mistakes.is_empty() {
        return Err(format!("the emulator noted {mistakes:?}"));
    }
    replay(driver)
}

/// Every recorded decision, made again from its recorded inputs, is the same to the bit.
fn replay(driver: &Driver) -> Result<(), String> {
    let memory = &driver.outside.memory;
    let query = Query { kinds: vec!["decision".to_owned()], ..Query::default() };
    for record in block_on(memory.find(&query)).map_err(|error| error.to_string())? {
        let event = codec::event(record.v, &record.body).map_err(|error| error.to_string())?;
        let Event::Decided(decided) = event else { continue };
        let bytes = block_on(memory.inputs(decided.id.0)).map_err(|error| error.to_string())?;
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
