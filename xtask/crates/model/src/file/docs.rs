//! Writes `docs/manifest.md` and `docs/images.schema.json` from the types, and fails if they are out of date.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use schemars::transform::{Transform, transform_subschemas};
use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use super::*;
use crate::file::schema_check::faults;

/// Set it to write the files instead.
const WRITE: &str = "WRITE_MANIFEST_DOCS";

const HEAD: &str = "# The manifest

`images.toml` declares what Docker does not know about the images of a repository: sizes, editions, probes, and builds that are in
no Compose or bake file. It is at the root of the repository; Sutra's is `xtask/images.toml`. This page is generated from
the types in `xtask/crates/model/src/file`.

The smallest valid manifest, if a Compose file defines the build of `vote`:

```toml
schema = 2

[service.vote]
```

All errors are reported at once, with line numbers and fixes. Editors with taplo (VS Code: Even Better TOML) complete and validate the
manifest with [`images.schema.json`](images.schema.json), if the first line names it:

```toml
#:schema https://raw.githubusercontent.com/OWNER/REPOSITORY/main/docs/images.schema.json
schema = 2
```

Sizes are decimal and unpacked, as `docker images` prints them: `92.8MB`. Paths are relative to the repository.

## From schema 1

Schema 1 is still read, with a note. To migrate, set `schema = 2`, rename each service's `original` to `dockerfile`, and add
`editions = [\"simple\", \"community\", \"enterprise\"]` and `env-prefix = \"SUTRA_\"`, which schema 1 implies. Then remove what equals its
default.
";

/// A table of the manifest.
struct Section {
    heading: &'static str,
    fields: &'static [&'static str],
    schema: Value,
}

fn section<T: JsonSchema + DeserializeOwned>(heading: &'static str) -> Section {
    let mut fields: &'static [&'static str] = &[];
    // It ends in an error on purpose: only the names are of interest.
    let _ = T::deserialize(Names(&mut fields));
    Section { heading, fields, schema: schema::<T>() }
}

fn sections() -> Vec<Section> {
    vec![
        section::<Manifest>("Top level"),
        section::<Defaults>("`[defaults]`"),
        section::<Service>("`[service.NAME]`"),
        section::<SizeTable>("`[service.NAME.sizes]`, by edition"),
        section::<Addition>("`[service.NAME.editions.EDITION]`"),
        section::<Run>("`[service.NAME.run]`"),
        section::<Secret>("`[service.NAME.secret]`"),
        section::<Probe>("`[[service.NAME.probe]]`, `[[scenario.NAME]]`, `[[load.NAME]]`"),
        section::<Request>("`request` of a probe"),
        section::<Check>("`expect` of a probe"),
        section::<Capture>("`capture` of a probe"),
        section::<Parity>("`parity` of a probe"),
        section::<Tolerance>("`tolerance` in `parity`"),
        section::<Upstream>("`[upstream.NAME]`"),
        section::<StandIn>("`stand-in` of an upstream"),
        section::<Base>("`[base.NAME]`"),
        section::<StackTest>("`[stack-test.NAME]`"),
        section::<Checks>("`[check]`"),
        section::<Allowance>("`[[check.allow]]`"),
        section::<Test>("`[test]`"),
        section::<Baselines>("`[baselines]`"),
        section::<Opportunities>("`[opportunities]`"),
        section::<KnownOpportunity>("`[[opportunities.known]]`"),
        section::<Benefit>("`[benefit.FIGURE]`"),
    ]
}

/// The names of a type's keys in their order; schemas sort them.
struct Names<'n>(&'n mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom("no struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The schema of a type, for TOML: no null, and no names of Rust types.
fn schema<T: JsonSchema>() -> Value {
    #[derive(Clone)]
    struct ForToml;
    impl Transform for ForToml {
        fn transform(&mut self, schema: &mut schemars::Schema) {
            if let Some(object) = schema.as_object_mut() {
                object.remove("format");
                object.remove("default");
                without_null(object);
            }
            transform_subschemas(self, schema);
        }
    }
    let settings = schemars::generate::SchemaSettings::draft07().with_transform(ForToml);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

fn without_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            object.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(kinds)) = object.get_mut("anyOf") {
        kinds.retain(|kind| kind["type"] != "null");
        if let [Value::Object(one)] = kinds.as_slice() {
            let one = one.clone();
            object.remove("anyOf");
            object.extend(one);
        }
    }
}

