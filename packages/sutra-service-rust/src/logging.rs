//! Logging to stdout, one JSON object per line.

use std::io::Write as _;
use std::panic;

use log::kv::{self, Key, Value, VisitSource};
use log::{LevelFilter, Log, Metadata, Record};
use serde_json::{Map, Value as Json};

use crate::{request_id, timestamp};

struct JsonLogger {
    service: &'static str,
    level: LevelFilter,
}

/// Installs the logger and a panic hook that logs panics. A second call does nothing.
pub(crate) fn start(service: &'static str, level: LevelFilter) {
    if log::set_boxed_logger(Box::new(JsonLogger { service, level })).is_err() {
        return;
    }
    log::set_max_level(level);
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let cause = info.payload_as_str().unwrap_or("no message");
        log::error!(place; "panic: {cause}");
    }));
}

impl Log for JsonLogger {
    /// Libraries log warnings and errors only, except at level `trace`.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let ours = metadata.target().starts_with("sutra");
        let level = if ours { self.level } else { self.level.min(LevelFilter::Warn) };
        metadata.level() <= if self.level == LevelFilter::Trace { self.level } else { level }
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        print(line(self.service, record));
    }

    fn flush(&self) {
        let _ = std::io::stdout().lock().flush();
    }
}

fn print(mut line: String) {
    line.push('\n');
    // There is nowhere to report a broken stdout.
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
}

/// Prints a line whatever the level of the log, such as one for each request. The time and the service are added to its fields.
pub fn print_line(service: &str, mut fields: Map<String, Json>) {
    fields.insert("ts".to_owned(), timestamp::now().into());
    fields.insert("service".to_owned(), service.into());
    print(Json::Object(fields).to_string());
}

fn line(service: &str, record: &Record<'_>) -> String {
    let mut fields = Fields(Map::new());
    // Only the visitor can fail, and `Fields` never does.
    let _ = record.key_values().visit(&mut fields);
    let mut object = fields.0;
    if let Some(id) = request_id::current_id() {
        object.insert("request_id".to_owned(), (*id).into());
    }
    for (name, value) in [
        ("ts", timestamp::now()),
        ("level", record.level().as_str().to_ascii_lowercase()),
        ("service", service.to_owned()),
        ("message", record.args().to_string()),
    ] {
        object.insert(name.to_owned(), value.into());
    }
    Json::Object(object).to_string()
}

struct Fields(Map<String, Json>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let value = value
            .to_u64()
            .map(Json::from)
            .or_else(|| value.to_i64().map(Json::from))
            .or_else(|| value.to_f64().map(Json::from))
            .or_else(|| value.to_bool().map(Json::from))
            .unwrap_or_else(|| Json::from(value.to_string()));
        self.0.insert(key.to_string(), value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::Level;

    #[test]
    fn a_multiline_message_is_logged_as_one_line() {
        let pairs = [("status", Value::from(200)), ("path", Value::from("/a\n\"b\""))];
        let text = line(
            "storage",
            &Record::builder()
                .level(Level::Warn)
                .args(format_args!("two\nlines"))
                .key_values(&&pairs[..])
                .build(),
        );
        let object: Map<String, Json> = serde_json::from_str(&text).expect("JSON");
        assert!(!text.contains('\n'));
        assert_eq!(object["level"], "warn");
        assert_eq!(object["service"], "storage");
        assert_eq!(object["message"], "two\nlines");
        assert_eq!(object["status"], 200);
        assert_eq!(object["path"], "/a\n\"b\"");
        assert!(object["ts"].as_str().is_some_and(|ts| ts.ends_with('Z')));
    }

    #[test]
    fn libraries_log_warnings_only() {
        let logger = JsonLogger { service: "storage", level: LevelFilter::Debug };
        let enabled =
            |target, level| logger.enabled(&Metadata::builder().target(target).level(level).build());
        assert!(enabled("sutra_storage_server::store", Level::Debug));
        assert!(!enabled("tantivy::indexer", Level::Info));
        assert!(enabled("tantivy::indexer", Level::Warn));
    }
}
