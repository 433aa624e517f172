//! The instances of a fleet one by one, as a tick saw them: for people, not for decisions.

use cloud::{InstanceId, Timestamp};

use crate::model::{Inputs, Ownership, Phase, Tracked, fingerprint};

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceSeen {
    pub id: InstanceId,
    pub phase: Phase,
    pub ownership: Ownership,
    /// Since when it has been in this phase, where the journal knows.
    pub since: Option<Timestamp>,
    /// When its launch was accepted or, where that is not known, when it was created.
    pub launched: Option<Timestamp>,
    /// Another template than today's launched it; `None`: nobody knows which one did.
    pub is_outdated: Option<bool>,
    /// `None`: no listing shows it.
    pub listed: Option<Listed>,
}

/// The listing's words about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub zone: String,
    pub instance_type: String,
    pub private_ip: Option<std::net::IpAddr>,
    /// It is never ended.
    pub is_protected: bool,
    /// Its whole zone is silent, and it does not count as capacity.
    pub is_unreachable: bool,
    /// By its checks, its load balancers and what is reported; `None`: nothing tells.
    pub is_healthy: Option<bool>,
    /// Whether a load balancer sends it new connections; `None`: there is none, or it is not known.
    pub traffic: Option<bool>,
}

/// The instances of `inputs`, the oldest first.
pub(super) fn instances(inputs: &Inputs) -> Vec<InstanceSeen> {
    let Inputs { fleet, inventory, history, .. } = inputs;
    let template = fingerprint(&fleet.launch.spec);
    let is_outdated = |known: Option<&Tracked>| Some(*known?.spec.as_ref()? != template);
    let tracked = |id: &InstanceId| history.instances.get(id);
    let listed = inventory.members.iter().map(|member| {
        let instance = &member.instance;
        let known = tracked(&instance.id);
        let is_lost = inventory.lost_zones.contains(&instance.zone);
        InstanceSeen {
            id: instance.id.clone(),
            phase: member.phase,
            ownership: member.ownership,
            since: known.filter(|known| known.phase == member.phase).map(|known| known.since),
            launched: Some(known.and_then(|t| t.launched_at).unwrap_or(instance.created_at)),
            is_outdated: is_outdated(known),
            listed: Some(Listed {
                zone: instance.zone.clone(),
                instance_type: instance.instance_type.clone(),
                private_ip: instance.private_ip,
                is_protected: member.is_protected(),
                is_unreachable: is_lost && member.phase == Phase::InService,
                is_healthy: member.health,
                traffic: member.traffic,
            }),
        }
    });
    let unlisted = inventory.unlisted.iter().map(|unlisted| {
        let known = tracked(&unlisted.id);
        InstanceSeen {
            id: unlisted.id.clone(),
            phase: unlisted.phase,
            ownership: Ownership::Managed,
            since: known.filter(|known| known.phase == unlisted.phase).map(|known| known.since),
            launched: known.and_then(|known| known.launched_at),
            is_outdated: is_outdated(known),
            listed: None,
        }
    });
    let mut all: Vec<InstanceSeen> = listed.chain(unlisted).collect();
    all.sort_by(|a, b| (a.launched, &a.id).cmp(&(b.launched, &b.id)));
    all
}
