//! A script from a seed.

use std::time::Duration;

use ecs_emulator::{Fault, FaultKind};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{
    BrakesShape, Change, FleetShape, Happening, InstallationShape, KINDS, Script, Shape, What,
    ZONES,
};

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

/// One seed of ten has so many fleets.
const MANY: usize = 50;

impl Script {
    pub(crate) fn of(seed: u64) -> Script {
        let mut rng = StdRng::seed_from_u64(seed);
        let shape = shape(seed, &mut rng);
        let many = shape.fleets.len() >= MANY;
        let rough_secs = match shape.interval_secs {
            ..5 => rng.random_range(200..400),
            _ if many => rng.random_range(200..400),
            _ => rng.random_range(400..1_500),
        };
        let count = rng.random_range(4..36);
        let mut happenings = Vec::new();
        for _ in 0..count {
            let at = rng.random_range(0..rough_secs);
            happenings.extend(happening(&mut rng, &shape, at));
        }
        if shape.fleets.iter().any(|fleet| fleet.learns_boots) && rng.random_bool(0.6) {
            happenings.extend(slower_boots(&mut rng, &shape, rough_secs));
        }
        happenings.retain(|happening: &Happening| happening.at < rough_secs);
        happenings.sort_by_key(|happening| happening.at);
        Script { seed, shape, happenings, rough_secs }
    }
}

fn shape(seed: u64, rng: &mut StdRng) -> Shape {
    let many = seed % 10 == 7;
    let sqlite = seed % 20 == 3;
    let quick = seed % 12 == 5 && !many;
    let installations = if many || sqlite || quick || rng.random_bool(0.75) { 1 } else { 2 };
    let accounts = if rng.random_bool(0.8) { 1 } else { 2 };
    let fleets = if many {
        MANY
    } else if quick {
        1
    } else {
        rng.random_range(1..=3)
    };
    // Lags as they are seen in the field: none mostly, or up to less than the two minutes that the
    // daemon allows for.
    let lag = |rng: &mut StdRng, most: u64| {
        if rng.random_bool(0.5) { 0 } else { rng.random_range(1..most) }
    };
    let mut shape = Shape {
        installations: (0..installations)
            .map(|_| InstallationShape {
                replicas: if sqlite {
                    1
                } else if installations == 2 {
                    rng.random_range(1..=2)
                } else {
                    rng.random_range(1..=3)
                },
                sqlite,
                deletes_strays: rng.random_bool(0.5),
                removal_percent: rng.random_bool(0.2).then(|| rng.random_range(10..60)),
            })
            .collect(),
        accounts,
        fleets: Vec::new(),
        interval_secs: if quick {
            rng.random_range(1..4)
        } else if many {
            30
        } else {
            15
        },
        boot_secs: rng.random_range(5..70),
        stop_secs: rng.random_range(1..60),
        listing_lag_secs: lag(rng, 100),
        tag_lag_secs: lag(rng, 100),
        deletion_lag_secs: lag(rng, 60),
        default_rates: many || rng.random_bool(0.2),
        others: if rng.random_bool(0.1) { rng.random_range(120..260) } else { 0 },
    };
    for installation in 0..installations {
        for n in 0..fleets {
            let account = n % accounts;
            let present = n < accounts || many || rng.random_bool(0.9);
            shape.fleets.push(fleet(rng, installation, account, n, present));
        }
        // A name for a fleet that is renamed or added.
        let spare = FleetShape { base: 0, ..fleet(rng, installation, 0, fleets, false) };
        shape.fleets.push(spare);
    }
    shape
}

fn fleet(
    rng: &mut StdRng,
    installation: usize,
    account: usize,
    n: usize,
    present: bool,
) -> FleetShape {
    let terminates = ["graceful", "stop-then-delete", "force"];
    let base = if rng.random_bool(0.25) { rng.random_range(1..4) } else { 0 };
    let min = base + rng.random_range(0..4);
    FleetShape {
        installation,
        account,
        // The same names in both installations.
        name: format!("fleet-{n}"),
        present,
        min,
        max: min + rng.random_range(2..8),
        out_by: rng.random_range(1..4),
        // By one at a time any load between the bounds comes to rest: larger steps may swing.
        in_by: 1,
        load: rng.random_range(0.5..6.0),
        balanced: rng.random_bool(0.4),
        terminate: terminates[rng.random_range(0..3)],
        brakes: rng.random_bool(0.2).then(|| BrakesShape {
            launches: rng.random_range(4..12),
            removals: rng.random_range(2..6),
            percent: rng.random_range(20..90),
        }),
        fallback: rng.random_bool(0.2),
        base,
        learns_boots: rng.random_bool(0.3),
        up_source: rng.random_bool(0.3),
        drain_secs: rng.random_bool(0.3).then(|| rng.random_range(60..180)),
    }
}

