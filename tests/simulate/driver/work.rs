//! The work of replicas: ticks, renewals and audits, each at moments of its own.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use fleetscaler::control::{self, TickError, TickReport};
use futures::FutureExt;
use futures::future::abortable;
use futures::task::LocalSpawnExt;

use super::{Driver, Job, JobKind};
use crate::replica::{self, Replica, Start};
use crate::who::{As, Who};

/// A renewal of the leases so often, in seconds; a look whether an audit is due so often.
const RENEWAL: u32 = 6;
const AUDIT: u32 = 300;
/// Extra ticks in a row, as in the daemon's own loop.
const EXTRA_TICKS: u32 = 8;
/// A replica that nobody disturbed for so long knows which fleets are its own.
const LONG_ENOUGH: std::time::Duration = std::time::Duration::from_secs(90);

impl Driver {
    pub(super) fn start_and_spawn(&mut self) {
        let (now, elapsed) = (self.now(), self.elapsed());
        for place in 0..self.places.len() {
            if self.places[place].restart_at.is_some_and(|at| at <= now) {
                self.places[place].restart_at = None;
                if self.places[place].replica.is_some() {
                    self.crash(place, 2);
                }
            }
            if self.places[place].back_at.is_some_and(|at| at <= now) {
                self.start(place);
            }
            let Some(replica) = self.places[place].replica.clone() else { continue };
            // Everything at moments of its own, as with real replicas.
            let granularity = self.granularity();
            let phase = |n: usize, of: u32| {
                (elapsed + 5 * u32::try_from(place + n).expect("few")) % of < granularity
            };
            if phase(0, RENEWAL) {
                let world = replica.clone();
                // A store that is away is met again at the next renewal.
                let work = async move { drop(control::tend(&world.world).await) };
                self.spawn(place, JobKind::Renewal, None, work);
            }
            if phase(7, AUDIT) {
                let world = replica.clone();
                let work = async move { drop(control::hourly(&world.world).await) };
                self.spawn(place, JobKind::Audit, None, work);
            }
            for nth in 0..replica.fleets.len() {
                if phase(3 * nth + 1, self.outside.shape.interval_secs) {
                    self.spawn_tick(place, nth, &replica);
                }
            }
        }
    }

    fn start(&mut self, place: usize) {
        let began = self.now();
        let Driver { places, outside, setups, script, .. } = self;
        let of = &mut places[place];
        of.back_at = None;
        of.life += 1;
        of.began = began;
        let start = Start {
            place,
            installation: of.installation,
            life: of.life,
            seed: script.seed,
            host: &of.host,
            trouble: &of.trouble,
            setups,
        };
        of.replica = Some(Arc::new(replica::start(outside, &start)));
    }

    fn begin(&self, place: usize, kind: JobKind) -> bool {
        let mut busy = self.places[place].busy.borrow_mut();
        if busy.iter().any(|job| job.kind == kind) {
            return false;
        }
        busy.push(Job { kind, since: self.now() });
        true
    }

    fn spawn(
        &mut self,
        place: usize,
        kind: JobKind,
        tick: Option<crate::who::Ticking>,
        work: impl Future<Output = ()> + 'static,
    ) {
        if !self.begin(place, kind) {
            return;
        }
        let who = Who { place, installation: self.places[place].installation, tick };
        let work = As { who, work: Box::pin(work) };
        let busy = self.places[place].busy.clone();
        let checks = self.outside.checks.clone();
        let (work, handle) = abortable(async move {
            if AssertUnwindSafe(work).catch_unwind().await.is_err() {
                checks.fail(format!("a panic in {kind:?} of replica {place} ends the process"));
            }
            busy.borrow_mut().retain(|job| job.kind != kind);
        });
        self.places[place].tasks.retain(|task| !task.is_aborted());
        self.places[place].tasks.push(handle);
        self.spawner
            .spawn_local(async move {
                // An error says that the replica is gone.
                work.await.unwrap_or_default();
            })
            .expect("the pool lives");
    }

    fn spawn_tick(&mut self, place: usize, nth: usize, replica: &Arc<Replica>) {
        let tick = replica.fleets[nth];
        let who = Who { place, installation: self.places[place].installation, tick: Some(tick) };
        let nobody_else = self.is_alone_and_cut_off(place);
        let (checks, truth) = (self.outside.checks.clone(), self.outside.truth.clone());
        let (run, verbose, replica) = (self.run.clone(), self.verbose, replica.clone());
        self.spawn(place, JobKind::Tick(nth), Some(tick), async move {
            let Replica { world, .. } = &*replica;
            for _ in 0..=EXTRA_TICKS {
                let before = checks.before(who, tick, world.clock.now());
                let result = control::guarded_tick(world, &world.fleets.all()[nth]).await;
                if verbose {
                    tell(place, tick.fleet, &result);
                }
                match result {
                    Ok(report) => {
                        run.borrow_mut().ticks += 1;
                        let told = truth.told(place, tick.fleet);
                        checks.ticked(who, tick, before, &report, told);
                        if !report.wants_another_tick() {
                            break;
                        }
                    }
                    Err(TickError::Review(objection)) => {
                        checks
                            .fail(format!("fleet {}: a plan was refused: {objection}", tick.fleet));
                        break;
                    }
                    Err(TickError::Elsewhere) if nobody_else => {
                        let what = "is said to be another replica's, and there is none";
                        checks.fail(format!("fleet {} {what}", tick.fleet));
                        break;
                    }
                    Err(_) => break,
                }
            }
        });
    }

    /// The only replica of its installation, for long, and its store is away, for long.
    fn is_alone_and_cut_off(&self, place: usize) -> bool {
        let of = &self.places[place];
        let alone = self.places.iter().filter(|p| p.installation == of.installation).count() == 1;
        let down = of.trouble.lock().expect("no panic").down;
        let long = |at| cloud::clock::age(self.now(), at) > LONG_ENOUGH;
        let cut_off = down.is_some_and(|down| long(down.since) && self.now() < down.until);
        alone
            && cut_off
            && long(of.began)
            && of.began + cloud::clock::delta(LONG_ENOUGH) < self.now()
    }
}

fn tell(place: usize, fleet: usize, result: &Result<TickReport, TickError>) {
    match result {
        Ok(report) => {
            println!(
                "          r{place} fleet {fleet} {}: {}",
                report.counts.line(),
                report.decision
            );
            for settled in &report.settled {
                println!("              {}", settled.line());
            }
            for outcome in &report.outcomes {
                println!("              {}", outcome.line());
            }
            for shortfall in &report.plan.shortfalls {
                println!("              short: {shortfall}");
            }
        }
        Err(TickError::Elsewhere) => {}
        Err(error) => println!("          r{place} fleet {fleet}: {error}"),
    }
}
