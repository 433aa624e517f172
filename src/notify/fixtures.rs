//! What tests of several files need.

use cloud::Secret;

use super::{ChannelKind, Language, NotifySpec, Severity};
use crate::model::Span;

/// A channel that takes everything at once, by its address `url`.
pub(super) fn spec(kind: ChannelKind, url: &str) -> NotifySpec {
    NotifySpec {
        name: "ops".to_owned(),
        kind,
        url: Secret::new(url.to_owned()),
        secret: None,
        mail: None,
        language: Language::English,
        fleets: Vec::new(),
        least: Severity::Info,
        group: Span::secs(0),
        repeat: Span::secs(3_600),
        max_per_hour: 9,
        page_url: None,
        runbook_url: None,
    }
}