/// A description in one line, without examples.
fn prose(text: &str) -> String {
    let outside = text.split("```").step_by(2).collect::<String>();
    outside.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The TOML examples in a doc comment.
fn examples(text: &str) -> Vec<&str> {
    text.split("```toml\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(toml, _)| toml).collect()
}

/// Descriptions without their examples.
fn plain(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(text)) = object.get_mut("description") {
                *text = prose(text);
            }
            object.values_mut().for_each(plain);
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        _ => {}
    }
}

fn the_schema() -> Value {
    let mut schema = schema::<Manifest>();
    plain(&mut schema);
    schema["title"] = Value::from("Manifest of images");
    schema
}

/// What a value may be, in words.
fn kind(schema: &Value, definitions: &Value) -> String {
    let reference = schema["$ref"].as_str().or(schema["allOf"][0]["$ref"].as_str());
    if let Some(reference) = reference {
        let name = reference.rsplit('/').next().unwrap();
        return match name {
            "SizeText" => "size".to_owned(),
            "Size" | "SizeTable" => "size or table".to_owned(),
            _ => kind(&definitions[name], definitions),
        };
    }
    let either = |kinds: &Value| {
        let words: Vec<String> = kinds.as_array().unwrap().iter().map(|one| kind(one, definitions)).collect();
        words.join(" or ")
    };
    let quoted = |value: &Value| format!("`{value}`");
    match (&schema["type"], &schema["enum"], &schema["oneOf"]) {
        (_, Value::Array(values), _) => values.iter().map(quoted).collect::<Vec<_>>().join(" or "),
        (_, _, Value::Array(values)) => {
            let values = values.iter().map(|value| quoted(value.get("const").unwrap_or(&value["enum"][0])));
            values.collect::<Vec<_>>().join(" or ")
        }
        _ if schema["anyOf"].is_array() => either(&schema["anyOf"]),
        (Value::String(name), ..) if name == "array" && schema["items"].is_object() => {
            format!("array of {}s", kind(&schema["items"], definitions))
        }
        (Value::String(name), ..) if name == "object" => match &schema["additionalProperties"] {
            inner @ Value::Object(_) => by_name(&kind(inner, definitions)),
            _ => "table".to_owned(),
        },
        (Value::String(name), ..) => name.clone(),
        _ => "any".to_owned(),
    }
}

/// Values of a kind under names of the user's choice.
fn by_name(kind: &str) -> String {
    match kind.split_once(' ') {
        Some(("array", rest)) => format!("arrays {rest} by name"),
        Some(_) => format!("{kind}, by name"),
        None => format!("{kind}s by name"),
    }
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for Section { heading, fields, schema } in sections() {
        let text = schema["description"].as_str().unwrap_or_default();
        page += &format!(
            "\n## {heading}\n\n{}\n\n| key | value | meaning | default |\n|---|---|---|---|\n",
            prose(text)
        );
        let mut all: Vec<&str> = examples(text);
        for name in fields.iter().filter(|name| schema["properties"].get(name).is_some()) {
            let property = &schema["properties"][name];
            let text = property["description"].as_str().unwrap_or_default();
            all.extend(examples(text));
            let line = prose(text);
            let (meaning, default) = line.split_once("Default: ").unwrap_or((&line, ""));
            let is_required =
                schema["required"].as_array().is_some_and(|all| all.iter().any(|key| key == name));
            let default = match (is_required, default.trim_end_matches('.')) {
                (true, _) => "**required**",
                (false, "") => "–",
                (false, default) => default,
            };
            let kind = kind(property, &schema["definitions"]);
            page += &format!("| `{name}` | {} | {} | {} |\n", cell(&kind), cell(meaning), cell(default));
        }
        for example in all {
            page += &format!("\n```toml\n{example}```\n");
        }
    }
    page
}

fn cell(text: &str) -> String {
    text.trim().replace('|', "\\|")
}

fn root() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../..")).canonicalize().unwrap()
}

