//! What is to be told, and when. Pure: a channel's memory of alerts, with the time as an argument.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use cloud::{Timestamp, clock};

use super::{Message, News, NotifySpec, Severity, Told};
use crate::model::AlertKey;

const HOUR: Duration = Duration::from_secs(60 * 60);
/// A channel that did not take a message is left alone for 5 minutes: it was tried for as long.
const AGAIN: Duration = Duration::from_secs(5 * 60);
/// No message is longer: channels take some kilobytes, and people some lines.
const TOLD_MOST: usize = 20;

/// The alerts that a channel is concerned with.
#[derive(Debug, Default)]
pub(super) struct Queue {
    on: BTreeMap<(Option<String>, AlertKey), On>,
    /// Ends that are to be told: the end, and since when it was on.
    over: Vec<(News, Timestamp)>,
    /// When messages were made within the hour.
    made: VecDeque<Timestamp>,
    kept_back: u32,
    /// When the first of the news that wait came.
    waits_since: Option<Timestamp>,
}

#[derive(Debug)]
struct On {
    news: News,
    told_at: Option<Timestamp>,
}

impl Queue {
    /// Takes news that concern the channel.
    pub(super) fn take(&mut self, spec: &NotifySpec, news: News) {
        if Severity::of(news.key.code) < spec.least || !spec.concerns(news.whose.as_deref()) {
            return;
        }
        let (id, at) = ((news.whose.clone(), news.key.clone()), news.at);
        if news.message.is_some() {
            self.on.entry(id).or_insert(On { news, told_at: None });
        } else {
            match self.on.remove(&id) {
                Some(on) if on.told_at.is_some() => self.over.push((news, on.news.at)),
                // It came and went before anybody was told.
                _ => return,
            }
        }
        self.waits_since.get_or_insert(at);
    }

    /// Takes an alert that was told before this process began: it is no news, but its end will be.
    pub(super) fn take_told(&mut self, spec: &NotifySpec, news: News, now: Timestamp) {
        if Severity::of(news.key.code) < spec.least || !spec.concerns(news.whose.as_deref()) {
            return;
        }
        let id = (news.whose.clone(), news.key.clone());
        self.on.entry(id).or_insert(On { news, told_at: Some(now) });
    }

    /// The channel did not take `message`: what it told is told with the next one.
    pub(super) fn did_not_arrive(&mut self, message: Message, now: Timestamp) {
        for Told { news, since, .. } in message.news {
            let on = self.on.get_mut(&(news.whose.clone(), news.key.clone()));
            match (&news.message, on) {
                (Some(_), Some(on)) => on.told_at = None,
                // It was over before anybody heard of it.
                (Some(_), None) => {}
                // It is on again: that is what is told.
                (None, Some(on)) => on.told_at = None,
                (None, None) => self.over.push((news, since)),
            }
        }
        self.kept_back += message.kept_back;
        self.made.pop_back();
        self.waits_since = Some(clock::after(now, AGAIN));
    }

    /// Beginnings and ends that are still to be told.
    pub(super) fn waiting(&self) -> usize {
        self.over.len() + self.on.values().filter(|on| on.told_at.is_none()).count()
    }

    /// When there may be something to tell, as far as is known at `now`.
    pub(super) fn next(&self, spec: &NotifySpec, now: Timestamp) -> Timestamp {
        let grouped = self.waits_since.map(|at| clock::after(at, spec.group.get()));
        let told = self.on.values().filter_map(|on| on.told_at);
        let again = told.min().map(|at| clock::after(at, spec.repeat.get()));
        [grouped, again].into_iter().flatten().min().unwrap_or_else(|| clock::after(now, HOUR))
    }

