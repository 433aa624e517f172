//! The live objects that ticks work with.

use std::collections::BTreeMap;
use std::sync::Arc;

use cloud::{Clock, Observe};
use tokio::sync::Notify;

use crate::execute::Hands;
use crate::inventory::Surveyor;
use crate::journal::Journal;
use crate::model::{Fleet, SignalName, Span};
use crate::signals::Source;

/// What all fleets share, and the fleets.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) surveyor: Surveyor,
    pub(crate) fleets: Vec<Member>,
}

/// One fleet with everything that its ticks need.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) fleet: Fleet,
    pub(crate) interval: Span,
    pub(crate) sources: BTreeMap<SignalName, Arc<dyn Source>>,
    pub(crate) cloud: Arc<dyn Observe>,
    pub(crate) hands: Hands,
    /// Makes the next tick happen now. A nudge carries no data.
    pub(crate) nudge: Arc<Notify>,
}
