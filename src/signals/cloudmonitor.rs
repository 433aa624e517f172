//! `cloudmonitor`: what the provider's own monitoring has measured on the instances in service.
//!
//! It is asked for the instances that the fleet's tick found in service, so who boots is no data. An instance
//! without a point does not report; it is never 0. A call costs a part of what a month has for nothing, so the
//! same points are not asked for at every tick.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cloud::{Clock, InstanceId, MetricPoint, Observe, Timestamp, clock};
use tokio::sync::watch;

use super::prometheus::reduce;
use super::time::{dated, unix_secs};
use super::{Clients, MonitorSpec, Source};
use crate::model::{Gap, Reading, Sample, Span};

/// One metric of one fleet.
#[derive(Debug)]
pub struct CloudMonitor {
    spec: MonitorSpec,
    cloud: Arc<dyn Observe>,
    clock: Arc<dyn Clock>,
    /// Who serves, as the newest tick saw it; nothing before the first.
    serving: watch::Sender<Option<Arc<[InstanceId]>>>,
    newest: Mutex<Option<Asked>>,
}

/// An answer that is kept until it is worth to ask again.
#[derive(Debug, Clone)]
struct Asked {
    at: Timestamp,
    points: Arc<[MetricPoint]>,
}

impl CloudMonitor {
    /// Asks nothing of the network.
    #[must_use]
    pub fn new(spec: &MonitorSpec, shared: &Clients, cloud: &Arc<dyn Observe>) -> CloudMonitor {
        CloudMonitor {
            spec: spec.clone(),
            cloud: cloud.clone(),
            clock: shared.clock(),
            serving: watch::Sender::new(None),
            newest: Mutex::default(),
        }
    }

    async fn sample(&self) -> Reading {
        let ids = self.serves().await;
        if ids.is_empty() {
            return Err(Gap::NobodyServes);
        }
        let asked = match self.kept() {
            Some(asked) => asked,
            None => self.ask(&ids).await?,
        };
        self.number(&asked.points, self.clock.now())
    }

    /// Who serves, as soon as somebody has said it.
    async fn serves(&self) -> Arc<[InstanceId]> {
        let mut serving = self.serving.subscribe();
        loop {
            if let Some(ids) = serving.borrow_and_update().clone() {
                return ids;
            }
            serving.changed().await.expect("its sender is here");
        }
    }

    /// The newest answer, while it is too early to ask again.
    fn kept(&self) -> Option<Asked> {
        let now = self.clock.now();
        let newest = self.newest.lock().expect("no holder of this lock can panic");
        let asked = newest.as_ref()?;
        let is_new = asked.at <= now && clock::age(now, asked.at) < self.spec.ask_every.get();
        is_new.then(|| asked.clone())
    }

    async fn ask(&self, ids: &[InstanceId]) -> Result<Asked, Gap> {
        let at = self.clock.now();
        let points = self.cloud.metric(&self.spec.query, ids).await.map_err(|error| {
            let kind = error.class.name().to_owned();
            Gap::QueryFailed { kind, message: error.to_string() }
        })?;
        let asked = Asked { at, points: points.into() };
        *self.newest.lock().expect("no holder of this lock can panic") = Some(asked.clone());
        Ok(asked)
    }

    /// The points as one number. One that is more than a period behind the newest is of another time, and does
    /// not report.
    fn number(&self, points: &[MetricPoint], now: Timestamp) -> Reading {
        let newest = points.iter().map(|point| point.at).max().ok_or(Gap::Empty)?;
        if let Some(point) = points.iter().find(|point| !point.value.is_finite()) {
            return Err(Gap::NotFinite { value: format!("{} on {}", point.value, point.id) });
        }
        let oldest = clock::before(newest, self.spec.query.period);
        let values: Vec<f64> =
            points.iter().filter(|point| point.at >= oldest).map(|point| point.value).collect();
        let value = reduce(&values, self.spec.reduce);
        if !value.is_finite() {
            return Err(Gap::NotFinite { value: value.to_string() });
        }
        let sample = dated(value, unix_secs(newest), unix_secs(now), self.spec.max_age)?;
        Ok(Sample { reporting: u32::try_from(values.len()).ok(), ..sample })
    }
}

#[async_trait]
impl Source for CloudMonitor {
    async fn read(&self) -> Reading {
        let late = Err(Gap::TimedOut { after: self.spec.timeout });
        tokio::time::timeout(self.spec.timeout.get(), self.sample()).await.unwrap_or(late)
    }

    fn serving(&self, ids: &[InstanceId]) {
        self.serving.send_if_modified(|known| {
            let is_other = known.as_deref() != Some(ids);
            if is_other {
                *known = Some(ids.into());
            }
            is_other
        });
    }
}

impl MonitorSpec {
    /// The calls in a month of 30 days for so many instances, at ticks so far apart.
    #[must_use]
    pub fn calls_a_month(&self, instances: u32, interval: Span) -> u64 {
        const MONTH_SECS: u64 = 30 * 24 * 3600;
        const BATCH: u64 = 50;
        // It is asked at the first tick at which it may be asked again.
        let interval = interval.get().as_secs().max(1);
        let every = self.ask_every.get().as_secs().div_ceil(interval).max(1) * interval;
        MONTH_SECS / every * u64::from(instances).div_ceil(BATCH)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cloud::{MetricQuery, Statistic};

    use super::*;
    use crate::model::Reduce;

    #[test]
    fn a_month_of_calls_follows_from_how_often_and_for_how_many() {
        let spec = |every: u64| MonitorSpec {
            query: MetricQuery {
                namespace: String::new(),
                metric: String::new(),
                statistic: Statistic::Average,
                period: Duration::from_secs(60),
            },
            reduce: Reduce::Avg,
            max_age: Span::secs(300),
            ask_every: Span::secs(every),
            timeout: Span::secs(5),
        };
        for (every, instances, interval, calls) in [
            (30, 20, 15, 86_400),
            (30, 51, 15, 172_800),
            (15, 20, 15, 172_800),
            (30, 20, 20, 64_800),
            (30, 0, 15, 0),
        ] {
            let of = spec(every).calls_a_month(instances, Span::secs(interval));
            assert_eq!(of, calls, "{every} {instances} {interval}");
        }
    }
}
