//! The demo: the real daemon, over real signed HTTP, on an embedded cloud.
//!
//! Simulated are only the cloud (the ECS emulator) and a service under load, whose CPU follows
//! load ÷ instances and is served by a minimal Prometheus endpoint. All of it is in this process,
//! on loopback, with a configuration such as an operator would write, and with the daemon's page.

mod load;
mod page;
mod plain;
pub mod prometheus;
mod story;
mod view;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aliyun::credentials::KeyPair;
use cloud::{Clock, SystemClock, clock};
use ecs_emulator::{Emulator, StartError, World};
use tokio::sync::watch;

use crate::config::{self, Env, Problems};
use crate::control::{self, Beat, Mode, Running, Sink, TickError, TickReport, WireError};
use crate::journal::JournalError;
use crate::model::{FleetId, Span};
use crate::observe::{BindError, Instruments};
use prometheus::Metrics;
use story::Story;

/// Why the demo did not run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("the demo runs for 30s or longer: instances need time to boot and to go")]
    TooShort,
    #[error(transparent)]
    Emulator(#[from] StartError),
    #[error("cannot serve metrics: {0}")]
    Metrics(#[source] std::io::Error),
    #[error("the demo's configuration has problems\n{0}")]
    Config(#[from] Problems),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("cannot serve the page")]
    Page(#[source] BindError),
    #[error("cannot draw on this terminal: {0} (try --plain)")]
    Terminal(#[source] std::io::Error),
}

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// A live view that fills the terminal.
    Live,
    /// Lines.
    Plain,
}

/// The simulation moves on this often.
const STEP: Duration = Duration::from_millis(250);
/// The key pair of the embedded cloud.
const KEY: (&str, &str) = ("testid", "testsecret");

/// Runs for `duration` or until `stop` says so, and prints with `print`. Returns the summary.
pub async fn run(
    duration: Duration,
    show: Show,
    print: fn(&str),
    mut stop: watch::Receiver<bool>,
) -> Result<String, DemoError> {
    if duration < Duration::from_secs(30) {
        return Err(DemoError::TooShort);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    // Minutes in the field are seconds here: everything is scaled to the duration.
    let pace = Pace::of(duration);
    let mut world = World::default();
    world.set_boot(pace.boot.get());
    let emulator = Arc::new(Emulator::on_loopback(world, clock.clone()).await?);
    let metrics = Arc::new(Metrics::new(clock.clone()));
    let endpoint = prometheus::serve(metrics.clone()).await.map_err(DemoError::Metrics)?;
    let text = pace.config(&emulator.url(), &endpoint.url());
    let config = config::parse(&text, Path::new("demo.toml"), &Env::system())?;
    let running = Running::from(&config);
    let keys = Arc::new(KeyPair::new(KEY.0, KEY.1));
    let mut world = control::wire(config, Mode::Live, clock.clone(), Some(keys)).await?;
    // This cloud is new, and so is its fleet.
    world.trust_first_looks();

    let world = Arc::new(world);
    let instruments = Arc::new(Instruments::new(world.clone()));
    let served = page::serve(&world, &instruments, running).await.map_err(DemoError::Page)?;
    let address = format!("http://{}/", served.address());

    let story = Arc::new(Mutex::new(Story::new(duration, address.clone())));
    let (end, ended) = watch::channel(false);
    let sink = Arc::new(StorySink { story: story.clone(), instruments });
    let daemon = tokio::spawn(async move {
        tokio::select! {
            _ = control::beat(world.clone(), Beat::Forever, sink, ended) => {}
            () = control::keep_prices(world) => {}
        }
    });
    if show == Show::Plain {
        plain::introduce(print, &text, &address);
    }
    let mut screen = match show {
        Show::Live => Some(view::Screen::open().map_err(DemoError::Terminal)?),
        Show::Plain => None,
    };
    let mut told = plain::ToldSoFar::default();
    let began = clock.now();
    loop {
        let elapsed = clock::age(clock.now(), began);
        {
            let mut story = story.lock().expect("no holder of this lock can panic");
            story.observe(elapsed, &emulator, &metrics, clock.now());
            match &mut screen {
                Some(screen) => screen.draw(&story).map_err(DemoError::Terminal)?,
                None => told.tell(&story).iter().for_each(|line| print(line)),
            }
        }
        let left = duration.saturating_sub(elapsed);
        let quit = screen.as_ref().is_some_and(view::Screen::wants_to_quit);
        if left.is_zero() || quit || *stop.borrow() {
            break;
        }
        tokio::select! {
            () = clock.sleep(STEP.min(left)) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
    // Restores the terminal before anything is printed.
    drop(screen);
    end.send_replace(true);
    // The daemon finishes its tick; an error would mean that it panicked, which has been printed.
    drop(daemon.await);
    let story = story.lock().expect("no holder of this lock can panic");
    Ok(story.summary(&emulator))
}

/// How fast things go.
#[derive(Debug, Clone, Copy)]
struct Pace {
    boot: Span,
    cooldown_out: Span,
    cooldown_in: Span,
}

impl Pace {
    fn of(duration: Duration) -> Pace {
        let share = |of: u32| {
            let millis = u64::try_from((duration / of).as_millis()).unwrap_or(u64::MAX);
            Span(Duration::from_millis(millis.max(500)))
        };
        // In two minutes: boots of 4 s, cool-downs of 5 s and 4 s.
        Pace { boot: share(30), cooldown_out: share(24), cooldown_in: share(40) }
    }

    fn config(self, cloud: &str, metrics: &str) -> String {
        let Pace { cooldown_out, cooldown_in, .. } = self;
        format!(
            r#"[daemon]
interval = "1s"
state = "memory:"

[provider.aliyun]
region = "cn-hangzhou"
endpoint = "{cloud}"

[fleet.web]
provider = "aliyun"
min = 2
max = 10
max_removal_percent = 100
warmup = "1s"
stabilization = "4s"

[fleet.web.launch]
image_id = "m-bp1example"
instance_types = ["ecs.c7.large", "ecs.g7.large"]
vswitches = ["vsw-zone-h", "vsw-zone-i"]
security_group_ids = ["sg-bp1example"]

[fleet.web.signal.cpu]
source = "prometheus"
url = "{metrics}"
query = "avg(service_cpu_percent)"
max_age = "10s"

[[fleet.web.rule]]
kind = "threshold"
signal = "cpu"
scale_out = {{ above = 75, samples = 2, by = 2 }}
scale_in = {{ below = 30, samples = 3, by = 1 }}
cooldown = {{ out = "{cooldown_out}", in = "{cooldown_in}" }}
"#
        )
    }
}

/// Hands the daemon's reports to the story, and to what the page shows.
#[derive(Debug)]
struct StorySink {
    story: Arc<Mutex<Story>>,
    instruments: Arc<Instruments>,
}

impl Sink for StorySink {
    fn tick(&self, report: &TickReport) {
        drop(self.instruments.ticked(report));
        self.story.lock().expect("no holder of this lock can panic").ticked(report);
    }

    fn took(&self, fleet: &FleetId, took: Duration) {
        self.instruments.took(fleet, took);
    }

    fn journal(&self, state: Result<(), &JournalError>) {
        drop(self.instruments.journal(state.err()));
    }

    fn trouble(&self, fleet: &FleetId, error: &TickError) {
        drop(self.instruments.failed(fleet, error));
        let mut story = self.story.lock().expect("no holder of this lock can panic");
        story.troubled(&error.to_string());
    }
}
