//! One step: a load comes in, everything that learns learns, and the target moves.

use cloud::Timestamp;

use super::experts;
use super::regression::Schooling;
use crate::model::adaptive::{
    AdaptiveState, EXPERTS, FORECAST_LANES, LOADS, Mean, Regression, SPREAD_LANES, Shape, Waiting,
};

/// Over how long the regression is compared with "as now": six hours, so that a bad minute does not decide.
const RIVALS_SECS: f64 = 21_600.0;
/// The regression is used while its error is no larger than so many times that of "as now". Its peaks
/// are the better ones also where its mean error is a little worse: at 1 it would cost half a percent.
const TRUSTED: f64 = 1.3;
const ASTRAY: f64 = 3.0;
/// A thousandth of an instance is no error.
const STILL: f64 = 0.001;
/// How far back the load is compared with, in seconds.
const LAGS: [u32; 6] = [15, 30, 60, 120, 180, 300];
/// Slow means, time constants in seconds: 10 min, 1 h, 6 h.
const MEANS: [f64; 3] = [600.0, 3_600.0, 21_600.0];
/// Means of the error: 5 min, 1 h, 24 h.
const ERRORS: [f64; 3] = [300.0, 3_600.0, 86_400.0];
/// The first guess of an error weighs as much as so many errors.
const ERROR_PRIOR: f64 = 20.0;
/// How fast the regressions forget, half-lives in hours: a day for the shape of the load, three for
/// its noise.
const FORECAST_HALF_HOURS: f64 = 24.0;
const SPREAD_HALF_HOURS: f64 = 72.0;
/// The variance of a weight before anything is learned.
const FORECAST_START: f64 = 10.0;
const SPREAD_START: f64 = 1.0;
const FORECAST_CLIP: f64 = 10.0;
const SPREAD_CLIP: f64 = 6.0;
/// The size changes only when the target is so many spreads past it. Within the band a change gains
/// nothing: 0.3 would act a fifth more often and cost 0.1 % less on recorded loads, 0.8 a fifth less
/// often and cost 0.4 % more.
const BAND: f64 = 0.5;

/// 0.5^(share of the half-life), as a power series: the same bits on every machine.
fn keep(shape: Shape, half_hours: f64) -> f64 {
    let y = std::f64::consts::LN_2 * f64::from(shape.tick) / 3_600.0 / half_hours;
    1.0 - y * (1.0 - y / 2.0 * (1.0 - y / 3.0))
}

/// Which lags the regression uses: with a long tick the short ones would say the same.
fn lags(shape: Shape) -> impl Iterator<Item = Option<usize>> {
    LAGS.into_iter().map(move |lag| {
        (lag >= shape.tick && lag % shape.tick == 0).then_some((lag / shape.tick) as usize)
    })
}

/// Which features the forecast uses.
fn used(shape: Shape) -> [bool; FORECAST_LANES] {
    let mut used = [true; FORECAST_LANES];
    used[FORECAST_LANES - 1] = false;
    for (lane, lag) in lags(shape).enumerate() {
        used[1 + lane] = lag.is_some();
    }
    used
}

impl Mean {
    fn add(&mut self, value: f64, secs: f64, shape: Shape) -> f64 {
        self.count += 1.0;
        let pace = (f64::from(shape.tick) / secs).max(1.0 / self.count);
        self.value += pace * (value - self.value);
        self.value
    }
}

impl AdaptiveState {
    /// The state when the first load, `load` instances, is read at `at`.
    pub(super) fn begin(shape: Shape, price: f64, load: f64, at: Timestamp) -> AdaptiveState {
        // A tenth of the load, and a quarter of an instance.
        let error = 0.1 * load + 0.25;
        AdaptiveState {
            price,
            at,
            loads: [load; LOADS],
            means: [Mean { value: load, count: f64::INFINITY }; 3],
            forecast: Regression::new(used(shape), FORECAST_START),
            spread: Regression::new([true; SPREAD_LANES], SPREAD_START),
            errors: [Mean { value: error, count: ERROR_PRIOR }; 3],
            error,
            rivals: [Mean { value: error, count: ERROR_PRIOR }; 2],
            costs: experts::first_costs(shape, price, load),
            ..AdaptiveState::blank(shape)
        }
    }

