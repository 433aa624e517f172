//! Reading the JSON of an answer straight into what is wanted of it, with bounds. Pure.

use cloud::Redactor;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess};

use super::answer::Want;
use super::groups::{EXAMPLES, Groups};
use crate::signals::take::{KeyName, Scalar, Small, Take, Taking};

/// 50,000: five for each of 10,000 fleets. A signal that needs more should be aggregated by the
/// server.
const SERIES_MAX: usize = 50_000;
/// 64: twice what the most talkative exporters give to a series.
const LABELS_MAX: usize = 64;
/// 256 bytes: a host's name with its port has fewer.
const LABEL_BYTES_MAX: usize = 256;
/// A series in an error: its first labels tell which one it is.
const SHOWN_BYTES_MAX: usize = 200;
/// 5 warnings tell what is wrong; more of them say the same.
const WARNINGS_MAX: usize = 5;
/// No number is longer: 17 digits, a sign, a point and an exponent.
const NUMBER_BYTES_MAX: usize = 64;

/// Everything that an answer may say.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) status: Option<String>,
    pub(super) error_type: Option<String>,
    pub(super) error: Option<String>,
    /// In which words it says that it is incomplete.
    pub(super) partial: Option<String>,
    pub(super) warnings: Vec<String>,
    pub(super) result_type: Option<String>,
    pub(super) scalar: Option<(f64, String)>,
    pub(super) series: FoundSeries,
}

/// The fields wanted of the series.
#[derive(Debug)]
pub(super) struct FoundSeries {
    rows: usize,
    pub(super) evaluated_at: Option<f64>,
    pub(super) values: Vec<f64>,
    pub(super) groups: Groups,
    pub(super) ones: Vec<String>,
    pub(super) named: Vec<(String, f64)>,
    pub(super) examples: Vec<String>,
    /// Some series has no number.
    pub(super) has_histogram: bool,
}

/// The answer being read, and the faults found in it.
struct Reader<'a> {
    body: Body,
    want: &'a Want,
    redactor: &'a Redactor,
    has_result: bool,
    /// Why reading ended early.
    refused: Option<String>,
}

/// Reads a body. An error says what is wrong where that is known.
pub(super) fn read(bytes: &[u8], want: &Want, redactor: &Redactor) -> Result<Body, Option<String>> {
    let (labels, how) = match want {
        Want::Each(labels, how) => (labels.clone(), *how),
        Want::One(_) | Want::Ones(_) | Want::Named(_) => (std::sync::Arc::default(), None),
    };
    let series = FoundSeries {
        rows: 0,
        evaluated_at: None,
        values: Vec::new(),
        groups: Groups::new(labels, how),
        ones: Vec::new(),
        named: Vec::new(),
        examples: Vec::new(),
        has_histogram: false,
    };
    let body = Body {
        status: None,
        error_type: None,
        error: None,
        partial: None,
        warnings: Vec::new(),
        result_type: None,
        scalar: None,
        series,
    };
    let mut reader = Reader { body, want, redactor, has_result: false, refused: None };
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let read = Taking(Envelope(&mut reader)).deserialize(&mut json).and_then(|()| json.end());
    match read {
        Ok(()) => Ok(reader.body),
        Err(_) => Err(reader.refused),
    }
}

/// A value as Prometheus writes it. Rust reads "NaN", "+Inf" and "-Inf" as numbers, too.
pub(super) fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|_| text.len() <= NUMBER_BYTES_MAX)
}

