//! How much of the fleet a sample speaks of. Few instances that report high load are a reason for
//! more; few that report none are no reason for fewer.

use crate::model::{Coverage, Measured, Reason, SignalName, Situation};

/// Why `sample` says too little about the fleet, if so.
pub(super) fn partial(
    signal: &SignalName,
    sample: &Measured,
    situation: &Situation<'_>,
) -> Option<Reason> {
    let min_coverage = match situation.fleet.signals.get(signal)?.coverage {
        Coverage::AtLeast(share) => share,
        Coverage::Auto(share) => is_per_instance(signal, situation).then_some(share)?,
    };
    let in_service = sample.in_service.filter(|count| *count > 0)?;
    // How many report could not be found out: as good as none.
    let reporting = sample.reporting.unwrap_or(0);
    let coverage = f64::from(reporting) / f64::from(in_service);
    (coverage < min_coverage).then(|| Reason::Partial {
        signal: signal.clone(),
        reporting,
        in_service,
        min_coverage,
    })
}

/// A total of which a part is missing, with the share of those that do not report added: they are
/// taken to carry what the others carry.
pub(super) fn completed(signal: &SignalName, sample: &Measured, situation: &Situation<'_>) -> f64 {
    match (sample.reporting, sample.in_service) {
        (Some(reporting), Some(in_service))
            if reporting > 0 && reporting < in_service && is_per_instance(signal, situation) =>
        {
            sample.value * f64::from(in_service) / f64::from(reporting)
        }
        _ => sample.value,
    }
}

pub(super) fn is_per_instance(signal: &SignalName, situation: &Situation<'_>) -> bool {
    let memory = situation.past.signals.get(signal);
    memory.is_some_and(|memory| memory.is_per_instance(situation.now))
}
