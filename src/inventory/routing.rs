//! What the fleet's load balancers say of an instance. Pure.

use cloud::{BackendHealth, InstanceId};

use crate::model::{Balancer, GroupsSeen, Phase, Tracked, TrafficGate};

/// The balancers' evidence about one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Routing {
    /// Whether they let it into service.
    pub(super) gate: TrafficGate,
    /// `Some(false)`: one of them finds it unhealthy.
    pub(super) health: Option<bool>,
    /// Whether any of them sends it new connections; `None`: there is none, or it is not known.
    pub(super) traffic: Option<bool>,
}

/// Of the instance `id`, by what was seen last of each group.
///
/// Once its drain has begun, only what was asked for later shows that it gets no traffic: it may have been
/// given some shortly before, by another replica, too. One that failed gets none, and does not become
/// healthy by that.
pub(super) fn routing(
    balancers: &[Balancer],
    seen: &GroupsSeen,
    id: &InstanceId,
    tracked: Option<&Tracked>,
) -> Routing {
    let mut routing = Routing { gate: TrafficGate::Open, health: None, traffic: None };
    let drained = tracked.filter(|t| t.phase == Phase::Draining).map(|t| t.since);
    let has_failed = tracked.is_some_and(|t| t.phase == Phase::Failed);
    let mut is_all_known = !balancers.is_empty();
    let mut gets_some = false;
    for (n, _) in balancers.iter().enumerate() {
        let Some(group) = seen.get(n).and_then(Option::as_ref) else {
            is_all_known = false;
            routing.gate = routing.gate.max(TrafficGate::Awaited);
            continue;
        };
        is_all_known &= drained.is_none_or(|drained| group.at > drained);
        let Some(backend) = group.backends.get(id) else {
            routing.gate = TrafficGate::Shut;
            continue;
        };
        gets_some |= backend.weight > 0;
        if backend.weight == 0 || backend.is_changing {
            routing.gate = TrafficGate::Shut;
        }
        match backend.health {
            BackendHealth::Checking => routing.gate = routing.gate.max(TrafficGate::Awaited),
            BackendHealth::Unhealthy if backend.weight > 0 || has_failed => {
                routing.health = Some(false)
            }
            BackendHealth::Unhealthy | BackendHealth::Healthy | BackendHealth::Unknown => {}
        }
    }
    if is_all_known || gets_some {
        routing.traffic = Some(gets_some);
    }
    routing
}

#[cfg(test)]
mod tests {
    use cloud::{Backend, BackendGroup, BalancerKind};

    use super::*;
    use crate::model::GroupSeen;
    use crate::model::fixtures::{ago, now};

    fn balancer() -> Balancer {
        let group = BackendGroup {
            kind: BalancerKind::Alb,
            balancer: None,
            group: Some("sgp-1".to_owned()),
            listener: None,
            port: Some(80),
        };
        Balancer { group, weight: 100 }
    }

    #[test]
    fn what_was_asked_for_before_a_drain_does_not_show_that_it_is_cut_off() {
        let traffic = |weight: Option<u32>, asked: u64, drained: u64| {
            let backend = |weight| {
                let health = BackendHealth::Healthy;
                ("i-1".into(), Backend { weight, is_changing: false, health })
            };
            let seen = GroupSeen {
                at: ago(asked),
                backends: weight.into_iter().map(backend).collect(),
                is_settling: false,
                not_given: [].into(),
                not_taken: [].into(),
            };
            let known = Tracked::found(Phase::Draining, ago(drained));
            routing(&[balancer()], &vec![Some(seen)], &"i-1".into(), Some(&known)).traffic
        };
        assert_eq!(traffic(None, 20, 10), None, "it was attached after that look, perhaps");
        assert_eq!(traffic(Some(0), 10, 10), None);
        assert_eq!(traffic(None, 5, 10), Some(false));
        assert_eq!(traffic(Some(0), 5, 10), Some(false));
        assert_eq!(traffic(Some(100), 20, 10), Some(true), "traffic is believed at any time");
    }

    #[test]
    fn an_instance_serves_once_every_balancer_sends_it_traffic() {
        use BackendHealth::*;
        let backend = |weight, health| Some(Backend { weight, is_changing: false, health });
        let changing = Some(Backend { weight: 100, is_changing: true, health: Unknown });
        let (open, awaited, shut) = (TrafficGate::Open, TrafficGate::Awaited, TrafficGate::Shut);
        for (name, first, second, expected) in [
            (
                "in both",
                Some(backend(100, Healthy)),
                Some(backend(9, Unknown)),
                (open, None, Some(true)),
            ),
            ("in one", Some(backend(100, Healthy)), Some(None), (shut, None, Some(true))),
            ("in none", Some(None), Some(None), (shut, None, Some(false))),
            ("one is not readable", Some(backend(1, Healthy)), None, (awaited, None, Some(true))),
            ("none is readable", None, None, (awaited, None, None)),
            ("out of one, the other not readable", Some(None), None, (shut, None, None)),
            (
                "no weight",
                Some(backend(0, Healthy)),
                Some(backend(0, Unhealthy)),
                (shut, None, Some(false)),
            ),
            ("being added", Some(changing), Some(backend(1, Healthy)), (shut, None, Some(true))),
            (
                "being checked",
                Some(backend(1, Checking)),
                Some(backend(1, Healthy)),
                (awaited, None, Some(true)),
            ),
            (
                "unhealthy",
                Some(backend(1, Unhealthy)),
                Some(backend(1, Healthy)),
                (open, Some(false), Some(true)),
            ),
        ] {
            let group = |seen: Option<Option<Backend>>| {
                let backends =
                    |b: Option<Backend>| b.map(|b| ("i-1".into(), b)).into_iter().collect();
                seen.map(|backend| GroupSeen {
                    at: now(),
                    backends: backends(backend),
                    is_settling: false,
                    not_given: [].into(),
                    not_taken: [].into(),
                })
            };
            let seen = vec![group(first), group(second)];
            let balancer = balancer();
            let got = routing(&[balancer.clone(), balancer], &seen, &"i-1".into(), None);
            assert_eq!((got.gate, got.health, got.traffic), expected, "{name}");
        }
        let none = routing(&[], &Vec::new(), &"i-1".into(), None);
        assert_eq!((none.gate, none.health, none.traffic), (open, None, None));
    }
}
