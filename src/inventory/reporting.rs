//! The hosts that report to the monitoring system, by its `up` series.

use std::collections::BTreeSet;

use cloud::Instance;

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