    /// The message that is due, if one is. It is taken for told: who sends it tries until it is.
    pub(super) fn due(&mut self, spec: &NotifySpec, now: Timestamp) -> Option<Message> {
        // An age is never negative: what waits for a time to come is not due however short the group is.
        let is_grouped =
            self.waits_since.is_some_and(|at| at <= now && clock::age(now, at) >= spec.group.get());
        let is_again =
            |on: &On| on.told_at.is_some_and(|at| clock::age(now, at) >= spec.repeat.get());
        if !is_grouped && !self.on.values().any(is_again) {
            return None;
        }
        self.waits_since = None;
        self.made.retain(|at| clock::age(now, *at) < HOUR);
        if self.made.len() >= spec.max_per_hour as usize {
            self.kept_back += 1;
            // What began and is not over is told when the hour is; what is over needs nobody any more.
            self.over.clear();
            self.waits_since = self.made.front().map(|at| clock::after(*at, HOUR));
            return None;
        }
        let mut news: Vec<Told> = self
            .over
            .drain(..)
            .map(|(news, since)| Told { news, is_reminder: false, since })
            .collect();
        for on in self.on.values_mut() {
            let is_reminder = on.told_at.is_some();
            let is_due = match on.told_at {
                None => true,
                Some(at) => clock::age(now, at) >= spec.repeat.get(),
            };
            if is_due && news.len() < TOLD_MOST {
                on.told_at = Some(now);
                news.push(Told { news: on.news.clone(), is_reminder, since: on.news.at });
            }
        }
        if news.is_empty() {
            return None;
        }
        if self.on.values().any(|on| on.told_at.is_none()) {
            self.waits_since = Some(now);
        }
        self.made.push_back(now);
        Some(Message { news, kept_back: std::mem::take(&mut self.kept_back) })
    }
}

