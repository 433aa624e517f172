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
pub struct World {
    pub clock: Arc<dyn Clock>,
    pub journal: Arc<Journal>,
    pub surveyor: Surveyor,
    pub fleets: Vec<Member>,
}

/// One fleet with everything that its ticks need.
#[derive(Debug)]
pub struct Member {
    pub fleet: Fleet,
    pub interval: Span,
    pub sources: BTreeMap<SignalName, Arc<dyn Source>>,
    pub cloud: Arc<dyn Observe>,
    pub hands: Hands,
    /// Makes the next tick happen now. A nudge carries no data.
    pub nudge: Arc<Notify>,
}
