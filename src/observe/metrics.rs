//! Every metric in one list. `docs/operating.md` has the same list for people; a test compares.
//!
//! No label carries an instance's id but an alert's `about`: what there is of it is bounded by what
//! a person has to see to.

mod list;

use std::collections::BTreeMap;
use std::fmt;

use cloud::{Timestamp, clock};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text};
use prometheus_client::registry::Registry;

use self::list::{List, NO_LABELS, Row};
use super::alerts::Whose;
use super::process::ProcessSeen;
use super::snapshot::{FleetSeen, Latest, Snapshot};
use crate::control::{Quantiles, What};
use crate::model::FleetId;

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut list = List(encoder);
        list.gauge(
            "fleetscaler_build_info",
            "The version of this daemon, always 1",
            [([("version", env!("CARGO_PKG_VERSION"))], 1.0)],
        )?;
        self.sizes(&mut list)?;
        self.costs(&mut list)?;
        self.shadow(&mut list)?;
        self.signals(&mut list)?;
        self.ticks(&mut list)?;
        self.alerts(&mut list)?;
        self.api(&mut list)?;
        self.journal(&mut list)?;
        self.learned(&mut list)?;
        self.audits(&mut list)?;
        self.messages(&mut list)?;
        self.process(&mut list)
    }
}

impl Snapshot {
    /// Fleets that this replica looks after, with what their newest tick saw.
    fn latest(&self) -> impl Iterator<Item = (&str, &Latest)> {
        self.fleets.iter().filter_map(|(id, fleet)| Some((id.0.as_str(), fleet.latest.as_ref()?)))
    }