/// Something that happens at `at`, with what leads to it where that matters.
fn happening(rng: &mut StdRng, shape: &Shape, at: u32) -> Vec<Happening> {
    let fleet = rng.random_range(0..shape.fleets.len());
    let replicas: usize = shape.installations.iter().map(|i| i.replicas).sum();
    let replica = rng.random_range(0..replicas);
    let account = rng.random_range(0..shape.accounts);
    let installation = rng.random_range(0..shape.installations.len());
    let secs = rng.random_range(5..240);
    let nth = rng.random_range(0..16);
    let zone = rng.random_range(0..3);
    let what = match rng.random_range(0..130) {
        0..18 => What::Load { fleet, load: rng.random_range(0.0..9.0) },
        18..32 => What::Fault { account, fault: fault(rng, ANYWHERE, None) },
        32..42 => What::Fault { account, fault: fault(rng, OF_LAUNCHES, Some("RunInstances")) },
        42..47 => What::Fault { account, fault: fault(rng, OF_DELETIONS, Some("DeleteInstances")) },
        47..49 => What::Fault { account, fault: listing(rng) },
        49..51 => {
            let fault = Fault::on("TagResources", FaultKind::TagRefused).times(1);
            What::Fault { account, fault }
        }
        51..53 => What::ClearFaults { account },
        53..57 => What::Stock {
            account,
            zone,
            kind: rng.random_range(0..2),
            left: rng.random_bool(0.7).then(|| rng.random_range(0..3)),
        },
        57..59 => What::Quota { account, left: rng.random_range(0..4), secs },
        59..61 => What::ListsNothing { account, secs },
        61..72 => What::Crash {
            replica,
            steps: rng.random_range(0..40),
            down_secs: rng.random_range(0..120),
        },
        72..77 => What::Pause { replica, secs },
        77..80 => {
            What::StoreDown { installation, replica: rng.random_bool(0.5).then_some(replica), secs }
        }
        80..82 => What::StoreLies { replica },
        82..84 => What::SignalGap { fleet, secs },
        84..86 => What::SignalFreeze { fleet, secs },
        86..88 => What::SignalLag { fleet, lag_secs: rng.random_range(0..200) },
        88..89 => What::SignalPartial { fleet, secs },
        89..91 => What::Vanish { nth },
        91..92 => What::Stop { nth },
        92..93 => What::Untag { nth },
        93..95 => What::Protect { nth, secs },
        95..97 => What::LoseZone { account, zone, secs },
        97..98 => What::HangZone { account, zone, secs },
        98..99 => {
            let both = rng.random_range(0..3);
            What::Hold { fleet, out: both != 1, in_: both != 0, secs }
        }
        99..100 => What::Resume { fleet },
        100..104 => {
            What::Stranger { fleet, intent: rng.random_bool(0.4), count: rng.random_range(1..5) }
        }
        104..107 => What::Retag { nth, fleet },
        107..109 => What::Base { fleet, add: rng.random_bool(0.6) },
        109..113 => {
            let secs = rng.random_range(60..800);
            What::ClockStep { replica, secs: if rng.random_bool(0.7) { secs } else { -secs } }
        }
        113..115 => What::SourceBack { fleet, secs: rng.random_range(100..2_000) },
        115..117 => What::Hiccup { account, secs: rng.random_range(2..16) },
        117..118 => What::Panic { fleet },
        118..120 => What::Boots { account, secs: rng.random_range(5..150) },
        120..123 => What::Fault { account, fault: refusal(rng) },
        128..129 => return refresh(rng, shape, fleet, at),
        129..130 => What::Replace { nth },
        _ => return configuration(rng, shape, fleet, at),
    };
    vec![Happening { at, what }]
}