#[test]
fn docs_are_up_to_date() {
    let schema = format!("{:#}\n", the_schema());
    for (name, expected) in [("docs/manifest.md", page()), ("docs/images.schema.json", schema)] {
        let path = root().join(name);
        if std::env::var_os(WRITE).is_some() {
            fs::write(&path, &expected).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == expected, "{name} is out of date: {WRITE}=1 cargo test --package xtask-model docs");
    }
}

/// Every example, as a manifest of its own.
fn all_examples() -> Vec<String> {
    let page = page();
    examples(&page)
        .into_iter()
        .map(|toml| if toml.contains("schema =") { toml.to_owned() } else { format!("schema = 2\n{toml}") })
        .collect()
}

#[test]
fn every_key_is_in_an_example_which_is_valid() {
    fn collect(value: &Value, keys: &mut BTreeSet<String>) {
        match value {
            Value::Object(object) => {
                keys.extend(object.keys().cloned());
                object.values().for_each(|value| collect(value, keys));
            }
            Value::Array(items) => items.iter().for_each(|value| collect(value, keys)),
            _ => {}
        }
    }
    let (mut keys, schema) = (BTreeSet::new(), the_schema());
    for example in all_examples() {
        toml::from_str::<Manifest>(&example).unwrap_or_else(|error| panic!("{error}\n{example}"));
        let value: Value = toml::from_str(&example).unwrap();
        assert_eq!(faults(&value, &schema), [""; 0], "{example}");
        collect(&value, &mut keys);
    }
    for Section { heading, schema, .. } in sections() {
        for key in schema["properties"].as_object().unwrap().keys() {
            assert!(keys.contains(key), "no example has `{key}` of {heading}");
        }
    }
}

#[test]
fn every_key_has_a_section_and_a_default() {
    let described: BTreeSet<&str> = BTreeSet::from([
        "Limit",
        "Named",
        "Promise",
        "Relaxable",
        "Severity",
        "Size",
        "SizeText",
        "OpportunityKind",
        "TestUser",
    ]);
    let definitions = schema::<Manifest>()["definitions"].as_object().unwrap().clone();
    let titles: Vec<Value> = sections().into_iter().map(|section| section.schema["title"].clone()).collect();
    for name in definitions.keys() {
        assert!(
            described.contains(name.as_str()) || titles.iter().any(|title| title == name),
            "{name} has no section"
        );
    }
}

#[test]
fn the_schema_accepts_every_manifest_of_the_repository() {
    let mut manifests = vec![root().join("xtask/images.toml")];
    let fixtures = fs::read_dir(root().join("xtask/tests/monorepos")).into_iter().flatten();
    manifests.extend(
        fixtures.map(|entry| entry.unwrap().path().join("images.toml")).filter(|path| path.is_file()),
    );
    for path in manifests {
        let value: Value = toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(faults(&value, &the_schema()), [""; 0], "{}", path.display());
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let schema = the_schema();
    for (text, expected) in [
        ("schema = 3", "/schema: above 2"),
        ("project = \"a\"", ": no schema"),
        ("schema = 2\nprojct = \"a\"", ": unknown key projct"),
        ("schema = 2\nservice.a.port = 0", "/service/a/port: below 1"),
        ("schema = 2\nservice.a.port = \"80\"", "/service/a/port: not of type \"integer\""),
        ("schema = 2\nservice.a.only = \"x\"", "/service/a/only: not of type \"array\""),
        ("schema = 2\nservice.a.sizes.x = { targte = \"1MB\" }", "/service/a/sizes/x: unknown key targte"),
        ("schema = 2\nservice.a.limits.x = \"1\"", "/service/a/limits/x: fits none"),
        ("schema = 2\nservice.a.probe = [{ name = \"a\" }]", "/service/a/probe/0: no request"),
        ("schema = 2\ncheck.user = \"off\"", "/check/user: fits none"),
    ] {
        let value: Value = toml::from_str(text).unwrap();
        assert_eq!(faults(&value, &schema), [expected], "{text}");
        assert!(
            toml::from_str::<Manifest>(text).is_err()
                || text.contains("schema = 3")
                || expected.contains(": no "),
            "{text}"
        );
    }
}
