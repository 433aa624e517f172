//! What was learned, in the place of what the operator left out. Pure.

use std::time::Duration;

use super::{Account, Fleet, History, RuleKind, Span};

/// Three times the 95th percentile: an instance that takes longer is not slow but stuck.
const BOOT_FACTOR: f64 = 3.0;
/// Learned boot time-outs stay within these: shorter ones would fail instances over a hiccup of the
/// provider, longer ones gain nothing over the default.
const BOOT_LEAST: Duration = Duration::from_secs(2 * 60);
const BOOT_MOST: Duration = Duration::from_secs(10 * 60);
/// Learned cool-downs stay within these.
const COOLDOWN_LEAST: Duration = Duration::from_secs(60);
const COOLDOWN_MOST: Duration = Duration::from_secs(10 * 60);
/// What all but the slowest few reach.
const MOST_OF_THEM: f64 = 0.95;

impl Fleet {
    /// This fleet with learned values where the operator gave none.
    #[must_use]
    pub fn tuned(&self, account: &Account, history: &History) -> Fleet {
        let mut fleet = self.clone();
        let boot = account.boot_quantile(&self.launch.instance_types, MOST_OF_THEM);
        if let Some(boot) = boot.filter(|_| self.boot_timeout.learned) {
            fleet.boot_timeout.span = within(boot * BOOT_FACTOR, BOOT_LEAST, BOOT_MOST);
        }
        for rule in &mut fleet.rules {
            let RuleKind::Threshold(rule) = &mut rule.kind;
            let lag = history.signals.get(&rule.signal).and_then(|s| s.lag.quantile(MOST_OF_THEM));
            if let (true, Some(boot), Some(lag)) = (rule.cooldown.learned_out, boot, lag) {
                // From the launch until its effect can be seen in the signal.
                let seen = boot + self.warmup.get().as_secs_f64() + lag;
                rule.cooldown.out = within(seen, COOLDOWN_LEAST, COOLDOWN_MOST);
            }
        }
        fleet
    }
}

fn within(secs: f64, least: Duration, most: Duration) -> Span {
    let span = Duration::try_from_secs_f64(secs).unwrap_or(most).clamp(least, most);
    Span::secs(span.as_secs())
}