impl Reader<'_> {
    fn refuse<E: Error>(&mut self, what: &str) -> E {
        self.refused = Some(what.to_owned());
        E::custom("refused")
    }

    fn small(&self) -> Taking<Small<impl Fn(&str) -> String>> {
        Taking(Small(|text: &str| self.redactor.line(text)))
    }

    /// A key at the top of the answer or of its data that may say that something is missing.
    fn partial<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        let value = map.next_value_seed(self.small())?;
        let says = match value {
            Scalar::Null | Scalar::Flag(false) | Scalar::Composed { is_empty: true } => None,
            Scalar::Number(0.0) => None,
            Scalar::Text(text) if text.is_empty() || text == "false" => None,
            Scalar::Flag(true) => Some("true".to_owned()),
            Scalar::Number(number) => Some(number.to_string()),
            Scalar::Text(text) => Some(text),
            Scalar::Composed { .. } => Some("…".to_owned()),
        };
        if let Some(says) = says {
            self.body.partial = Some(self.redactor.line(&format!("{key} = {says}")));
        }
        Ok(())
    }

    /// A series that has been read.
    fn add(&mut self, metric: &Metric, at: f64, value: f64) {
        let series = &mut self.body.series;
        series.evaluated_at = Some(at);
        if series.examples.len() < EXAMPLES {
            series.examples.push(metric.shown());
        }
        match self.want {
            Want::One(_) => series.values.push(value),
            Want::Each(..) => {
                let values: Vec<&str> =
                    metric.wanted.iter().map(|value| value.as_deref().unwrap_or("")).collect();
                let shown = metric.has_more.then(|| metric.shown());
                series.groups.add(&values, value, shown.as_deref());
            }
            #[expect(clippy::float_cmp, reason = "`up` is exactly 0 or 1")]
            Want::Ones(_) => {
                if let Some(Some(label)) = metric.wanted.first().filter(|_| value == 1.0) {
                    series.ones.push(label.clone());
                }
            }
            Want::Named(_) => {
                if let Some(Some(label)) = metric.wanted.first() {
                    series.named.push((label.clone(), value));
                }
            }
        }
    }
}

/// Whether a key of this name says that an answer is incomplete: `isPartial`, `partial_response`,
/// `truncated`, and what others call it.
fn says_partial(key: &str) -> bool {
    let mut plain = key.to_lowercase();
    plain.retain(|c| c.is_ascii_alphanumeric());
    let word = plain.strip_prefix("is").unwrap_or(&plain);
    ["partial", "incomplete", "truncated", "limited"].iter().any(|sign| word.starts_with(sign))
}

/// The whole answer.
struct Envelope<'r, 'a>(&'r mut Reader<'a>);

impl<'de> Take<'de> for Envelope<'_, '_> {
    type Taken = ();

    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Envelope(reader) = self;
        while let Some(key) = map.next_key_seed(Taking(KeyName))? {
            match key.as_str() {
                "status" => {
                    reader.body.status = map.next_value_seed(reader.small())?.into_text();
                }
                "errorType" => {
                    reader.body.error_type = map.next_value_seed(reader.small())?.into_text();
                }
                "error" => reader.body.error = map.next_value_seed(reader.small())?.into_text(),
                "warnings" => map.next_value_seed(Taking(Warnings(reader)))?,
                "data" => map.next_value_seed(Taking(Data(reader)))?,
                key if says_partial(key) => reader.partial(key, &mut map)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// The remarks of a server beside the data. An informational one is no warning: Prometheus 2.47 to
/// 2.53 and Thanos put it among them, later ones have `infos` for it.
struct Warnings<'r, 'a>(&'r mut Reader<'a>);

const INFORMATIONAL: &str = "PromQL info:";

impl Warnings<'_, '_> {
    fn add(&mut self, warning: String) {
        let warnings = &mut self.0.body.warnings;
        if warnings.len() < WARNINGS_MAX && !warning.starts_with(INFORMATIONAL) {
            warnings.push(warning);
        }
    }
}

impl<'de> Take<'de> for Warnings<'_, '_> {
    type Taken = ();

    fn null<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn text<E: Error>(mut self, text: &str) -> Result<(), E> {
        if !text.is_empty() {
            let line = self.0.redactor.line(text);
            self.add(line);
        }
        Ok(())
    }

    fn list<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(warning) = list.next_element_seed(self.0.small())? {
            match warning {
                Scalar::Text(text) => self.add(text),
                Scalar::Null => {}
                _ => self.add("a warning that is no text".to_owned()),
            }
        }
        Ok(())
    }

    fn map<A: MapAccess<'de>>(mut self, map: A) -> Result<(), A::Error> {
        let taken = Small(|_: &str| String::new()).map(map)?;
        if taken != (Scalar::Composed { is_empty: true }) {
            self.add("a warning that is no text".to_owned());
        }
        Ok(())
    }
}

/// `data`.
struct Data<'r, 'a>(&'r mut Reader<'a>);

impl<'de> Take<'de> for Data<'_, '_> {
    type Taken = ();

