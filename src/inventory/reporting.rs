//! What monitoring and health checks tell of single instances: which report, which are healthy, and how
//! much work each has.

use std::collections::{BTreeMap, BTreeSet};

use cloud::{Instance, InstanceId};

/// The hosts that answer their scrapes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReportingHosts {
    hosts: BTreeSet<String>,
}

impl ReportingHosts {
    /// From the `instance` labels of series whose value is 1: `host:port` or `host`.
    #[must_use]
    pub fn of<'a>(labels: impl IntoIterator<Item = &'a str>) -> ReportingHosts {
        ReportingHosts { hosts: labels.into_iter().map(host).collect() }
    }

    /// Whether `instance` is among them, by its address or its id.
    #[must_use]
    pub fn includes(&self, instance: &Instance) -> bool {
        let address = instance.private_ip.map(|ip| ip.to_string());
        address.is_some_and(|address| self.hosts.contains(&address))
            || self.hosts.contains(&instance.id.0)
    }
}

/// How much work each host has, in the unit of the fleet's `busy` query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WorkByHost {
    hosts: BTreeMap<String, f64>,
}

impl WorkByHost {
    /// From the `instance` labels of series and their values. A host with several series has the sum of
    /// them; a value that is no number makes its host unknown.
    #[must_use]
    pub fn of<'a>(series: impl IntoIterator<Item = (&'a str, f64)>) -> WorkByHost {
        let mut hosts: BTreeMap<String, f64> = BTreeMap::new();
        for (label, value) in series {
            *hosts.entry(host(label)).or_default() += value;
        }
        hosts.retain(|_, work| work.is_finite());
        WorkByHost { hosts }
    }

    /// The work of `instance`, by its address or its id; `None`: not known.
    #[must_use]
    pub fn of_instance(&self, instance: &Instance) -> Option<f64> {
        let address = instance.private_ip.map(|ip| ip.to_string());
        let by_address = address.and_then(|address| self.hosts.get(&address));
        by_address.or_else(|| self.hosts.get(&instance.id.0)).copied()
    }
}

/// The newest verdicts of the health checks: whether all checks of an instance agree that it can serve.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdicts(pub BTreeMap<InstanceId, bool>);

impl Verdicts {
    /// `None` while a check has no verdict.
    #[must_use]
    pub fn of(&self, instance: &InstanceId) -> Option<bool> {
        self.0.get(instance).copied()
    }
}

/// `10.0.0.7` of `10.0.0.7:9100`, `::1` of `[::1]:9100`.
fn host(label: &str) -> String {
    if let Some(rest) = label.strip_prefix('[')
        && let Some((address, _)) = rest.split_once(']')
    {
        return address.to_owned();
    }
    match label.rsplit_once(':') {
        // A second colon: an address of version 6 without a port.
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !host.contains(':') => {
            host.to_owned()
        }
        _ => label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::member;

    #[test]
    fn an_instance_is_heard_by_its_address_or_its_id() {
        let reporting =
            ReportingHosts::of(["10.0.0.7:9100", "[fd00::7]:9100", "fd00::8", "i-3", "web-4:80"]);
        for (id, ip, includes) in [
            ("i-1", Some("10.0.0.7"), true),
            ("i-1", Some("10.0.0.70"), false),
            ("i-1", Some("fd00::7"), true),
            ("i-1", Some("fd00::8"), true),
            ("i-3", None, true),
            ("i-4", None, false),
        ] {
            let mut instance = member(id, 1).instance;
            instance.private_ip = ip.map(|ip| ip.parse().expect("an address"));
            assert_eq!(reporting.includes(&instance), includes, "{id} {ip:?}");
        }
    }
}
