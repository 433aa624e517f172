//! The script of one simulation: the shape of the world, and everything that goes wrong in it,
//! with its time. Made from a seed; a script that fails is made smaller by leaving things out.

mod make;

use std::fmt;

use ecs_emulator::Fault;

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

/// The parts that a smaller script does not have.
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
            for fleet in self.shape.fleets.iter_mut().skip(fleets) {
                fleet.present = false;
            }
            // A daemon without a fleet does not start.
            if !self.shape.fleets.iter().any(|fleet| fleet.present) {
                self.shape.fleets[0].present = true;
            }
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
        let last = self.shape.fleets.iter().rposition(|fleet| fleet.present);
        let fleets = last.map_or(1, |last| last + 1);
        format!("--at {} --fleets {fleets}{no_lag}", at.join(","))
    }
}

/// The world before anything happens.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// Each has a journal of its own. Two of them use the same accounts and the same fleet names.
    pub(crate) installations: Vec<InstallationShape>,
    pub(crate) accounts: usize,
    pub(crate) fleets: Vec<FleetShape>,
    pub(crate) interval_secs: u32,
    pub(crate) boot_secs: u64,
    pub(crate) stop_secs: u64,
    pub(crate) listing_lag_secs: u64,
    pub(crate) tag_lag_secs: u64,
    pub(crate) deletion_lag_secs: u64,
    /// The vendor's usual limits instead of generous ones.
    pub(crate) default_rates: bool,
    /// Instances with our tags of a fleet that nobody here knows: a listing has more than one page.
    pub(crate) others: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct InstallationShape {
    pub(crate) replicas: usize,
    /// The journal is a file, of one replica; otherwise a server's, which all replicas share.
    pub(crate) sqlite: bool,
    pub(crate) deletes_strays: bool,
    /// The account's brake, in percent of its instances.
    pub(crate) removal_percent: Option<u32>,
}

#[derive(Debug, Clone)]
pub(crate) struct FleetShape {
    pub(crate) installation: usize,
    pub(crate) account: usize,
    pub(crate) name: String,
    /// Configured from the beginning.
    pub(crate) present: bool,
    pub(crate) min: u32,
    pub(crate) max: u32,
    pub(crate) out_by: u32,
    pub(crate) in_by: u32,
    pub(crate) load: f64,
    pub(crate) balanced: bool,
    pub(crate) terminate: &'static str,
    pub(crate) brakes: Option<BrakesShape>,
    pub(crate) fallback: bool,
    /// The operator's own instances, counted with the fleet.
    pub(crate) base: u32,
    /// No `boot_timeout` is configured: it is learned.
    pub(crate) learns_boots: bool,
    /// A query says who is up.
    pub(crate) up_source: bool,
    /// Instances are drained for so long before they are ended.
    pub(crate) drain_secs: Option<u32>,
}