    fn null<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Data(reader) = self;
        while let Some(key) = map.next_key_seed(Taking(KeyName))? {
            match key.as_str() {
                "resultType" => {
                    reader.body.result_type = map.next_value_seed(reader.small())?.into_text();
                }
                "result" if reader.has_result => return Err(reader.refuse("it has two results")),
                "result" => {
                    reader.has_result = true;
                    map.next_value_seed(Taking(Rows(reader)))?;
                }
                "warnings" => map.next_value_seed(Taking(Warnings(reader)))?,
                key if says_partial(key) => reader.partial(key, &mut map)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// `result`: a list of series, or `[time, "value"]`.
struct Rows<'r, 'a>(&'r mut Reader<'a>);

impl<'de> Take<'de> for Rows<'_, '_> {
    type Taken = ();

    fn null<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Rows(reader) = self;
        let mut time = None;
        while let Some(element) = list.next_element_seed(Taking(Element(reader)))? {
            match (element, time) {
                (Some(Scalar::Number(at)), None) => time = Some(at),
                (Some(Scalar::Text(text)), Some(at)) if reader.body.scalar.is_none() => {
                    reader.body.scalar = Some((at, text));
                }
                (None, None) => {}
                _ => return Err(reader.refuse("its scalar is not [time, \"value\"]")),
            }
        }
        Ok(())
    }
}

/// A series, or a part of a scalar.
struct Element<'r, 'a>(&'r mut Reader<'a>);

impl<'de> Take<'de> for Element<'_, '_> {
    type Taken = Option<Scalar>;

    fn number<E: Error>(self, number: f64) -> Result<Option<Scalar>, E> {
        Ok(Some(Scalar::Number(number)))
    }

    fn text<E: Error>(self, text: &str) -> Result<Option<Scalar>, E> {
        Ok(Some(Scalar::Text(self.0.redactor.line(text))))
    }

    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Scalar>, A::Error> {
        let Element(reader) = self;
        reader.body.series.rows += 1;
        if reader.body.series.rows > SERIES_MAX {
            let what = format!("it has more than {SERIES_MAX} series; aggregate in the query");
            return Err(reader.refuse(&what));
        }
        let mut metric = Metric::wanted_by(reader);
        let mut value = None;
        while let Some(key) = map.next_key_seed(Taking(KeyName))? {
            match key.as_str() {
                "metric" => map.next_value_seed(Taking(Labels(reader, &mut metric)))?,
                "value" => value = map.next_value_seed(Taking(Pair(reader)))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match value {
            Some((at, value)) => reader.add(&metric, at, value),
            None => reader.body.series.has_histogram = true,
        }
        Ok(None)
    }
}

/// `[time, "value"]`.
struct Pair<'r, 'a>(&'r mut Reader<'a>);

impl<'de> Take<'de> for Pair<'_, '_> {
    type Taken = Option<(f64, f64)>;

    fn null<E: Error>(self) -> Result<Option<(f64, f64)>, E> {
        Ok(None)
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Option<(f64, f64)>, A::Error> {
        let at = list.next_element_seed(self.0.small())?;
        let text = list.next_element_seed(self.0.small())?;
        let more = list.next_element::<IgnoredAny>()?;
        match (at, text, more) {
            (Some(Scalar::Number(at)), Some(Scalar::Text(text)), None) => match number(&text) {
                Some(value) => Ok(Some((at, value))),
                None => Err(self.0.refuse("a value is no number")),
            },
            _ => Err(self.0.refuse("a value is not [time, \"value\"]")),
        }
    }
}

/// The labels of one series, as far as they are wanted.
#[derive(Debug)]
struct Metric {
    /// In the order of the wanted labels.
    wanted: Vec<Option<String>>,
    /// The first labels, for an error.
    text: String,
    shows: bool,
    /// There are labels beside the wanted ones.
    has_more: bool,
}

impl Metric {
    fn wanted_by(reader: &Reader<'_>) -> Metric {
        let (wanted, shows) = match reader.want {
            Want::One(_) => (0, false),
            Want::Each(labels, _) => (labels.len(), true),
            Want::Ones(_) | Want::Named(_) => (1, false),
        };
        let shows = shows || reader.body.series.examples.len() < EXAMPLES;
        Metric { wanted: vec![None; wanted], text: String::new(), shows, has_more: false }
    }

    /// `{instance="a:9100", job="node"}`.
    fn shown(&self) -> String {
        format!("{{{}}}", self.text)
    }

    fn show(&mut self, name: &str, value: &str) {
        if !self.shows || self.text.ends_with('…') {
            return;
        }
        if !self.text.is_empty() {
            self.text.push_str(", ");
        }
        let pair = format!("{name}={value:?}");
        if self.text.len() + pair.len() > SHOWN_BYTES_MAX {
            self.text.push('…');
        } else {
            self.text.push_str(&pair);
        }
    }
}

/// `metric`.
struct Labels<'r, 'a, 'm>(&'r mut Reader<'a>, &'m mut Metric);

impl<'de> Take<'de> for Labels<'_, '_, '_> {
    type Taken = ();

    fn null<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Labels(reader, metric) = self;
        let mut count = 0;
        while let Some(name) =
            map.next_key_seed(Taking(Label { redactor: reader.redactor, shows: metric.shows }))?
        {
            count += 1;
            if count > LABELS_MAX {
                let what = format!("a series has more than {LABELS_MAX} labels");
                return Err(reader.refuse(&what));
            }
            let at = match reader.want {
                Want::One(_) => None,
                Want::Each(labels, _) => labels.iter().position(|label| *label == name.whole),
                Want::Ones(label) | Want::Named(label) => (*label == name.whole).then_some(0),
            };
            if at.is_none() && !metric.shows {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = map.next_value_seed(Taking(Label {
                redactor: reader.redactor,
                shows: metric.shows,
            }))?;
            metric.has_more |= at.is_none();
            metric.show(&name.shown, &value.shown);
            if let Some(place) = at.and_then(|at| metric.wanted.get_mut(at)) {
                if value.is_long {
                    let what = format!("a label is longer than {LABEL_BYTES_MAX} bytes");
                    return Err(reader.refuse(&what));
                }
                *place = Some(value.whole);
            }
        }
        Ok(())
    }
}

/// A label's name or value.
struct Label<'a> {
    redactor: &'a Redactor,
    shows: bool,
}

struct LabelText {
    /// As it is; empty when it is too long.
    whole: String,
    is_long: bool,
    /// For an error.
    shown: String,
}

impl Take<'_> for Label<'_> {
    type Taken = LabelText;

    fn text<E: Error>(self, text: &str) -> Result<LabelText, E> {
        let is_long = text.len() > LABEL_BYTES_MAX;
        let whole = if is_long { String::new() } else { text.to_owned() };
        let shown = if self.shows { self.redactor.line(text) } else { String::new() };
        Ok(LabelText { whole, is_long, shown })
    }
}
