//! Probe reports: one stack, or all stacks of a test, as records, text and Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::probes::coverage::{self, RouteCoverage};
use host::printable::markdown_block;
use host::render::Render;
use host::secrets::Secrets;
use host::table::{Align, Table};
use model::edition::Edition;
use model::variant::Variant;

/// The current version of [`ProbeReport`] and [`TestReport`].
pub const SCHEMA: u32 = 1;

/// The outcomes of all probes sent to one stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// The Compose project.
    pub project: String,
    /// The image ID of every running service, so that a reader can tell whether it is still current.
    pub images: BTreeMap<String, String>,
    /// In the order the probes were sent.
    pub outcomes: Vec<ProbeOutcome>,
    /// The services without a probe or a health check.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unprobed: Vec<String>,
    /// Which documented routes the passed probes exercise, for services with an OpenAPI document; only in `test`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RouteCoverage>,
}

/// Why a service is not probed.
pub(crate) const UNPROBED: &str = "no probe, no health check";

/// The outcome of one probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeOutcome {
    /// The service or scenario it belongs to.
    pub group: String,
    /// Its name.
    pub probe: String,
    /// Whether it passed.
    #[serde(flatten)]
    pub verdict: ProbeVerdict,
    /// From the first request to the verdict.
    pub milliseconds: u64,
    /// Number of requests; 0 if the service could not be reached.
    pub tries: u32,
}

/// Whether a probe passed, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "verdict")]
pub enum ProbeVerdict {
    /// The answer is as expected.
    Passed,
    /// The answer is wrong or missing.
    Failed {
        /// Every fault.
        wrong: Vec<String>,
        /// Method and address; empty if no request was sent.
        request: String,
        /// The shortened answer, secrets masked; empty if there is none.
        answer: String,
    },
    /// Not sent, because an earlier probe failed to capture a value it needs.
    Skipped {
        /// Which value.
        reason: String,
    },
}

/// The outcome of `test`: throwaway stacks and parity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestReport {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// One for each tested variant.
    pub stacks: Vec<StackReport>,
    /// Whether optimized images answer as the originals do; `None` if not compared.
    pub parity: Option<ParityReport>,
}

/// The outcome of one throwaway stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StackReport {
    /// The edition of its images.
    pub edition: Edition,
    /// The variant of its images.
    pub variant: Variant,
    /// The outcomes of its probes.
    pub report: ProbeReport,
}

/// A comparison of optimized images with the originals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParityReport {
    /// Whether recorded answers replaced running originals.
    pub recorded: bool,
    /// One outcome for each probe.
    pub report: ProbeReport,
}

/// One report in a larger document.
#[derive(Debug)]
pub struct ReportSection<'r> {
    /// Empty for a report that stands alone.
    pub title: String,
    /// The report.
    pub report: &'r ProbeReport,
}

impl ProbeOutcome {
    /// An outcome that took from `started` until now, with secrets masked.
    pub(crate) fn new(
        group: &str,
        probe: &str,
        verdict: ProbeVerdict,
        started: Instant,
        tries: u32,
        secrets: &Secrets,
    ) -> Self {
        let verdict = verdict.masked(secrets);
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        ProbeOutcome { group: group.to_owned(), probe: probe.to_owned(), verdict, milliseconds, tries }
    }

    /// `GROUP · PROBE`, as messages name it.
    pub fn name(&self) -> String {
        format!("{} · {}", self.group, self.probe)
    }

    /// Whether the answer is as expected.
    pub fn passed(&self) -> bool {
        self.verdict == ProbeVerdict::Passed
    }

    /// Why it did not pass, over several lines.
    pub(crate) fn details(&self) -> String {
        let mut out = format!("{}: ", self.name());
        match &self.verdict {
            ProbeVerdict::Passed => out.push_str("passed\n"),
            ProbeVerdict::Skipped { reason } => writeln!(out, "skipped: {reason}").unwrap_or_default(),
            ProbeVerdict::Failed { wrong, request, answer } => {
                out.push_str(&wrong.join("; "));
                out.push('\n');
                if !request.is_empty() {
                    let tries =
                        if self.tries > 1 { format!(", {} tries", self.tries) } else { String::new() };
                    writeln!(out, "    {request}{tries}").ok();
                }
                answer.lines().for_each(|line| writeln!(out, "    {line}").unwrap_or_default());
            }
        }
        out
    }
}

