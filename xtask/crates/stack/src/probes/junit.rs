//! Probe reports in the JUnit XML format that Jenkins and GitLab read: one test suite per group.

use std::fmt::Write as _;

use host::printable::printable;

use crate::probes::report::{ProbeOutcome, ProbeVerdict, ReportSection, UNPROBED};

/// All sections as one document.
pub fn junit(sections: &[ReportSection<'_>]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for section in sections {
        let title = if section.title.is_empty() { String::new() } else { format!("{}: ", section.title) };
        for suite in section.report.outcomes.chunk_by(|a, b| a.group == b.group) {
            write_suite(&mut out, &title, suite);
        }
        for service in &section.report.unprobed {
            let name = escaped(&format!("{title}{service}"));
            writeln!(out, "  <testsuite name=\"{name}\" tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"1\" time=\"0.000\">").ok();
            let class = escaped(service);
            writeln!(out, "    <testcase classname=\"{class}\" name=\"probes\" time=\"0.000\"><skipped message=\"{UNPROBED}\"/></testcase>\n  </testsuite>").ok();
        }
    }
    out + "</testsuites>\n"
}

fn write_suite(out: &mut String, title: &str, suite: &[ProbeOutcome]) {
    let count =
        |test: fn(&ProbeVerdict) -> bool| suite.iter().filter(|outcome| test(&outcome.verdict)).count();
    writeln!(
        out,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{}\">",
        escaped(&format!("{title}{}", suite[0].group)),
        suite.len(),
        count(|verdict| matches!(verdict, ProbeVerdict::Failed { .. })),
        count(|verdict| matches!(verdict, ProbeVerdict::Skipped { .. })),
        seconds(suite.iter().map(|outcome| outcome.milliseconds).sum()),
    )
    .ok();
    suite.iter().for_each(|outcome| write_case(out, outcome));
    out.push_str("  </testsuite>\n");
}

fn write_case(out: &mut String, outcome: &ProbeOutcome) {
    let (group, probe) = (escaped(&outcome.group), escaped(&outcome.probe));
    let time = seconds(outcome.milliseconds);
    write!(out, "    <testcase classname=\"{group}\" name=\"{probe}\" time=\"{time}\"").ok();
    match &outcome.verdict {
        ProbeVerdict::Passed => out.push_str("/>\n"),
        ProbeVerdict::Failed { wrong, .. } => {
            let (message, text) = (escaped(&wrong.join("; ")), escaped(&outcome.details()));
            writeln!(out, "><failure message=\"{message}\">{text}</failure></testcase>").ok();
        }
        ProbeVerdict::Skipped { reason } => {
            writeln!(out, "><skipped message=\"{}\"/></testcase>", escaped(reason)).ok();
        }
    }
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

/// Escapes text for XML 1.0. Control characters that XML does not allow even when escaped are written like `\u{1b}`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::report::tests::report;

    #[test]
    fn suites_count_their_cases_and_forbidden_characters_are_shown() {
        let xml = junit(&[report().section()]);
        assert!(xml.contains(
            "<testsuite name=\"alpha\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\" time=\"2.406\">"
        ));
        assert!(xml.contains("<testcase classname=\"alpha\" name=\"health\" time=\"1.203\"/>"));
        assert!(xml.contains("&lt;b&gt;&quot;no&quot; &amp; \\u{1}never&lt;/b&gt;&#10;    at all"));
        assert!(xml.contains("name=\"cron\" tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"1\""), "{xml}");
        assert!(
            xml.contains("name=\"probes\" time=\"0.000\"><skipped message=\"no probe, no health check\"/>")
        );
        assert!(
            xml.contains("<skipped message=\"no earlier probe captured `id`\"/>") && !xml.contains('\u{1}')
        );
    }
}