/// A new template as a rule, and the word that the fleet is to follow it.
fn refresh(rng: &mut StdRng, shape: &Shape, fleet: usize, at: u32) -> Vec<Happening> {
    let installation = shape.fleets[fleet].installation;
    let refresh = What::Refresh { fleet, secs: rng.random_range(120..1_500) };
    let mut happenings = Vec::new();
    if rng.random_bool(0.8) {
        let change = Change::Launch { fleet };
        let at = at.saturating_sub(rng.random_range(0..120));
        happenings.push(Happening { at, what: What::Configure { installation, change } });
    }
    happenings.push(Happening { at, what: refresh });
    happenings
}

/// A change of the configuration, often while much of the fleet boots.
fn configuration(rng: &mut StdRng, shape: &Shape, fleet: usize, at: u32) -> Vec<Happening> {
    let installation = shape.fleets[fleet].installation;
    let ours = |n: usize| shape.fleets[n].installation == installation;
    let spare = (0..shape.fleets.len()).rev().find(|n| ours(*n)).expect("each has a spare one");
    // An account that no fleet uses could not be configured.
    let first = (0..shape.fleets.len())
        .find(|n| ours(*n) && shape.fleets[*n].account == shape.fleets[fleet].account);
    let may_go = first != Some(fleet);
    let change = match rng.random_range(0..10) {
        0..6 => {
            let min = rng.random_range(0..4);
            Change::Bounds { fleet, min, max: min + rng.random_range(2..8) }
        }
        6 => Change::Launch { fleet },
        7 if may_go => Change::Remove { fleet },
        8 if fleet != spare => Change::Rename { fleet, to: spare },
        _ => Change::Add { fleet },
    };
    let mut happenings = Vec::new();
    if matches!(change, Change::Bounds { .. }) && rng.random_bool(0.5) {
        let load = rng.random_range(6.0..12.0);
        happenings.push(Happening { at: at.saturating_sub(60), what: What::Load { fleet, load } });
    }
    happenings.push(Happening { at, what: What::Configure { installation, change } });
    happenings
}

/// Enough boots to learn from, quick ones; then slow ones.
fn slower_boots(rng: &mut StdRng, shape: &Shape, rough_secs: u32) -> Vec<Happening> {
    let account = 0;
    let mut happenings =
        vec![Happening { at: 0, what: What::Boots { account, secs: rng.random_range(2..6) } }];
    let turn = rough_secs / 2 + rng.random_range(0..rough_secs / 4);
    for fleet in (0..shape.fleets.len()).filter(|n| shape.fleets[*n].account == account) {
        for (at, load) in [(5, 9.0), (turn / 2, 2.0), (turn, 12.0)] {
            happenings.push(Happening { at, what: What::Load { fleet, load } });
        }
    }
    let secs = rng.random_range(130..270);
    happenings.push(Happening { at: turn, what: What::Boots { account, secs } });
    happenings
}

fn fault(rng: &mut StdRng, kinds: &[FaultKind], action: Option<&str>) -> Fault {
    let kind = kinds[rng.random_range(0..kinds.len())];
    let actions = ["RunInstances", "DeleteInstances", "StopInstances", "DescribeInstances"];
    let action = action.unwrap_or_else(|| actions[rng.random_range(0..actions.len())]);
    let delay = Duration::from_secs(rng.random_range(1..150)).into();
    Fault { delay, ..Fault::on(action, kind).times(rng.random_range(1..6)) }
}

/// A refusal that concerns one zone or one type, for as long as things go wrong.
fn refusal(rng: &mut StdRng) -> Fault {
    let codes = [
        "Forbidden.RAM",
        "InvalidVSwitchId.NotFound",
        "QuotaExceed.ElasticQuota",
        "InvalidInstanceType.ValueNotSupported",
    ];
    let fault = Fault::refusal("RunInstances", codes[rng.random_range(0..codes.len())]);
    if rng.random_bool(0.5) {
        Fault { zone: Some(ZONES[rng.random_range(0..2)].to_owned()), ..fault }
    } else {
        Fault { instance_type: Some(KINDS[0].to_owned()), ..fault }
    }
}

/// Some listings of one tick: of managed instances, of base ones, or the question by id.
fn listing(rng: &mut StdRng) -> Fault {
    let kind =
        if rng.random_bool(0.5) { FaultKind::EmptyListing } else { FaultKind::PartialListing };
    let skip = rng.random_range(0..4);
    Fault { skip, ..Fault::on("DescribeInstances", kind).times(rng.random_range(1..4)) }
}