impl ProbeVerdict {
    /// A failure without an answer to show.
    pub(crate) fn failed(wrong: Vec<String>, request: &str) -> ProbeVerdict {
        ProbeVerdict::Failed { wrong, request: request.to_owned(), answer: String::new() }
    }

    fn masked(self, secrets: &Secrets) -> ProbeVerdict {
        match self {
            ProbeVerdict::Passed => ProbeVerdict::Passed,
            ProbeVerdict::Skipped { reason } => ProbeVerdict::Skipped { reason: secrets.mask(&reason) },
            ProbeVerdict::Failed { wrong, request, answer } => ProbeVerdict::Failed {
                wrong: wrong.iter().map(|line| secrets.mask(line)).collect(),
                request: secrets.mask(&request),
                answer: secrets.mask(&answer),
            },
        }
    }
}

impl ProbeReport {
    /// Outcomes that failed or were skipped.
    pub fn not_passed(&self) -> impl Iterator<Item = &ProbeOutcome> {
        self.outcomes.iter().filter(|outcome| !outcome.passed())
    }

    /// The report without a title.
    pub fn section(&self) -> ReportSection<'_> {
        ReportSection { title: String::new(), report: self }
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&[
            ("service", Align::Left),
            ("probe", Align::Left),
            ("verdict", Align::Left),
            ("time", Align::Right),
        ]);
        for outcome in &self.outcomes {
            let verdict = match outcome.verdict {
                ProbeVerdict::Passed if outcome.tries > 1 => format!("passed, {} tries", outcome.tries),
                ProbeVerdict::Passed => "passed".to_owned(),
                ProbeVerdict::Failed { .. } => "FAILED".to_owned(),
                ProbeVerdict::Skipped { .. } => "skipped".to_owned(),
            };
            let time = format!("{} ms", outcome.milliseconds);
            table.row(vec![outcome.group.clone(), outcome.probe.clone(), verdict, time]);
        }
        table
    }
}

impl TestReport {
    /// Its parts, each with a title.
    pub fn sections(&self) -> Vec<ReportSection<'_>> {
        let title = |stack: &StackReport| match stack.edition.is_none() {
            // In most repositories without editions, a service has one image.
            true if self.stacks.len() == 1 && stack.variant == Variant::Original => String::new(),
            true => format!("{} images", stack.variant),
            false => format!("{} images, edition {}", stack.variant, stack.edition),
        };
        let stacks =
            self.stacks.iter().map(|stack| ReportSection { title: title(stack), report: &stack.report });
        let parity = self.parity.iter().map(|parity| {
            let with =
                if parity.recorded { "recorded answers of the originals" } else { "running originals" };
            ReportSection { title: format!("optimized images compared with {with}"), report: &parity.report }
        });
        stacks.chain(parity).collect()
    }
}

impl ReportSection<'_> {
    fn text(&self) -> String {
        let mut out = if self.title.is_empty() { String::new() } else { format!("{}\n", self.title) };
        out.push_str(&self.report.table().text());
        let (all, failed) = (self.report.outcomes.len(), self.report.not_passed().count());
        writeln!(out, "{} of {all} passed in project {}.", all - failed, self.report.project).ok();
        out.push_str(&self.unprobed());
        out.push_str(&coverage::described(&self.report.routes));
        self.report.not_passed().for_each(|outcome| out.push_str(&format!("\n{}", outcome.details())));
        out
    }

    /// A line about services without probes, if there are any.
    fn unprobed(&self) -> String {
        match self.report.unprobed.as_slice() {
            [] => String::new(),
            names => format!("Not probed: {} ({UNPROBED}).\n", names.join(", ")),
        }
    }

    fn markdown(&self) -> String {
        let title = if self.title.is_empty() { String::new() } else { format!("**{}**\n\n", self.title) };
        let failures = self.report.not_passed();
        let failures = failures.map(|outcome| format!("\n{}", markdown_block(&outcome.details())));
        let routes = coverage::described(&self.report.routes);
        let routes = if routes.is_empty() { routes } else { markdown_block(&routes) };
        let rest = [self.unprobed(), routes].into_iter().filter(|part| !part.is_empty());
        let rest: String = rest.map(|part| format!("\n{part}")).collect();
        format!("{title}{}{rest}{}", self.report.table().markdown(), failures.collect::<String>())
    }
}