    /// Takes on another boot time, age or price; what it knows of the load stays.
    pub(super) fn fit(&mut self, shape: Shape, price: f64) {
        if self.shape != shape {
            let blank = AdaptiveState::blank(shape);
            self.shape = shape;
            self.waiting = blank.waiting;
            // What was wanted with other boots says nothing of what would be ready: as if this
            // size had been wanted all the time.
            let wanted = [f32::from(u16::try_from(self.want).unwrap_or(u16::MAX)); EXPERTS];
            self.wanted = vec![wanted; blank.wanted.len()];
        }
        if self.price.to_bits() != price.to_bits() {
            self.price = price;
            self.costs = experts::first_costs(shape, price, self.means[1].value);
        }
    }

    /// The newest forecast and its spread.
    pub(super) fn outlook(&self) -> (f64, f64) {
        let newest = self.steps.saturating_sub(1) % self.outlooks.len() as u64;
        self.outlooks[usize::try_from(newest).unwrap_or(0)]
    }

    /// One step with the load in instances, or without one.
    pub(super) fn step(&mut self, reading: Option<f64>) {
        let shape = self.shape;
        match reading {
            // Nothing is learned across a gap.
            None => self.gap = shape.horizon() + shape.peak(),
            Some(_) => self.gap = self.gap.saturating_sub(1),
        }
        let load = reading.unwrap_or(self.loads[0]);
        let learns = self.gap == 0;
        self.loads.copy_within(..LOADS - 1, 1);
        self.loads[0] = load;

        let (forecast, spread) = self.look_ahead(load, learns);
        let slot = |len: usize| usize::try_from(self.steps % len as u64).unwrap_or(0);
        let (outlook, row) = (slot(self.outlooks.len()), slot(self.wanted.len()));
        self.outlooks[outlook] = (forecast, spread);
        let wishes = experts::wishes(self);
        self.wanted[row] = whole(&wishes);
        if learns {
            let keep = keep(shape, experts::COST_HALF_HOURS);
            experts::charge(self, experts::instances(load), self.price, keep);
        }
        self.target = experts::agree(&self.costs, &wishes);
        // Never fewer than the load needs now, and what was asked for is kept like any other size:
        // it is not given back with the next reading.
        self.want = self.size(BAND * spread).max(count(experts::instances(load)));
        self.steps += 1;
    }

    /// The size for the target, unless the present one is within the band.
    fn size(&self, band: f64) -> u32 {
        let want = f64::from(self.want);
        let moves = experts::instances(self.target - band) > want
            || experts::instances(self.target + band) < want
            || self.steps == 0;
        let size = if moves { count(experts::instances(self.target)) } else { self.want };
        if self.gap > 0 { size.max(self.want) } else { size }
    }

