//! A bug that ends a tick is logged with its place in the code, as everything else is.

use std::panic;

/// From now on, a panic is logged instead of printed.
pub(super) fn log_them() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let said = info.payload_as_str().unwrap_or("it did not say why");
        tracing::error!(code.place = place, "a bug, please report it: {said} ({place})");
    }));
}