impl Render for ProbeReport {
    fn text(&self) -> String {
        self.section().text()
    }

    fn markdown(&self) -> String {
        self.section().markdown()
    }
}

impl Render for TestReport {
    fn text(&self) -> String {
        self.sections().iter().map(ReportSection::text).collect::<Vec<_>>().join("\n")
    }

    fn markdown(&self) -> String {
        self.sections().iter().map(ReportSection::markdown).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn report() -> ProbeReport {
        let outcome = |group: &str, probe: &str, verdict| ProbeOutcome {
            group: group.into(),
            probe: probe.into(),
            verdict,
            milliseconds: 1203,
            tries: 2,
        };
        let failed = ProbeVerdict::Failed {
            wrong: vec!["status 503, expected 200".into(), "nothing at /ids/0".into()],
            request: "POST http://127.0.0.1:1/learn".into(),
            answer: "<b>\"no\" & \u{1}never</b>\nat all".into(),
        };
        let skipped = ProbeVerdict::Skipped { reason: "no earlier probe captured `id`".into() };
        let outcomes = vec![
            outcome("alpha", "health", ProbeVerdict::Passed),
            outcome("alpha", "learn", failed),
            outcome("all", "ask", skipped),
        ];
        let (project, unprobed) = ("sutra".into(), vec!["cron".into(), "mail".into()]);
        ProbeReport { schema: 1, project, images: BTreeMap::new(), outcomes, unprobed, routes: Vec::new() }
    }

    #[test]
    fn a_failure_shows_request_and_answer() {
        assert_eq!(
            report().text(),
            "SERVICE  PROBE   VERDICT             TIME\n\
             alpha    health  passed, 2 tries  1203 ms\n\
             alpha    learn   FAILED           1203 ms\n\
             all      ask     skipped          1203 ms\n\
             1 of 3 passed in project sutra.\n\
             Not probed: cron, mail (no probe, no health check).\n\n\
             alpha · learn: status 503, expected 200; nothing at /ids/0\n    \
             POST http://127.0.0.1:1/learn, 2 tries\n    \
             <b>\"no\" & \u{1}never</b>\n    at all\n\n\
             all · ask: skipped: no earlier probe captured `id`\n"
        );
        assert!(report().markdown().contains("| alpha | learn | FAILED | 1203 ms |"));
    }

    #[test]
    fn an_answer_cannot_leave_its_block_in_markdown() {
        let mut report = report();
        report.outcomes[1].verdict = ProbeVerdict::Failed {
            wrong: vec!["x".into()],
            request: String::new(),
            answer: "```\n<img src=//host>\u{1b}[2J".into(),
        };
        report.outcomes[1].probe = "<b>".into();
        let text = report.markdown();
        assert!(
            text.contains("````text\nalpha · <b>: x\n    ```\n    <img src=//host>\\u{1b}[2J\n````\n"),
            "{text}"
        );
        assert!(text.contains("| alpha | &lt;b> | FAILED |"), "{text}");
    }

    #[test]
    fn the_json_record_round_trips() {
        let text = report().json().unwrap();
        assert_eq!(serde_json::from_str::<ProbeReport>(&text).unwrap(), report());
        assert!(text.contains("\"verdict\": \"failed\"") && text.contains("\"schema\": 1"), "{text}");
    }
}
