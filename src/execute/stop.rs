//! The end of the process, as the executor sees it.

use tokio::sync::watch;

/// Asked for once, for good: the action under way is finished, no further one begins. One action may
/// take 90 s, so a plan of several would outlive the patience of whoever stops the process; what is
/// left of it, the next process plans anew. What only reads is abandoned at once.
#[derive(Debug, Default)]
pub struct Stop(watch::Sender<bool>);

impl Stop {
    pub fn ask(&self) {
        self.0.send_replace(true);
    }

    #[must_use]
    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once it is asked for.
    pub async fn asked(&self) {
        let mut asked = self.0.subscribe();
        // An error means that the sender is gone; `self` holds it, so that cannot happen.
        asked.wait_for(|asked| *asked).await.map(drop).unwrap_or_default();
    }
}
