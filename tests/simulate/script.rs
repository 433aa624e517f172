//! What happens in one simulation: the shape of the world, and everything that goes wrong in it,
//! with its time. Made from a seed; a script that fails is made smaller by leaving things out.

use std::fmt;
use std::time::Duration;

use ecs_emulator::{Fault, FaultKind};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A whole simulation.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    pub(crate) shape: Shape,
    /// By time.
    pub(crate) happenings: Vec<Happening>,
    /// How long things go wrong, in seconds.
    pub(crate) rough_secs: u32,
}

/// What a smaller script does not have.
#[derive(Debug, Default)]
pub(crate) struct Less {
    /// Only what happens in these seconds.
    pub(crate) at: Option<Vec<u64>>,
    /// Only so many fleets.
    pub(crate) fleets: Option<usize>,
    /// Listings are always true.
    pub(crate) no_lag: bool,
}

impl Script {
    /// The same without what `less` leaves out.
    pub(crate) fn with(mut self, less: &Less) -> Script {
        if let Some(at) = &less.at {
            self.happenings.retain(|happening| at.contains(&u64::from(happening.at)));
        }
        if let Some(fleets) = less.fleets {
            self.shape.fleets.truncate(fleets);
        }
        if less.no_lag {
            self.shape.listing_lag_secs = 0;
            self.shape.tag_lag_secs = 0;
            self.shape.deletion_lag_secs = 0;
        }
        self
    }

    /// The arguments that leave out what this one does not have of its seed's script.
    pub(crate) fn less(&self) -> String {
        let at: Vec<String> = self.happenings.iter().map(|h| h.at.to_string()).collect();
        let lags = self.shape.listing_lag_secs + self.shape.tag_lag_secs;
        let no_lag = if lags + self.shape.deletion_lag_secs == 0 { " --no-lag" } else { "" };
        format!("--at {} --fleets {}{no_lag}", at.join(","), self.shape.fleets.len())
    }
}

/// The world before anything happens.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) replicas: usize,
    pub(crate) fleets: Vec<FleetShape>,
    pub(crate) boot_secs: u64,
    pub(crate) stop_secs: u64,
    pub(crate) listing_lag_secs: u64,
    pub(crate) tag_lag_secs: u64,
    pub(crate) deletion_lag_secs: u64,
    pub(crate) base: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct FleetShape {
    pub(crate) min: u32,
    pub(crate) max: u32,
    pub(crate) out_by: u32,
    pub(crate) in_by: u32,
    pub(crate) load: f64,
    pub(crate) balanced: bool,
    pub(crate) terminate: &'static str,
    pub(crate) brakes: bool,
    pub(crate) fallback: bool,
}

/// Something that happens.
#[derive(Debug, Clone)]
pub(crate) struct Happening {
    /// Seconds since the beginning.
    pub(crate) at: u32,
    pub(crate) what: What,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    Load {
        fleet: usize,
        load: f64,
    },
    Fault(Fault),
    ClearFaults,
    /// `None`: any number again.
    Stock {
        zone: usize,
        kind: usize,
        left: Option<u32>,
    },
    Quota {
        left: u32,
        secs: u32,
    },
    ListsNothing {
        secs: u32,
    },
    /// The process is gone after so many more steps, and comes back.
    Crash {
        replica: usize,
        steps: u32,
        down_secs: u32,
    },
    /// The process stands still, and then goes on as if nothing had happened.
    Pause {
        replica: usize,
        secs: u32,
    },
    /// The store cannot be reached by one replica, or by all.
    StoreDown {
        replica: Option<usize>,
        secs: u32,
    },
    /// The store commits, and the answer is lost.
    StoreLies {
        replica: usize,
    },
    SignalGap {
        fleet: usize,
        secs: u32,
    },
    SignalFreeze {
        fleet: usize,
        secs: u32,
    },
    SignalLag {
        fleet: usize,
        lag_secs: u32,
    },
    SignalPartial {
        fleet: usize,
        secs: u32,
    },
    /// These three concern the nth instance that exists.
    Vanish {
        nth: usize,
    },
    Stop {
        nth: usize,
    },
    Untag {
        nth: usize,
    },
    Protect {
        nth: usize,
        secs: u32,
    },
    LoseZone {
        zone: usize,
        secs: u32,
    },
    Foreign,
    Hold {
        fleet: usize,
        out: bool,
        in_: bool,
        secs: u32,
    },
    Resume {
        fleet: usize,
    },
}

pub(crate) const ZONES: [&str; 3] = ["cn-hangzhou-h", "cn-hangzhou-i", "cn-hangzhou-j"];
pub(crate) const VSWITCHES: [&str; 3] = ["vsw-zone-h", "vsw-zone-i", "vsw-zone-j"];
pub(crate) const KINDS: [&str; 2] = ["ecs.c7.large", "ecs.g7.large"];

const ANYWHERE: &[FaultKind] = &[
    FaultKind::Throttle,
    FaultKind::ErrorBefore,
    FaultKind::ErrorAfter,
    FaultKind::CutBefore,
    FaultKind::CutAfter,
    FaultKind::Html,
    FaultKind::EmptyBody,
    FaultKind::Truncated,
    FaultKind::FailingOk,
    FaultKind::BadCredentials,
    FaultKind::Forbidden,
];
const OF_LAUNCHES: &[FaultKind] = &[
    FaultKind::SoldOut,
    FaultKind::NeverBoots,
    FaultKind::Vanishes,
    FaultKind::QuotaExceeded,
    FaultKind::NoBalance,
    FaultKind::TokenProcessing,
    FaultKind::CreatingConflict,
    FaultKind::ThrottleResource,
    FaultKind::PartialLaunch,
    FaultKind::Delayed,
];
const OF_DELETIONS: &[FaultKind] =
    &[FaultKind::Initializing, FaultKind::BadBatch, FaultKind::TokenProcessing, FaultKind::Delayed];

