//! What probes came to, as table, JSON and JUnit.

use std::fmt::Write as _;

use serde::Serialize;

use crate::probes::report::{Outcome, Report, TestReport, Verdict};
use host::table::{Align, Table};

/// A report with what stands above it; nothing where it stands alone.
pub type Titled<'r> = (String, &'r Report);

/// The parts of a whole test, each with its title.
pub fn titled(test: &TestReport) -> Vec<Titled<'_>> {
    let stacks = test
        .stacks
        .iter()
        .map(|stack| (format!("{} images, edition {}", stack.variant, stack.edition), &stack.report));
    let parity = test.parity.iter().map(|parity| {
        let with = if parity.recorded { "recorded answers of originals" } else { "originals" };
        (format!("optimized images beside {with}"), &parity.report)
    });
    stacks.chain(parity).collect()
}

/// For a terminal: a table, and below it everything that was wrong.
pub fn text((title, report): &Titled<'_>) -> String {
    let mut out = if title.is_empty() { String::new() } else { format!("{title}\n") };
    out.push_str(&table(report).text());
    let failed = report.not_passed().count();
    let all = report.outcomes.len();
    writeln!(out, "{} of {all} passed, in project {}.", all - failed, report.project).ok();
    for outcome in report.not_passed() {
        out.push('\n');
        out.push_str(&told(outcome));
    }
    out
}

/// For a pull request.
pub fn markdown((title, report): &Titled<'_>) -> String {
    let title = if title.is_empty() { String::new() } else { format!("**{title}**\n\n") };
    let failures: Vec<String> =
        report.not_passed().map(|outcome| format!("\n```text\n{}```\n", told(outcome))).collect();
    format!("{title}{}{}", table(report).markdown(), failures.concat())
}

/// For programs.
///
/// # Errors
/// Never for a report that this program made.
pub fn json(report: &impl Serialize) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(report)? + "\n")
}

/// For CI systems: the JUnit format that Jenkins and GitLab read, a test suite for each group.
pub fn junit(reports: &[Titled<'_>]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    reports.iter().for_each(|(title, report)| suites(&mut out, title, report));
    out + "</testsuites>\n"
}

fn suites(out: &mut String, title: &str, report: &Report) {
    let title = if title.is_empty() { String::new() } else { format!("{title}: ") };
    let mut outcomes = report.outcomes.as_slice();
    while let Some(first) = outcomes.first() {
        let length = outcomes.iter().take_while(|outcome| outcome.group == first.group).count();
        let (suite, rest) = outcomes.split_at(length);
        outcomes = rest;
        let count =
            |test: fn(&Verdict) -> bool| suite.iter().filter(|outcome| test(&outcome.verdict)).count();
        let milliseconds = suite.iter().map(|outcome| outcome.milliseconds).sum();
        writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{length}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{}\">",
            escaped(&format!("{title}{}", first.group)),
            count(|verdict| matches!(verdict, Verdict::Failed { .. })),
            count(|verdict| matches!(verdict, Verdict::Skipped { .. })),
            seconds(milliseconds),
        )
        .ok();
        suite.iter().for_each(|outcome| case(out, outcome));
        out.push_str("  </testsuite>\n");
    }
}

fn case(out: &mut String, outcome: &Outcome) {
    let (group, probe) = (escaped(&outcome.group), escaped(&outcome.probe));
    let time = seconds(outcome.milliseconds);
    write!(out, "    <testcase classname=\"{group}\" name=\"{probe}\" time=\"{time}\"").ok();
    match &outcome.verdict {
        Verdict::Passed => out.push_str("/>\n"),
        Verdict::Failed { wrong, .. } => {
            let (message, text) = (escaped(&wrong.join("; ")), escaped(&told(outcome)));
            writeln!(out, "><failure message=\"{message}\">{text}</failure></testcase>").ok();
        }
        Verdict::Skipped { reason } => {
            writeln!(out, "><skipped message=\"{}\"/></testcase>", escaped(reason)).ok();
        }
    }
}

