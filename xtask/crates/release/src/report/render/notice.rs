//! Notices about records that are stale or missing.

use maud::{Markup, html};

use crate::report::record::ReportSection;

/// `name` is a plural: `Sizes`.
pub(super) fn html<T>(name: &str, section: &ReportSection<T>) -> Markup {
    html! {
        @if let Some((why, remedy)) = section.problem() {
            p .stale role="note" { b { (name) " are " (state(section)) } ": " (why) ". " code { (remedy) } }
        }
    }
}

pub(super) fn markdown<T>(name: &str, section: &ReportSection<T>) -> Option<String> {
    let (why, remedy) = section.problem()?;
    Some(format!("{name} are {}: {why} (`{remedy}`).", state(section)))
}

fn state<T>(section: &ReportSection<T>) -> &'static str {
    if section.record().is_some() { "stale" } else { "missing" }
}