impl Script {
    pub(crate) fn of(seed: u64) -> Script {
        let mut rng = StdRng::seed_from_u64(seed);
        let shape = shape(&mut rng);
        let rough_secs = rng.random_range(400..1_500);
        let count = rng.random_range(4..40);
        let mut happenings: Vec<Happening> = (0..count)
            .map(|_| Happening {
                at: rng.random_range(0..rough_secs),
                what: what(&mut rng, &shape),
            })
            .collect();
        happenings.sort_by_key(|happening| happening.at);
        Script { seed, shape, happenings, rough_secs }
    }
}

fn shape(rng: &mut StdRng) -> Shape {
    let terminates = ["graceful", "stop-then-delete", "force"];
    let fleets = (0..rng.random_range(1..=3)).map(|_| {
        let min = rng.random_range(0..4);
        FleetShape {
            min,
            max: min + rng.random_range(2..8),
            out_by: rng.random_range(1..4),
            // By one at a time any load between the bounds comes to rest: larger steps may swing.
            in_by: 1,
            load: rng.random_range(0.5..6.0),
            balanced: rng.random_bool(0.4),
            terminate: terminates[rng.random_range(0..3)],
            brakes: rng.random_bool(0.2),
            fallback: rng.random_bool(0.2),
        }
    });
    // Lags as they are seen in the field: none mostly, or up to less than the two minutes that the
    // daemon allows for.
    let lag = |rng: &mut StdRng, most: u64| {
        if rng.random_bool(0.5) { 0 } else { rng.random_range(1..most) }
    };
    Shape {
        fleets: fleets.collect::<Vec<_>>(),
        replicas: rng.random_range(1..=3),
        boot_secs: rng.random_range(5..70),
        stop_secs: rng.random_range(1..60),
        listing_lag_secs: lag(rng, 100),
        tag_lag_secs: lag(rng, 100),
        deletion_lag_secs: lag(rng, 60),
        base: rng.random_bool(0.3),
    }
}

fn what(rng: &mut StdRng, shape: &Shape) -> What {
    let fleet = rng.random_range(0..shape.fleets.len());
    let replica = rng.random_range(0..shape.replicas);
    let secs = rng.random_range(5..240);
    let nth = rng.random_range(0..16);
    match rng.random_range(0..100) {
        0..18 => What::Load { fleet, load: rng.random_range(0.0..9.0) },
        18..32 => What::Fault(fault(rng, ANYWHERE, None)),
        32..42 => What::Fault(fault(rng, OF_LAUNCHES, Some("RunInstances"))),
        42..47 => What::Fault(fault(rng, OF_DELETIONS, Some("DeleteInstances"))),
        // One listing and the question for what it did not show.
        47..49 => {
            let kind = if rng.random_bool(0.5) {
                FaultKind::EmptyListing
            } else {
                FaultKind::PartialListing
            };
            What::Fault(Fault::on("DescribeInstances", kind).times(2))
        }
        49..51 => What::Fault(Fault::on("TagResources", FaultKind::TagRefused).times(1)),
        51..53 => What::ClearFaults,
        53..57 => What::Stock {
            zone: rng.random_range(0..3),
            kind: rng.random_range(0..2),
            left: rng.random_bool(0.7).then(|| rng.random_range(0..3)),
        },
        57..59 => What::Quota { left: rng.random_range(0..4), secs },
        59..61 => What::ListsNothing { secs },
        61..72 => What::Crash {
            replica,
            steps: rng.random_range(0..40),
            down_secs: rng.random_range(0..120),
        },
        72..77 => What::Pause { replica, secs },
        77..80 => What::StoreDown { replica: rng.random_bool(0.5).then_some(replica), secs },
        80..82 => What::StoreLies { replica },
        82..84 => What::SignalGap { fleet, secs },
        84..86 => What::SignalFreeze { fleet, secs },
        86..88 => What::SignalLag { fleet, lag_secs: rng.random_range(0..200) },
        88..89 => What::SignalPartial { fleet, secs },
        89..91 => What::Vanish { nth },
        91..92 => What::Stop { nth },
        92..93 => What::Untag { nth },
        93..95 => What::Protect { nth, secs },
        95..97 => What::LoseZone { zone: rng.random_range(0..3), secs },
        97..98 => What::Foreign,
        98..99 => {
            let both = rng.random_range(0..3);
            What::Hold { fleet, out: both != 1, in_: both != 0, secs }
        }
        _ => What::Resume { fleet },
    }
}

fn fault(rng: &mut StdRng, kinds: &[FaultKind], action: Option<&str>) -> Fault {
    let kind = kinds[rng.random_range(0..kinds.len())];
    let actions = ["RunInstances", "DeleteInstances", "StopInstances", "DescribeInstances"];
    let action = action.unwrap_or_else(|| actions[rng.random_range(0..actions.len())]);
    let delay = Duration::from_secs(rng.random_range(1..150)).into();
    Fault { delay, ..Fault::on(action, kind).times(rng.random_range(1..6)) }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {:?}", self.seed, self.shape)?;
        for Happening { at, what } in &self.happenings {
            writeln!(f, "  {at:>5} s  {what:?}")?;
        }
        Ok(())
    }
}