/// One outcome that did not pass, over some lines.
pub fn told(outcome: &Outcome) -> String {
    let mut out = format!("{}: ", outcome.name());
    match &outcome.verdict {
        Verdict::Passed => out.push_str("passed\n"),
        Verdict::Skipped { reason } => writeln!(out, "not asked, since {reason}").unwrap_or_default(),
        Verdict::Failed { wrong, request, answer } => {
            out.push_str(&wrong.join("; "));
            out.push('\n');
            if !request.is_empty() {
                let tries =
                    if outcome.tries > 1 { format!(", {} tries", outcome.tries) } else { String::new() };
                writeln!(out, "    {request}{tries}").ok();
            }
            for line in answer.lines() {
                writeln!(out, "    {line}").ok();
            }
        }
    }
    out
}

fn table(report: &Report) -> Table {
    let mut table = Table::new(&[
        ("service", Align::Left),
        ("probe", Align::Left),
        ("verdict", Align::Left),
        ("time", Align::Right),
    ]);
    for outcome in &report.outcomes {
        let verdict = match outcome.verdict {
            Verdict::Passed if outcome.tries > 1 => format!("passed, {} tries", outcome.tries),
            Verdict::Passed => "passed".to_owned(),
            Verdict::Failed { .. } => "FAILED".to_owned(),
            Verdict::Skipped { .. } => "skipped".to_owned(),
        };
        table.row(vec![
            outcome.group.clone(),
            outcome.probe.clone(),
            verdict,
            format!("{} ms", outcome.milliseconds),
        ]);
    }
    table
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

/// As XML has it; what XML 1.0 cannot hold at all becomes a replacement character.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn outcome(group: &str, probe: &str, verdict: Verdict) -> Outcome {
        Outcome { group: group.into(), probe: probe.into(), verdict, milliseconds: 1203, tries: 2 }
    }

    fn report() -> Report {
        Report {
            schema: 1,
            project: "sutra".into(),
            images: BTreeMap::new(),
            outcomes: vec![
                outcome("alpha", "health", Verdict::Passed),
                outcome(
                    "alpha",
                    "learn",
                    Verdict::Failed {
                        wrong: vec!["status 503, expected 200".into(), "nothing at /ids/0".into()],
                        request: "POST http://127.0.0.1:1/learn".into(),
                        answer: "<b>\"no\" & \u{1}never</b>\nat all".into(),
                    },
                ),
                outcome("all", "ask", Verdict::Skipped { reason: "nothing handed on `id`".into() }),
            ],
        }
    }

    #[test]
    fn a_failure_is_told_with_what_was_asked_and_what_came_back() {
        assert_eq!(
            text(&(String::new(), &report())),
            "SERVICE  PROBE   VERDICT             TIME\n\
             alpha    health  passed, 2 tries  1203 ms\n\
             alpha    learn   FAILED           1203 ms\n\
             all      ask     skipped          1203 ms\n\
             1 of 3 passed, in project sutra.\n\n\
             alpha · learn: status 503, expected 200; nothing at /ids/0\n    \
             POST http://127.0.0.1:1/learn, 2 tries\n    \
             <b>\"no\" & \u{1}never</b>\n    at all\n\n\
             all · ask: not asked, since nothing handed on `id`\n"
        );
        assert!(markdown(&("Smoke".into(), &report())).contains("| alpha | learn | FAILED | 1203 ms |"));
    }

    #[test]
    fn junit_has_a_suite_for_each_group_and_no_character_that_xml_forbids() {
        let xml = junit(&[(String::new(), &report())]);
        assert!(xml.contains(
            "<testsuite name=\"alpha\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\" time=\"2.406\">"
        ));
        assert!(xml.contains("<testcase classname=\"alpha\" name=\"health\" time=\"1.203\"/>"));
        assert!(xml.contains("&lt;b&gt;&quot;no&quot; &amp; \u{fffd}never&lt;/b&gt;&#10;    at all"));
        assert!(xml.contains("<skipped message=\"nothing handed on `id`\"/>") && !xml.contains('\u{1}'));
    }

    #[test]
    fn the_record_reads_back_as_it_was_written() {
        let text = json(&report()).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report());
        assert!(text.contains("\"verdict\": \"failed\"") && text.contains("\"schema\": 1"), "{text}");
    }
}
