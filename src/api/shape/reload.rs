//! A reload: the changes by the new configuration.

use std::path::Path;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::control::{Difference, Reloaded};

/// The changes of a reload, made or only asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReloadView {
    /// `false`: it was only asked.
    pub taken: bool,
    /// The file that the daemon read.
    pub path: String,
    pub added_fleets: Vec<String>,
    pub changed_fleets: Vec<ChangedFleetView>,
    /// Their instances stay, as strays.
    pub removed_fleets: Vec<String>,
    pub unchanged_fleets: usize,
    /// Settings of `[daemon]`.
    pub changed_settings: Vec<SettingView>,
    /// Remarks that are no problems.
    pub warnings: Vec<String>,
}

/// One fleet that is configured in another way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedFleetView {
    pub fleet: String,
    pub settings: Vec<SettingView>,
}

/// One setting. A value that is long, or may be secret, is `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettingView {
    /// Such as `max`.
    pub setting: String,
    pub before: Option<String>,
    pub after: Option<String>,
    /// Both in words.
    pub text: String,
}

impl From<&Difference> for SettingView {
    fn from(difference: &Difference) -> SettingView {
        SettingView {
            setting: difference.setting.clone(),
            before: difference.before.clone(),
            after: difference.after.clone(),
            text: difference.to_string(),
        }
    }
}

impl ReloadView {
    /// `taken`: it is in force now.
    pub(in crate::api) fn of(reloaded: &Reloaded, path: &Path, taken: bool) -> ReloadView {
        let settings = |differences: &[Difference]| differences.iter().map(Into::into).collect();
        let names = |ids: &[crate::model::FleetId]| ids.iter().map(ToString::to_string).collect();
        let changed = reloaded.changed.iter().map(|(fleet, differences)| ChangedFleetView {
            fleet: fleet.to_string(),
            settings: settings(differences),
        });
        ReloadView {
            taken,
            path: path.display().to_string(),
            added_fleets: names(&reloaded.added),
            changed_fleets: changed.collect(),
            removed_fleets: names(&reloaded.removed),
            unchanged_fleets: reloaded.unchanged,
            changed_settings: settings(&reloaded.daemon),
            warnings: reloaded.warnings.clone(),
        }
    }
}