impl NotifySpec {
    fn concerns(&self, whose: Option<&str>) -> bool {
        if self.fleets.is_empty() {
            return true;
        }
        whose.is_some_and(|whose| {
            self.fleets.iter().any(|wanted| match wanted.strip_suffix('*') {
                Some(start) => whose.starts_with(start),
                None => whose == wanted,
            })
        })
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::model::fixtures::now;
    use crate::model::{AlertCode, Span};
    use crate::notify::{ChannelKind, fixtures};

    fn spec() -> NotifySpec {
        NotifySpec {
            least: Severity::Warning,
            group: Span::secs(10),
            repeat: Span::secs(3_600 * 4),
            max_per_hour: 3,
            ..fixtures::spec(ChannelKind::Webhook, "http://127.0.0.1:9/")
        }
    }

    fn at(secs: u64) -> Timestamp {
        clock::after(now(), Duration::from_secs(secs))
    }

    fn news(fleet: &str, code: AlertCode, message: Option<&str>, secs: u64) -> News {
        let key = AlertKey { code, about: String::new() };
        News {
            whose: Some(fleet.to_owned()),
            key,
            message: message.map(str::to_owned),
            at: at(secs),
        }
    }

    fn told(message: Option<Message>) -> Vec<(String, bool, bool)> {
        let news = message.map(|message| message.news).unwrap_or_default();
        news.into_iter()
            .map(|t| (t.news.whose.unwrap_or_default(), t.news.message.is_some(), t.is_reminder))
            .collect()
    }

    #[test]
    fn news_of_one_moment_go_together_and_what_is_over_is_told_once() {
        let (spec, mut queue) = (spec(), Queue::default());
        queue.take(&spec, news("web", AlertCode::AtMax, Some("short"), 0));
        queue.take(&spec, news("api", AlertCode::NoPlace, Some("sold out"), 4));
        queue.take(&spec, news("api", AlertCode::Silent, Some("not that bad"), 4));
        queue.take(&spec, news("batch", AlertCode::AtMax, Some("for a moment"), 5));
        queue.take(&spec, news("batch", AlertCode::AtMax, None, 6));
        assert_eq!(told(queue.due(&spec, at(9))), [], "they are waited for");
        assert_eq!(queue.waiting(), 2);
        let first = told(queue.due(&spec, at(10)));
        assert_eq!(first, [("api".to_owned(), true, false), ("web".to_owned(), true, false)]);
        assert_eq!(told(queue.due(&spec, at(60))), [], "once");
        assert_eq!(queue.waiting(), 0);
        queue.take(&spec, news("web", AlertCode::AtMax, None, 70));
        assert_eq!(told(queue.due(&spec, at(80))), [("web".to_owned(), false, false)]);
        let again = told(queue.due(&spec, at(10 + 4 * 3_600)));
        assert_eq!(again, [("api".to_owned(), true, true)], "what lasts is told again");
        assert_eq!(queue.next(&spec, at(20_000)), at(10 + 8 * 3_600));
    }

    #[test]
    fn no_more_than_so_many_messages_an_hour_and_then_what_still_is() {
        let (spec, mut queue) = (spec(), Queue::default());
        let mut sent = 0;
        for n in 0..10 {
            queue.take(&spec, news(&format!("fleet-{n}"), AlertCode::AtMax, Some("short"), n * 60));
            sent += u32::from(queue.due(&spec, at(n * 60 + 10)).is_some());
        }
        assert_eq!(sent, 3);
        let last = queue.due(&spec, at(3_700)).expect("the hour is over");
        assert_eq!((last.news.len(), last.kept_back > 0), (7, true));
    }

    #[test]
    fn what_did_not_arrive_is_told_with_the_next_message() {
        let (spec, mut queue) = (spec(), Queue::default());
        queue.take(&spec, news("web", AlertCode::AtMax, Some("short"), 0));
        let first = queue.due(&spec, at(10)).expect("a message");
        queue.did_not_arrive(first, at(310));
        assert_eq!(told(queue.due(&spec, at(320))), [], "the channel is left alone for a while");
        assert_eq!(told(queue.due(&spec, at(620))), [("web".to_owned(), true, false)]);
        queue.take(&spec, news("web", AlertCode::AtMax, None, 700));
        let end = queue.due(&spec, at(710)).expect("its end");
        queue.did_not_arrive(end, at(1_010));
        assert_eq!(told(queue.due(&spec, at(1_320))), [("web".to_owned(), false, false)]);
        assert_eq!(queue.made.len(), 2, "what did not arrive counts for nothing");
    }

    #[test]
    fn a_channel_without_a_group_is_left_alone_after_a_failure_too() {
        let (spec, mut queue) = (NotifySpec { group: Span::secs(0), ..spec() }, Queue::default());
        queue.take(&spec, news("web", AlertCode::AtMax, Some("short"), 0));
        let first = queue.due(&spec, at(0)).expect("a message");
        queue.did_not_arrive(first, at(10));
        assert_eq!(told(queue.due(&spec, at(11))), [], "it is not tried without a pause");
        assert_eq!(queue.waiting(), 1);
        assert_eq!(told(queue.due(&spec, at(310))), [("web".to_owned(), true, false)]);
    }

    #[test]
    fn the_end_of_what_was_told_before_a_restart_is_told() {
        let (spec, mut queue) = (spec(), Queue::default());
        queue.take_told(&spec, news("web", AlertCode::AtMax, Some("short"), 0), at(100));
        assert_eq!(told(queue.due(&spec, at(200))), []);
        queue.take(&spec, news("web", AlertCode::AtMax, None, 300));
        assert_eq!(told(queue.due(&spec, at(310))), [("web".to_owned(), false, false)]);
    }

    #[test]
    fn a_channel_is_told_of_its_fleets_only() {
        let spec = NotifySpec { fleets: vec!["api-*".to_owned(), "web".to_owned()], ..spec() };
        for (whose, concerns) in
            [(Some("api-eu"), true), (Some("web"), true), (Some("web2"), false), (None, false)]
        {
            assert_eq!(spec.concerns(whose), concerns, "{whose:?}");
        }
    }
}