    /// Learns from what came of an old forecast, and makes a new one. Returns it and its spread.
    fn look_ahead(&mut self, load: f64, learns: bool) -> (f64, f64) {
        let shape = self.shape;
        for (mean, secs) in self.means.iter_mut().zip(MEANS) {
            mean.add(load, secs, shape);
        }
        // The mean of an hour; half an instance, so that nothing is divided by nothing.
        let scale = self.means[1].value.max(0.0) + 0.5;
        let features = self.features(load);
        self.day.add(shape, self.steps, load);

        let slot = usize::try_from(self.steps % self.waiting.len() as u64).unwrap_or(0);
        let old = self.waiting[slot].take().filter(|_| learns);
        if let Some(old) = &old {
            let peak = &self.loads[..shape.peak() as usize];
            let came = peak.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let schooling = Schooling {
                forgetting: keep(shape, FORECAST_HALF_HOURS),
                clip: FORECAST_CLIP,
                ceiling: FORECAST_START * self.live_features(),
            };
            let scale = f64::from(old.scale);
            self.forecast.learn(&old.features.map(f64::from), came, scale, &schooling);
            self.error = (came - f64::from(old.forecast)).abs();
            for (rival, said) in self.rivals.iter_mut().zip([old.model, old.features[0]]) {
                rival.add((came - f64::from(said)).abs(), RIVALS_SECS, shape);
            }
            if self.is_astray() {
                self.forecast = Regression::new(used(shape), FORECAST_START);
                self.rivals[0] = self.rivals[1];
            }
        }
        // A bound on a model that has gone astray.
        let most = 4.0 * load.max(self.means[0].value) + 4.0;
        let model = self.forecast.predict(&features).clamp(0.0, most);
        let forecast = if self.mase() <= TRUSTED { model } else { load };

        if learns {
            for (mean, secs) in self.errors.iter_mut().zip(ERRORS) {
                mean.add(self.error, secs, shape);
            }
        }
        let [short, hour, day] = self.errors.map(|mean| mean.value);
        let moved = load - self.loads[shape.steps(LAGS[5]) as usize];
        let spread_features =
            [hour, short - hour, day - hour, (forecast - load).abs(), moved.abs(), load];
        if let Some(old) = &old {
            let schooling = Schooling {
                forgetting: keep(shape, SPREAD_HALF_HOURS),
                clip: SPREAD_CLIP,
                ceiling: SPREAD_START * SPREAD_LANES as f64,
            };
            let features = old.spread_features.map(f64::from);
            self.spread.learn(&features, self.error, f64::from(old.scale), &schooling);
        }
        let widest = 10.0 * short.max(hour).max(day) + 1.0;
        let spread = self.spread.predict(&spread_features).clamp(0.1 * hour, widest);
        self.waiting[slot] = Some(Waiting {
            features: features.map(single),
            spread_features: spread_features.map(single),
            scale: single(scale),
            model: single(model),
            forecast: single(forecast),
        });
        (forecast, spread)
    }

    /// The regression's error over the last hours beside that of "as now": below 1 it is of use.
    pub(super) fn mase(&self) -> f64 {
        let [model, naive] = self.rivals.map(|mean| mean.value);
        // Where the load stands still both are right.
        (model + STILL) / (naive + STILL)
    }

    /// A regression that is so wrong has run away, and is better begun anew.
    fn is_astray(&self) -> bool {
        self.mase() > ASTRAY
    }

    /// The inputs of the forecast.
    fn features(&self, load: f64) -> [f64; FORECAST_LANES] {
        let shape = self.shape;
        let mut features = [0.0; FORECAST_LANES];
        features[0] = load;
        for (lane, lag) in lags(shape).enumerate() {
            features[1 + lane] = lag.map_or(0.0, |lag| load - self.loads[lag]);
        }
        for (lane, mean) in self.means.iter().enumerate() {
            features[1 + LAGS.len() + lane] = mean.value - load;
        }
        let ahead = shape.horizon();
        features[1 + LAGS.len() + MEANS.len()] = self.day.change(shape, self.steps, ahead, load);
        features
    }

    /// How many features are used.
    fn live_features(&self) -> f64 {
        (2 + MEANS.len() + lags(self.shape).flatten().count()) as f64
    }
}

fn whole(wishes: &[f64; EXPERTS]) -> [f32; EXPERTS] {
    wishes.map(|wish| single(experts::instances(wish)))
}

#[expect(clippy::cast_possible_truncation, reason = "seven digits are plenty")]
fn single(value: f64) -> f32 {
    value as f32
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number of at least 1, and `as` saturates"
)]
fn count(instances: f64) -> u32 {
    instances as u32
}
