//! Learned figures, in the place of those that the operator left out. Pure.

use std::time::Duration;

use super::{Account, Estimate, Fleet, History, RuleKind, Span, Threshold};

/// Three times the 95th percentile: an instance that takes longer is not slow but stuck.
const BOOT_FACTOR: f64 = 3.0;
/// Learned boot time-outs stay within these: shorter ones would fail instances over a hiccup of the
/// provider, longer ones gain nothing over the default.
const BOOT_LEAST: Duration = Duration::from_secs(5 * 60);
const BOOT_MOST: Duration = Duration::from_secs(10 * 60);
/// A boot that timed out takes at least so long: the next one gets twice that, once more than the
/// default. What needs longer still is for the operator to say.
const AFTER_TIMEOUT: f64 = 2.0;
const BOOT_SLOWEST: Duration = Duration::from_secs(20 * 60);
/// Learned cool-downs stay within these.
const COOLDOWN_LEAST: Duration = Duration::from_secs(60);
const COOLDOWN_MOST: Duration = Duration::from_secs(10 * 60);
/// The figure that all but the slowest few reach.
const MOST_OF_THEM: f64 = 0.95;

impl Fleet {
    /// This fleet with learned values where the operator gave none.
    #[must_use]
    pub fn tuned(&self, account: &Account, history: &History) -> Fleet {
        let mut fleet = self.clone();
        if self.boot_timeout.learned {
            let types = self.launch.instance_types.iter();
            fleet.boot_timeouts =
                types.map(|kind| (kind.clone(), self.boot_timeout_of(account, kind))).collect();
            // For instances of types that are not configured any more, and for people.
            let longest = fleet.boot_timeouts.values().max();
            fleet.boot_timeout.span = longest.copied().unwrap_or(self.boot_timeout.span);
        }
        let boot = account.boot_quantile(&self.launch.instance_types, MOST_OF_THEM);
        for rule in fleet.all_rules_mut() {
            match &mut rule.kind {
                RuleKind::Threshold(rule) => self.tune_cooldown(rule, boot, history),
                RuleKind::Adaptive(rule) => self.tune_boot(&mut rule.boot, boot),
                RuleKind::Target(_)
                | RuleKind::Step(_)
                | RuleKind::Queue(_)
                | RuleKind::External(_)
                | RuleKind::Schedule(_)
                | RuleKind::Fixed(_) => {}
            }
        }
        fleet
    }

    /// The learned boot time-out of one type; the default while its boots are not known.
    fn boot_timeout_of(&self, account: &Account, instance_type: &str) -> Span {
        let types = [instance_type.to_owned()];
        let known = account.boot_quantile(&types, MOST_OF_THEM);
        let learned = known.map_or(self.boot_timeout.span, |boot| {
            within(boot * BOOT_FACTOR, BOOT_LEAST, BOOT_MOST)
        });
        let slow = account
            .boot_at_least(instance_type)
            .map(|at_least| within(at_least * AFTER_TIMEOUT, BOOT_LEAST, BOOT_SLOWEST));
        slow.map_or(learned, |slow| slow.max(learned))
    }

    fn tune_cooldown(&self, rule: &mut Threshold, boot: Option<f64>, history: &History) {
        let lag = history.signals.get(&rule.signal).and_then(|s| s.lag.quantile(MOST_OF_THEM));
        if let (true, Some(boot), Some(lag)) = (rule.cooldown.learned_out, boot, lag) {
            // From the launch until its effect can be seen in the signal.
            let seen = boot + self.warmup.get().as_secs_f64() + lag;
            rule.cooldown.out = within(seen, COOLDOWN_LEAST, COOLDOWN_MOST);
        }
    }

    fn tune_boot(&self, estimate: &mut Estimate, boot: Option<f64>) {
        if let Some(boot) = boot.filter(|_| estimate.learned) {
            let serves = boot + self.warmup.get().as_secs_f64();
            // In whole steps of the rule, which would begin anew with each second's difference.
            let whole = (serves / BOOT_STEP_SECS).ceil() * BOOT_STEP_SECS;
            estimate.span = within(whole, Duration::ZERO, BOOT_LONGEST);
        }
    }
}

/// The step of the adaptive rule.
const BOOT_STEP_SECS: f64 = 15.0;
/// No fleet can follow its load with instances that boot longer.
const BOOT_LONGEST: Duration = Duration::from_secs(20 * 60);

fn within(secs: f64, least: Duration, most: Duration) -> Span {
    let span = Duration::try_from_secs_f64(secs).unwrap_or(most).clamp(least, most);
    Span::secs(span.as_secs())
}
