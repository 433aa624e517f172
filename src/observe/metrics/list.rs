//! Writing a list of metrics down, one after the other.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::metrics::histogram::Histogram;

/// A sample: its labels and its value.
pub(super) type Row<'a, const N: usize> = ([(&'a str, &'a str); N], f64);

pub(super) const NO_LABELS: [(&str, &str); 0] = [];

/// Writes the list down, metric by metric.
pub(super) struct List<'a>(pub(super) DescriptorEncoder<'a>);

impl List<'_> {
    pub(super) fn gauge<'s, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = Row<'s, N>>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in finite(rows) {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// The name without its ending `_total`.
    pub(super) fn counter<'s, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = Row<'s, N>>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        let none: Option<&Exemplar<NoLabelSet, f64>> = None;
        for (labels, value) in finite(rows) {
            metric.encode_family(&labels)?.encode_counter(&value, none)?;
        }
        Ok(())
    }

    pub(super) fn histograms<'s, L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (L, &'s Histogram)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, histogram) in rows {
            histogram.encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// A value that is no number would poison every sum over it.
fn finite<'s, const N: usize>(
    rows: impl IntoIterator<Item = Row<'s, N>>,
) -> impl Iterator<Item = Row<'s, N>> {
    rows.into_iter().filter(|(_, value)| value.is_finite())
}
