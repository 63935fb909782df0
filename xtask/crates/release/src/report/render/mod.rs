//! The report as an HTML page that needs no network, and as Markdown for a pull request or job summary.

mod benefits;
mod checks;
mod contents;
mod html;
mod markdown;
mod measurements;
mod notice;
mod sizes;
mod treemap;

pub use html::html;
