//! Metrics of a service that are read whenever they are asked for.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Takes the metrics of a service. Each has its own name.
#[derive(Debug)]
pub struct Samples<'a> {
    encoder: DescriptorEncoder<'a>,
    result: fmt::Result,
}

impl Samples<'_> {
    /// A number that rises and falls.
    pub fn gauge(&mut self, name: &str, about: &str, value: u64) {
        self.add(|encoder| {
            let to = encoder.encode_descriptor(name, about, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(to)
        });
    }

    /// Numbers that rise and fall, for a few values of a label.
    pub fn gauges(&mut self, name: &str, about: &str, label: &str, values: &[(&str, u64)]) {
        self.add(|encoder| {
            let mut to = encoder.encode_descriptor(name, about, None, MetricType::Gauge)?;
            values.iter().try_for_each(|&(value, number)| {
                ConstGauge::new(number).encode(to.encode_family(&[(label, value)])?)
            })
        });
    }

    /// Numbers that only rise, for a few values of a label. `_total` is added to the name.
    pub fn counters(&mut self, name: &str, about: &str, label: &str, values: &[(&str, u64)]) {
        self.add(|encoder| {
            let mut to = encoder.encode_descriptor(name, about, None, MetricType::Counter)?;
            values.iter().try_for_each(|&(value, number)| {
                ConstCounter::new(number).encode(to.encode_family(&[(label, value)])?)
            })
        });
    }

    fn add(&mut self, encode: impl FnOnce(&mut DescriptorEncoder<'_>) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = encode(&mut self.encoder);
        }
    }
}

/// Calls a function for each scrape.
pub(crate) struct Readings<F>(pub F);

impl<F: Fn(&mut Samples<'_>) + Send + Sync + 'static> Collector for Readings<F> {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut samples = Samples { encoder, result: Ok(()) };
        (self.0)(&mut samples);
        samples.result
    }
}

impl<F> fmt::Debug for Readings<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Readings").finish_non_exhaustive()
    }
}