/// Within an hour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BrakesShape {
    pub(crate) launches: u32,
    pub(crate) removals: u32,
    pub(crate) percent: u32,
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
    Fault {
        account: usize,
        fault: Fault,
    },
    ClearFaults {
        account: usize,
    },
    /// Every listing of the account is empty for a moment, although listing is permitted.
    Hiccup {
        account: usize,
        secs: u32,
    },
    /// `None`: any number again.
    Stock {
        account: usize,
        zone: usize,
        kind: usize,
        left: Option<u32>,
    },
    Quota {
        account: usize,
        left: u32,
        secs: u32,
    },
    ListsNothing {
        account: usize,
        secs: u32,
    },
    /// Boots take so long from now on.
    Boots {
        account: usize,
        secs: u64,
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
    /// The clock of a host is set.
    ClockStep {
        replica: usize,
        secs: i64,
    },
    /// The configuration of an installation is changed, and its replicas are restarted one by one.
    Configure {
        installation: usize,
        change: Change,
    },
    /// The store cannot be reached by one replica, or by all of an installation.
    StoreDown {
        installation: usize,
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
    /// The clock of the monitoring system is set back.
    SourceBack {
        fleet: usize,
        secs: u32,
    },
    /// The next question to a fleet's source ends in a panic.
    Panic {
        fleet: usize,
    },
    /// These concern the nth instance that exists.
    Vanish {
        nth: usize,
    },
    Stop {
        nth: usize,
    },
    Untag {
        nth: usize,
    },
    /// It gets another fleet's name.
    Retag {
        nth: usize,
        fleet: usize,
    },
    Protect {
        nth: usize,
        secs: u32,
    },
    /// A person has it replaced.
    Replace {
        nth: usize,
    },
    /// What an older template launched is replaced, until the time is over.
    Refresh {
        fleet: usize,
        secs: u32,
    },
    LoseZone {
        account: usize,
        zone: usize,
        secs: u32,
    },
    /// Nothing in the zone answers its scrapes, and listings do not tell.
    HangZone {
        account: usize,
        zone: usize,
        secs: u32,
    },
    /// Somebody creates an instance with two of our tags, and perhaps with the third.
    Stranger {
        fleet: usize,
        intent: bool,
        count: usize,
    },
    /// An operator adds a base instance to a fleet, or takes one away.
    Base {
        fleet: usize,
        add: bool,
    },
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

/// A change of the configuration.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Bounds {
        fleet: usize,
        min: u32,
        max: u32,
    },
    Launch {
        fleet: usize,
    },
    Remove {
        fleet: usize,
    },
    Add {
        fleet: usize,
    },
    /// The same fleet by another name.
    Rename {
        fleet: usize,
        to: usize,
    },
}

impl Change {
    /// The fleets that it names.
    pub(crate) fn fleets(&self) -> Vec<usize> {
        match self {
            Change::Bounds { fleet, .. }
            | Change::Launch { fleet }
            | Change::Remove { fleet }
            | Change::Add { fleet } => vec![*fleet],
            Change::Rename { fleet, to } => vec![*fleet, *to],
        }
    }
}

impl What {
    /// The fleets that it names.
    pub(crate) fn fleets(&self) -> Vec<usize> {
        match self {
            What::Load { fleet, .. }
            | What::SignalGap { fleet, .. }
            | What::SignalFreeze { fleet, .. }
            | What::SignalLag { fleet, .. }
            | What::SignalPartial { fleet, .. }
            | What::SourceBack { fleet, .. }
            | What::Panic { fleet }
            | What::Retag { fleet, .. }
            | What::Stranger { fleet, .. }
            | What::Base { fleet, .. }
            | What::Hold { fleet, .. }
            | What::Refresh { fleet, .. }
            | What::Resume { fleet } => vec![*fleet],
            What::Configure { change, .. } => change.fleets(),
            _ => Vec::new(),
        }
    }
}

pub(crate) const ZONES: [&str; 3] = ["cn-hangzhou-h", "cn-hangzhou-i", "cn-hangzhou-j"];
pub(crate) const VSWITCHES: [&str; 3] = ["vsw-zone-h", "vsw-zone-i", "vsw-zone-j"];
pub(crate) const KINDS: [&str; 2] = ["ecs.c7.large", "ecs.g7.large"];

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shape { installations, fleets, .. } = &self.shape;
        let rest = Shape { installations: Vec::new(), fleets: Vec::new(), ..self.shape.clone() };
        writeln!(f, "seed {}: {rest:?}", self.seed)?;
        for (n, installation) in installations.iter().enumerate() {
            writeln!(f, "  installation {n}: {installation:?}")?;
        }
        for (n, fleet) in fleets.iter().enumerate() {
            writeln!(f, "  fleet {n}: {fleet:?}")?;
        }
        for Happening { at, what } in &self.happenings {
            writeln!(f, "  {at:>5} s  {what:?}")?;
        }
        Ok(())
    }
}
