//! The state as a text: the bits of its numbers in Base64, since decimal digits would take three
//! times the room, and a replay needs every bit.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use cloud::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    AdaptiveState, Day, EXPERTS, FORECAST_LANES, LOADS, Mean, Regression, SPREAD_LANES, Shape,
    Waiting,
};

/// The form of `bits`: another one cannot be read, and the rule begins anew.
const FORM: u32 = 1;

/// As it is recorded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Packed {
    form: u32,
    #[serde(flatten)]
    shape: Shape,
    price: f64,
    at: Timestamp,
    steps: u64,
    gap: u32,
    want: u32,
    bits: String,
}

impl From<AdaptiveState> for Packed {
    fn from(state: AdaptiveState) -> Packed {
        let mut out = Writer(Vec::new());
        out.doubles(&state.loads);
        for mean in state.means.iter().chain(&state.errors).chain(&state.rivals) {
            out.doubles(&[mean.value, mean.count]);
        }
        out.doubles(&[state.error, state.target]);
        out.regression(&state.forecast);
        out.regression(&state.spread);
        out.doubles(&state.costs);
        out.long(state.day.filled);
        out.doubles(&[state.day.sum]);
        out.floats(&state.day.bins);
        for waiting in &state.waiting {
            out.0.push(u8::from(waiting.is_some()));
            if let Some(waiting) = waiting {
                out.floats(&waiting.features);
                out.floats(&waiting.spread_features);
                out.floats(&[waiting.scale, waiting.model, waiting.forecast]);
            }
        }
        for (forecast, spread) in &state.outlooks {
            out.doubles(&[*forecast, *spread]);
        }
        for wanted in &state.wanted {
            out.floats(wanted);
        }
        Packed {
            form: FORM,
            shape: state.shape,
            price: state.price,
            at: state.at,
            steps: state.steps,
            gap: state.gap,
            want: state.want,
            bits: STANDARD_NO_PAD.encode(out.0),
        }
    }
}

impl TryFrom<Packed> for AdaptiveState {
    type Error = String;

    fn try_from(packed: Packed) -> Result<AdaptiveState, String> {
        if packed.form != FORM {
            return Err(format!("the form {} of the adaptive rule's memory", packed.form));
        }
        let bits = STANDARD_NO_PAD.decode(&packed.bits).map_err(|error| error.to_string())?;
        let mut state = AdaptiveState::blank(packed.shape);
        let mut from = Reader(&bits);
        read(&mut from, &mut state).ok_or("the adaptive rule's memory is cut off")?;
        if !from.0.is_empty() || !state.is_finite() {
            return Err("the adaptive rule's memory is damaged".to_owned());
        }
        let Packed { price, at, steps, gap, want, .. } = packed;
        Ok(AdaptiveState { price, at, steps, gap, want, ..state })
    }
}

fn read(from: &mut Reader<'_>, state: &mut AdaptiveState) -> Option<()> {
    state.loads = from.doubles::<LOADS>()?;
    let AdaptiveState { means, errors, rivals, .. } = &mut *state;
    for mean in means.iter_mut().chain(errors).chain(rivals) {
        let [value, count] = from.doubles()?;
        *mean = Mean { value, count };
    }
    [state.error, state.target] = from.doubles()?;
    state.forecast = from.regression::<FORECAST_LANES>()?;
    state.spread = from.regression::<SPREAD_LANES>()?;
    state.costs = from.doubles::<EXPERTS>()?;
    state.day.filled = from.long()?;
    [state.day.sum] = from.doubles()?;
    for bin in &mut state.day.bins {
        [*bin] = from.floats()?;
    }
    for waiting in &mut state.waiting {
        let [known] = from.bytes()?;
        if known == 0 {
            continue;
        }
        let (features, spread_features) = (from.floats()?, from.floats()?);
        let [scale, model, forecast] = from.floats()?;
        *waiting = Some(Waiting { features, spread_features, scale, model, forecast });
    }
    for outlook in &mut state.outlooks {
        let [forecast, spread] = from.doubles()?;
        *outlook = (forecast, spread);
    }
    for wanted in &mut state.wanted {
        *wanted = from.floats()?;
    }
    Some(())
}

impl AdaptiveState {
    /// A state of the right size, with nothing in it.
    pub(crate) fn blank(shape: Shape) -> AdaptiveState {
        let nothing = Mean { value: 0.0, count: 0.0 };
        AdaptiveState {
            shape,
            price: 0.0,
            at: Timestamp::default(),
            steps: 0,
            loads: [0.0; LOADS],
            means: [nothing; 3],
            day: Day { bins: vec![0.0; shape.bins()], filled: 0, sum: 0.0 },
            forecast: Regression::blank(),
            spread: Regression::blank(),
            errors: [nothing; 3],
            error: 0.0,
            rivals: [nothing; 2],
            waiting: vec![None; shape.horizon() as usize],
            outlooks: vec![(0.0, 0.0); shape.longest_hold()],
            wanted: vec![[0.0; EXPERTS]; (shape.age + shape.boot + 1) as usize],
            costs: [0.0; EXPERTS],
            gap: 0,
            want: 1,
            target: 0.0,
        }
    }

    /// Whether what it goes on from are numbers.
    fn is_finite(&self) -> bool {
        let means =
            self.means.iter().chain(&self.errors).chain(&self.rivals).map(|mean| mean.value);
        let weights = self.forecast.weights.iter().chain(&self.spread.weights).copied();
        let costs = self.costs.iter().chain(&self.loads).copied();
        means.chain(weights).chain(costs).all(f64::is_finite)
    }
}

impl<const N: usize> Regression<N> {
    fn blank() -> Regression<N> {
        Regression { weights: [0.0; N], covariance: [[0.0; N]; N], deviation: 0.0 }
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn doubles(&mut self, values: &[f64]) {
        values.iter().for_each(|value| self.0.extend(value.to_le_bytes()));
    }

    fn floats(&mut self, values: &[f32]) {
        values.iter().for_each(|value| self.0.extend(value.to_le_bytes()));
    }

    fn long(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    fn regression<const N: usize>(&mut self, regression: &Regression<N>) {
        self.doubles(&regression.weights);
        regression.covariance.iter().for_each(|row| self.doubles(row));
        self.doubles(&[regression.deviation]);
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn doubles<const N: usize>(&mut self) -> Option<[f64; N]> {
        let mut values = [0.0; N];
        for value in &mut values {
            *value = f64::from_le_bytes(self.bytes()?);
        }
        Some(values)
    }

    fn floats<const N: usize>(&mut self) -> Option<[f32; N]> {
        let mut values = [0.0; N];
        for value in &mut values {
            *value = f32::from_le_bytes(self.bytes()?);
        }
        Some(values)
    }

    fn long(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn regression<const N: usize>(&mut self) -> Option<Regression<N>> {
        let weights = self.doubles()?;
        let mut covariance = [[0.0; N]; N];
        for row in &mut covariance {
            *row = self.doubles()?;
        }
        let [deviation] = self.doubles()?;
        Some(Regression { weights, covariance, deviation })
    }
}
