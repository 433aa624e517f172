//! The load on the service over the demo: calm, rise, plateau, fall, calm. Pure.

/// Load that one instance can just carry (CPU 100 %).
pub(super) const PER_INSTANCE: f64 = 100.0;

/// Points of the curve: share of the demo's time, load.
const CURVE: &[(f64, f64)] =
    &[(0.0, 95.0), (0.08, 95.0), (0.35, 560.0), (0.5, 560.0), (0.68, 75.0), (1.0, 50.0)];

/// The load when `part` (0 to 1) of the demo has passed.
pub(super) fn at(part: f64) -> f64 {
    let part = part.clamp(0.0, 1.0);
    let next = CURVE.iter().position(|(at, _)| *at > part).unwrap_or(CURVE.len() - 1).max(1);
    let ((from, low), (to, high)) = (CURVE[next - 1], CURVE[next]);
    let between = ((part - from) / (to - from)).clamp(0.0, 1.0);
    // A little unrest, the same in every run.
    let noise = 1.0 + 0.03 * (part * 97.0).sin() + 0.02 * (part * 211.0).sin();
    (low + (high - low) * between) * noise
}

/// The CPU of each of `serving` instances under `load`, in percent.
pub(super) fn cpu_percent(load: f64, serving: usize) -> f64 {
    if serving == 0 {
        return 0.0;
    }
    let instances = f64::from(u32::try_from(serving).unwrap_or(u32::MAX));
    (100.0 * load / (instances * PER_INSTANCE)).min(100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_rises_and_falls_again() {
        assert!(at(0.0) < 120.0 && at(0.45) > 500.0 && at(1.0) < 60.0);
        assert!(at(0.2) > at(0.05) && at(0.6) < at(0.5));
    }

    #[test]
    fn the_story_needs_more_than_the_minimum_and_less_than_the_maximum() {
        // Two instances are enough for the calm, eight carry the plateau below the bound.
        assert!(cpu_percent(at(0.0), 2) < 75.0);
        assert!(cpu_percent(at(0.45), 2) > 75.0);
        assert!(cpu_percent(at(0.45), 8) < 78.0);
        assert!(cpu_percent(at(0.9), 3) < 30.0);
    }
}
