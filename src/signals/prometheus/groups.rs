//! The series of one answer by their labels, for many fleets: found once, picked in one step. Pure.

use std::collections::HashMap;

use super::answer::one;
use crate::model::{Gap, Reduce};

/// How many of several series an error names.
pub(super) const EXAMPLES: usize = 3;
/// Names of series are kept for errors only; 256 KiB are some thousands.
const SHOWN_BYTES_MAX: usize = 256 * 1024;
/// The memory that an entry takes beside its texts: its place in the table, with what a table leaves empty.
const ENTRY_BYTES: usize = 96;

/// The values of the wanted labels lead to their series.
#[derive(Debug)]
pub(super) struct Groups {
    labels: std::sync::Arc<[String]>,
    how: Option<Reduce>,
    by_values: HashMap<Box<str>, Group>,
    /// Examples of series, for a message that none fits.
    examples: Vec<String>,
    count: usize,
    shown_bytes: usize,
    text_bytes: usize,
}

#[derive(Debug)]
enum Group {
    One { value: f64, shown: Option<Box<str>> },
    Several(Box<Several>),
}

#[derive(Debug)]
struct Several {
    values: Vec<f64>,
    examples: Vec<String>,
}

/// Stands between values of labels, which a server cannot send within one.
const BETWEEN: char = '\0';

fn key(values: &[&str]) -> Box<str> {
    match values {
        [one] => Box::from(*one),
        several => several.join(&BETWEEN.to_string()).into(),
    }
}

impl Groups {
    pub(super) fn new(labels: std::sync::Arc<[String]>, how: Option<Reduce>) -> Groups {
        Groups {
            labels,
            how,
            by_values: HashMap::new(),
            examples: Vec::new(),
            count: 0,
            shown_bytes: 0,
            text_bytes: 0,
        }
    }

    /// Adds a series; `shown` is what it looks like, where it has more labels than the wanted ones.
    pub(super) fn add(&mut self, values: &[&str], value: f64, shown: Option<&str>) {
        self.count += 1;
        let shown = shown.filter(|shown| self.shown_bytes + shown.len() <= SHOWN_BYTES_MAX);
        self.shown_bytes += shown.map_or(0, str::len);
        let key = key(values);
        match self.by_values.get_mut(&key) {
            None => {
                self.text_bytes += key.len();
                let shown = shown.map(Box::from);
                self.by_values.insert(key, Group::One { value, shown });
            }
            Some(group) => group.add(value, shown),
        }
    }

    pub(super) fn done(mut self, examples: Vec<String>) -> Groups {
        self.by_values.shrink_to_fit();
        Groups { examples, ..self }
    }

    pub(super) fn bytes(&self) -> usize {
        self.by_values.len() * ENTRY_BYTES + self.text_bytes + self.shown_bytes + self.count * 8
    }

    /// The number of the group whose labels have `values`.
    pub(super) fn pick(&self, values: &[&str]) -> Result<f64, Gap> {
        match self.by_values.get(&key(values)) {
            None => Err(Gap::NoSeries {
                series: self.named(values),
                count: self.count,
                examples: self.examples.clone(),
            }),
            Some(Group::One { value, .. }) => one(&[*value], self.how, Vec::new()),
            Some(Group::Several(several)) => {
                one(&several.values, self.how, several.examples.clone())
            }
        }
    }

    /// `{fleet="web"}`.
    fn named(&self, values: &[&str]) -> String {
        let pairs = self.labels.iter().zip(values);
        let pairs: Vec<String> = pairs.map(|(label, value)| format!("{label}={value:?}")).collect();
        format!("{{{}}}", pairs.join(", "))
    }
}

impl Group {
    fn add(&mut self, value: f64, shown: Option<&str>) {
        if let Group::One { value, shown } = self {
            let examples = shown.take().map(String::from).into_iter().collect();
            *self = Group::Several(Box::new(Several { values: vec![*value], examples }));
        }
        if let Group::Several(several) = self {
            several.values.push(value);
            if several.examples.len() < EXAMPLES {
                several.examples.extend(shown.map(ToOwned::to_owned));
            }
        }
    }
}
