//! The task that keeps one file up to date.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloud::Clock;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::write::render;
use super::{RenderSpec, Scene};
use crate::model::FleetId;

/// What failed is tried again after 15 s: a full disk or a stopped nginx is mended by a person.
const AGAIN: Duration = Duration::from_secs(15);

/// Keeps one file up to date. Rendering ends when this is dropped.
#[derive(Debug)]
pub struct Renderer {
    shared: Arc<Shared>,
    task: Mutex<Option<AbortHandle>>,
}

#[derive(Debug)]
struct Shared {
    fleet: FleetId,
    spec: RenderSpec,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    wanted: Option<Scene>,
    /// The scene of the last rendering that succeeded.
    done: Option<Scene>,
    trouble: Option<String>,
}

impl Renderer {
    /// For the file `spec` of `fleet`. Nothing is written before something is shown.
    #[must_use]
    pub fn new(fleet: &FleetId, spec: &RenderSpec, clock: Arc<dyn Clock>) -> Renderer {
        let shared = Shared {
            fleet: fleet.clone(),
            spec: spec.clone(),
            clock,
            state: Mutex::default(),
            changed: Notify::new(),
        };
        Renderer { shared: Arc::new(shared), task: Mutex::default() }
    }

    /// The file is to show this. Nobody in service never takes the place of somebody, unless the fleet
    /// `may_be_empty`.
    pub fn show(&self, scene: Scene, may_be_empty: bool) {
        {
            let mut state = self.shared.state();
            if scene.instances.is_empty() && !may_be_empty || state.wanted.as_ref() == Some(&scene)
            {
                return;
            }
            state.wanted = Some(scene);
        }
        self.shared.changed.notify_one();
        let mut task = self.task.lock().expect("no holder of this lock can panic");
        if task.is_none() {
            *task = Some(tokio::spawn(run(self.shared.clone())).abort_handle());
        }
    }

    /// Why the file is not up to date, if so.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.shared.state().trouble.clone()
    }

    /// The file, for a message.
    #[must_use]
    pub fn file(&self) -> String {
        self.shared.spec.file.display().to_string()
    }
}

impl Drop for Renderer {
    fn drop(&mut self) {
        if let Some(task) = self.task.lock().expect("no holder of this lock can panic").take() {
            task.abort();
        }
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock can panic")
    }

    /// The scene that is to be rendered, if any.
    fn due(&self) -> Option<Scene> {
        let state = self.state();
        state.wanted.clone().filter(|wanted| state.done.as_ref() != Some(wanted))
    }
}

async fn run(shared: Arc<Shared>) {
    let (fleet, file) = (&shared.fleet, shared.spec.file.display());
    loop {
        let Some(scene) = shared.due() else {
            shared.changed.notified().await;
            continue;
        };
        let count = scene.instances.len();
        match render(&shared.spec, &scene).await {
            Ok(is_new) => {
                if is_new {
                    tracing::info!(fleet.id = %fleet, "fleet `{fleet}`: {file} names {count} in service");
                }
                let mut state = shared.state();
                (state.done, state.trouble) = (Some(scene), None);
            }
            Err(why) => {
                tracing::warn!(fleet.id = %fleet, "fleet `{fleet}`: {why}");
                shared.state().trouble = Some(why);
                tokio::select! {
                    () = shared.clock.sleep(AGAIN) => {}
                    () = shared.changed.notified() => {}
                }
            }
        }
    }
}
