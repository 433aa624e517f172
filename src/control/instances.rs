//! The instances of a fleet one by one, as a tick saw them: for people, not for decisions.

use cloud::{InstanceId, Timestamp};

use crate::model::{Inputs, Ownership, Phase, tags};

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
}

/// The instances of `inputs`, the oldest first.
pub(super) fn instances(inputs: &Inputs) -> Vec<InstanceSeen> {
    let Inputs { inventory, history, .. } = inputs;
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
            listed: Some(Listed {
                zone: instance.zone.clone(),
                instance_type: instance.instance_type.clone(),
                private_ip: instance.private_ip,
                is_protected: tags::protect(instance),
                is_unreachable: is_lost && member.phase == Phase::InService,
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
            listed: None,
        }
    });
    let mut all: Vec<InstanceSeen> = listed.chain(unlisted).collect();
    all.sort_by(|a, b| (a.launched, &a.id).cmp(&(b.launched, &b.id)));
    all
}
