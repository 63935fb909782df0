//! The outcome of a trace: the use of each service's image, as text, Markdown and JSON.

use serde::{Deserialize, Serialize};

use contents::use_shares::ImageUse;
use contents::use_view::UseView;
use host::render::Render;
use model::edition::Edition;

/// The outcome of a trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceReport {
    /// Version of this format.
    pub schema: u32,
    /// The edition of the images.
    pub edition: Edition,
    /// The use of each traced service's image.
    pub services: Vec<ImageUse>,
    /// Traced services without a probe: their records show only the start and calls from other services.
    pub unasked: Vec<String>,
    /// Total time of the probes, from each request to its response.
    pub probe_milliseconds: u64,
    /// Total time spent reading the kernel's events, after each response. Excludes any slowdown of the traced service.
    pub recording_milliseconds: u64,
}

/// A report and the maximum length of its tables.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct TraceView<'r> {
    /// The report.
    pub report: &'r TraceReport,
    /// Maximum rows of a table.
    #[serde(skip)]
    pub top: usize,
}

impl Render for TraceView<'_> {
    fn text(&self) -> String {
        self.whole(|view| view.text())
    }

    fn markdown(&self) -> String {
        self.whole(|view| view.markdown())
    }
}

impl TraceView<'_> {
    fn whole(&self, one: impl Fn(&UseView<'_>) -> String) -> String {
        let services = self.report.services.iter().map(|usage| one(&UseView { usage, top: self.top }));
        let services: Vec<String> = services.collect();
        let unasked = match self.report.unasked.as_slice() {
            [] => String::new(),
            names => {
                format!(
                    "\nNo probe asks {}: only the start, and what other services asked, were traced.\n",
                    names.join(", ")
                )
            }
        };
        let [probes, recording] = [self.report.probe_milliseconds, self.report.recording_milliseconds]
            .map(|time| time as f64 / 1000.0);
        let cost = format!(
            "\nThe probes took {probes:.2} s; reading kernel events between them took {recording:.2} s.\n"
        );
        services.join("\n") + &unasked + &cost
    }
}