    fn per_fleet(&self, value: impl Fn(&Latest) -> f64) -> impl Iterator<Item = Row<'_, 1>> {
        self.latest().map(move |(fleet, latest)| ([("fleet", fleet)], value(latest)))
    }

    fn counted(
        &self,
        value: impl Fn(&FleetId, &FleetSeen) -> f64,
    ) -> impl Iterator<Item = Row<'_, 1>> {
        self.fleets.iter().map(move |(id, fleet)| ([("fleet", id.0.as_str())], value(id, fleet)))
    }

    fn sizes(&self, list: &mut List<'_>) -> fmt::Result {
        let size = |pick: fn(&Latest) -> u32| self.per_fleet(move |l| f64::from(pick(l)));
        list.gauge(
            "fleetscaler_desired",
            "Instances that the fleet should have",
            size(|latest| latest.desired),
        )?;
        list.gauge(
            "fleetscaler_recommended_instances",
            "Instances that the rules want, before any limit",
            size(|latest| latest.recommended),
        )?;
        list.gauge(
            "fleetscaler_current",
            "Instances that serve or soon will",
            size(|latest| latest.current),
        )?;
        list.gauge(
            "fleetscaler_min",
            "The lower bound of the fleet",
            size(|latest| latest.bounds.min),
        )?;
        list.gauge(
            "fleetscaler_max",
            "The upper bound of the fleet",
            size(|latest| latest.bounds.max),
        )?;
        let phases = self.latest().flat_map(|(fleet, latest)| {
            let counts = &latest.counts;
            [
                ("requested", counts.requested),
                ("booting", counts.booting),
                ("warming", counts.warming),
                ("in_service", counts.in_service),
                ("draining", counts.draining),
                ("leaving", counts.leaving),
                ("standby", counts.standby),
                ("failed", counts.failed),
                ("unreachable", counts.unreachable),
            ]
            .map(|(phase, count)| ([("fleet", fleet), ("phase", phase)], f64::from(count)))
        });
        list.gauge("fleetscaler_instances", "Instances by what they are doing", phases)?;
        list.counter(
            "fleetscaler_launches",
            "Instances whose launch was accepted",
            self.counted(|_, fleet| fleet.launches as f64),
        )?;
        list.counter(
            "fleetscaler_removals",
            "Instances whose deletion was accepted",
            self.counted(|_, fleet| fleet.removals as f64),
        )
    }

    /// Fleets of whose types no price is known have no row.
    fn costs(&self, list: &mut List<'_>) -> fmt::Result {
        let costs = self.costs.iter().map(|(fleet, cost)| {
            let labels = [("fleet", fleet.0.as_str()), ("currency", cost.currency.as_str())];
            (labels, cost.amount)
        });
        list.gauge(
            "fleetscaler_cost_per_hour",
            "What the fleet's instances cost in an hour, at pay-as-you-go prices",
            costs,
        )
    }

    /// Fleets without shadow rules have no row.
    fn shadow(&self, list: &mut List<'_>) -> fmt::Result {
        let wants = self
            .latest()
            .filter_map(|(fleet, latest)| Some(([("fleet", fleet)], f64::from(latest.shadow?))));
        list.gauge(
            "fleetscaler_shadow_desired_instances",
            "Instances that the shadow rules want",
            wants,
        )?;
        let differs = self.fleets.iter().filter_map(|(id, fleet)| {
            Some(([("fleet", id.0.as_str())], fleet.shadow_differs? as f64))
        });
        list.counter(
            "fleetscaler_shadow_differing_ticks",
            "Ticks in which the shadow rules wanted another size than the live ones",
            differs,
        )
    }

    fn signals(&self, list: &mut List<'_>) -> fmt::Result {
        let all = || {
            self.latest().flat_map(|(fleet, latest)| {
                let of = latest.signals.iter();
                of.map(move |(name, sample)| {
                    ([("fleet", fleet), ("signal", name.0.as_str())], latest, sample)
                })
            })
        };
        list.gauge(
            "fleetscaler_signal_value",
            "The value of the signal; absent while it is missing",
            all().filter_map(|(labels, _, sample)| Some((labels, sample.as_ref()?.value))),
        )?;
        list.gauge(
            "fleetscaler_signal_age_seconds",
            "How old that value is",
            all().filter_map(|(labels, latest, sample)| {
                let age = clock::age(self.now, latest.at) + sample.as_ref()?.age.get();
                Some((labels, age.as_secs_f64()))
            }),
        )?;
        list.gauge(
            "fleetscaler_signal_missing",
            "1 while the signal cannot be read",
            all().map(|(labels, _, sample)| (labels, f64::from(u8::from(sample.is_none())))),
        )
    }

    fn ticks(&self, list: &mut List<'_>) -> fmt::Result {
        let outcomes = self.fleets.iter().flat_map(|(id, fleet)| {
            let ticks = fleet.ticks.iter();
            ticks.map(|(outcome, n)| ([("fleet", id.0.as_str()), ("outcome", outcome)], *n as f64))
        });
        list.counter("fleetscaler_ticks", "Ticks by what came of them", outcomes)?;
        list.histograms(
            "fleetscaler_tick_duration_seconds",
            "How long ticks take",
            self.fleets.iter().map(|(id, fleet)| ([("fleet", id.0.as_str())], &fleet.took)),
        )?;
        list.counter(
            "fleetscaler_overruns",
            "Ticks of any fleet that took longer than its interval",
            [(NO_LABELS, self.overruns as f64)],
        )?;
        list.gauge(
            "fleetscaler_last_tick_timestamp_seconds",
            "When the newest tick that succeeded began; before the first: when the daemon did",
            self.fleets.iter().filter_map(|(id, fleet)| {
                let newest = fleet.latest.as_ref().map(|latest| latest.at);
                let at = newest.or(self.mine.contains(id).then_some(self.began))?;
                Some(([("fleet", id.0.as_str())], unix(at)))
            }),
        )?;
        list.gauge(
            "fleetscaler_listing_age_seconds",
            "How old the listing of instances is",
            self.per_fleet(|latest| clock::age(self.now, latest.listed_at).as_secs_f64()),
        )?;
        list.gauge(
            "fleetscaler_listing_age_allowed_seconds",
            "How old it may be, by the size of the account and the rate limit",
            self.accounts.iter().filter_map(|(id, account)| {
                let secs = account.listing_may_be?.as_secs_f64();
                Some(([("account", id.0.as_str())], secs))
            }),
        )?;
        let blocked = self.fleets.iter().flat_map(|(id, fleet)| {
            let blocked = fleet.blocked.iter();
            blocked.map(|(reason, n)| ([("fleet", id.0.as_str()), ("reason", reason)], *n as f64))
        });
        list.counter(
            "fleetscaler_decisions_blocked",
            "Ticks that were kept from what was recommended, by the kind of reason",
            blocked,
        )?;
        list.gauge(
            "fleetscaler_held",
            "1 while this replica acts for the fleet",
            self.counted(|id, _| f64::from(u8::from(self.mine.contains(id)))),
        )
    }

    fn alerts(&self, list: &mut List<'_>) -> fmt::Result {
        let alerts = self.alerts.iter().map(|(whose, key)| {
            let (fleet, account) = match whose {
                Whose::Daemon => ("", ""),
                Whose::Account(account) => ("", account.0.as_str()),
                Whose::Fleet(fleet) => (fleet.0.as_str(), ""),
            };
            let (code, about) = (key.code.name(), key.about.as_str());
            ([("fleet", fleet), ("account", account), ("code", code), ("about", about)], 1.0)
        });
        list.gauge("fleetscaler_alert", "1 while the alert is on", alerts)
    }

    fn api(&self, list: &mut List<'_>) -> fmt::Result {
        let calls = self.accounts.iter().flat_map(|(id, account)| {
            account.calls.iter().map(|(action, class, n)| {
                let account = id.0.as_str();
                ([("account", account), ("action", action), ("class", class)], *n as f64)
            })
        });
        list.counter(
            "fleetscaler_api_calls",
            "Calls that were sent, by outcome: ok or the class of the error",
            calls,
        )?;
        let metric_calls = |value: fn(cloud::FreeCalls) -> u64| {
            self.accounts.iter().filter_map(move |(id, account)| {
                Some(([("account", id.0.as_str())], value(account.metric_calls?) as f64))
            })
        };
        list.gauge(
            "fleetscaler_metric_calls_month",
            "Calls to the provider's monitoring in this calendar month, by this process",
            metric_calls(|calls| calls.used),
        )?;
        list.gauge(
            "fleetscaler_metric_calls_month_free",
            "Calls to the provider's monitoring that the account may make in a month for nothing",
            metric_calls(|calls| calls.free),
        )?;
        let budget = |value: fn(&cloud::limit::ActionBudget) -> f64| {
            self.accounts.iter().flat_map(move |(id, account)| {
                account.budget.iter().map(move |of| {
                    ([("account", id.0.as_str()), ("action", of.action.as_str())], value(of))
                })
            })
        };
        list.gauge(
            "fleetscaler_api_headroom",
            "Calls that would be let through now without a wait; action=\"*\" is the account",
            budget(|of| of.headroom),
        )?;
        list.gauge(
            "fleetscaler_api_rate_per_second",
            "Calls per second that the action may take",
            budget(|of| of.per_second),
        )?;
        list.counter(
            "fleetscaler_api_wait_seconds",
            "How long calls waited for their rate limit",
            budget(|of| of.waited_total.as_secs_f64()),
        )?;
        list.counter(
            "fleetscaler_api_refused",
            "Calls that were not sent: the wait for their rate limit was too long",
            budget(|of| of.refused as f64),
        )?;
        list.counter(
            "fleetscaler_api_throttled",
            "Calls that the provider throttled all the same",
            budget(|of| of.throttled as f64),
        )?;
        list.gauge(
            "fleetscaler_api_closed_until_timestamp_seconds",
            "Until then the action rests after a throttling; 0 while it does not",
            budget(|of| of.closed_until.map_or(0.0, unix)),
        )
    }

    fn journal(&self, list: &mut List<'_>) -> fmt::Result {
        list.gauge(
            "fleetscaler_journal_up",
            "1 while the journal can be used",
            [(NO_LABELS, f64::from(u8::from(self.journal_up)))],
        )?;
        list.gauge(
            "fleetscaler_journal_leases_held",
            "Fleets whose lease this replica holds",
            [(NO_LABELS, self.leases as f64)],
        )?;
        list.gauge(
            "fleetscaler_journal_replicas",
            "Replicas that live on the same journal",
            [(NO_LABELS, self.replicas as f64)],
        )
    }

    fn process(&self, list: &mut List<'_>) -> fmt::Result {
        let of = |value: fn(&ProcessSeen) -> Option<f64>| {
            let value = self.process.as_ref().and_then(value);
            value.map(|value| (NO_LABELS, value))
        };
        list.counter(
            "process_cpu_seconds",
            "Processor time that the daemon took",
            of(|seen| Some(seen.cpu_seconds)),
        )?;
        list.gauge(
            "process_resident_memory_bytes",
            "Memory that it has",
            of(|seen| Some(seen.resident_bytes)),
        )?;
        list.gauge(
            "process_virtual_memory_bytes",
            "Address space that it has",
            of(|seen| Some(seen.virtual_bytes)),
        )?;
        list.gauge(
            "process_open_fds",
            "Descriptors that it has open",
            of(|seen| Some(seen.open_descriptors)),
        )?;
        list.gauge(
            "process_max_fds",
            "Descriptors that it may have open",
            of(|seen| seen.descriptors_most),
        )?;
        list.gauge("process_threads", "Its threads", of(|seen| Some(seen.threads)))?;
        list.gauge(
            "process_start_time_seconds",
            "When it began, in Unix seconds",
            of(|seen| Some(seen.began)),
        )
    }

    /// A daemon that tells nobody has no row.
    fn messages(&self, list: &mut List<'_>) -> fmt::Result {
        let sent = self.messages.iter().flat_map(|(channel, tally)| {
            [("arrived", tally.arrived), ("failed", tally.failed)].map(|(outcome, n)| {
                ([("channel", channel.as_str()), ("outcome", outcome)], n as f64)
            })
        });
        list.counter(
            "fleetscaler_messages",
            "Messages to people, by what came of them after all attempts",
            sent,
        )?;
        let waiting = self.messages.iter();
        list.gauge(
            "fleetscaler_messages_waiting",
            "Beginnings and ends of alerts that the channel is still to be told of",
            waiting.map(|(channel, tally)| ([("channel", channel.as_str())], tally.waiting as f64)),
        )
    }

    fn learned(&self, list: &mut List<'_>) -> fmt::Result {
        let boots = self.accounts.iter().flat_map(|(id, account)| {
            account.boots.iter().flat_map(move |((zone, kind), quantiles)| {
                both(*quantiles).map(|(percentile, secs)| {
                    let place = [("account", &*id.0), ("zone", zone), ("instance_type", kind)];
                    ([place[0], place[1], place[2], ("percentile", percentile)], secs)
                })
            })
        });
        list.gauge(
            "fleetscaler_boot_seconds",
            "Learned: from the accepted launch to Running",
            boots,
        )?;
        let lags = self.latest().flat_map(|(fleet, latest)| {
            latest.lags.iter().flat_map(move |(signal, quantiles)| {
                both(*quantiles).map(|(percentile, secs)| {
                    let signal = signal.0.as_str();
                    ([("fleet", fleet), ("signal", signal), ("percentile", percentile)], secs)
                })
            })
        });
        list.gauge(
            "fleetscaler_signal_lag_seconds",
            "Learned: how old samples are when they are first seen",
            lags,
        )
    }

    fn audits(&self, list: &mut List<'_>) -> fmt::Result {
        let findings = self.audits.iter().flat_map(|(id, audit)| {
            let mut kinds: BTreeMap<&str, u32> =
                What::KINDS.iter().map(|kind| (*kind, 0)).collect();
            for finding in &audit.findings {
                *kinds.entry(finding.what.kind()).or_default() += 1;
            }
            kinds.into_iter().map(|(kind, count)| {
                ([("account", id.0.as_str()), ("kind", kind)], f64::from(count))
            })
        });
        list.gauge("fleetscaler_audit_findings", "What the newest audit found", findings)?;
        let costs: Vec<(&str, String, f64)> = self
            .audits
            .iter()
            .flat_map(|(id, audit)| {
                let costs = audit.cost_per_hour().into_iter();
                costs.map(|(currency, amount)| (id.0.as_str(), currency, amount))
            })
            .collect();
        list.gauge(
            "fleetscaler_audit_cost_per_hour",
            "What those instances cost in an hour",
            costs.iter().map(|(account, currency, amount)| {
                ([("account", *account), ("currency", currency.as_str())], *amount)
            }),
        )?;
        list.gauge(
            "fleetscaler_audit_timestamp_seconds",
            "When the newest audit by this replica was made",
            self.audits.iter().map(|(id, audit)| ([("account", id.0.as_str())], unix(audit.at))),
        )
    }
}

fn both(quantiles: Quantiles) -> [(&'static str, f64); 2] {
    [("50", quantiles.p50), ("95", quantiles.p95)]
}

fn unix(at: Timestamp) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}

/// `snapshot` in Prometheus' text format.
pub(super) fn text(snapshot: Snapshot) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(snapshot));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).expect("a string takes everything");
    text
}

/// The name of every metric, as Prometheus knows it.
#[must_use]
pub fn names() -> Vec<String> {
    let text = text(Snapshot::empty());
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
