//! A JSON Schema of the configuration, for editors.
//!
//! The tables and keys are those that the readers ask for; types and descriptions are those of the
//! documentation, whose rows a test compares with the keys. So there is no list of keys here. A schema sees one
//! file at a time and knows less than `check`: which keys go together, and what has to be there once
//! templates are laid under a fleet, it cannot tell.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::context::KnownKeys;
use super::known_keys;

const DOCUMENTATION: &str = include_str!("../../docs/configuration.md");
const TITLE: &str = "fleetscaler configuration";
/// Tables that hold tables by names of the user's choice.
const NAMED: [&str; 4] = ["provider", "notify", "template", "fleet"];
/// A template and the defaults have the keys of a fleet; shadow rules those of rules.
const FLEET: &str = "fleet.NAME";
const LIKE: [(&str, &str); 3] =
    [("template.NAME", FLEET), ("defaults.fleet", FLEET), ("fleet.NAME.shadow", "fleet.NAME.rule")];
/// The forms in which a duration is written.
const DURATION: &str = "^([0-9]+(ms|s|m|h|d))+$";

/// One row of the documentation.
#[derive(Debug, Clone)]
struct Row {
    /// In words, such as `duration, 1s to 1h`.
    kind: String,
    default: String,
    meaning: String,
}

/// The schema, as JSON.
#[must_use]
pub fn schema() -> Value {
    let known = known_keys();
    let rows = rows();
    let definitions: Map<String, Value> = known
        .iter()
        .filter(|(path, _)| !path.is_empty())
        .map(|(path, keys)| (path.clone(), table(path, keys, &known, &rows)))
        .collect();
    let root = known.get("").into_iter().flatten();
    let properties: Map<String, Value> =
        root.map(|key| ((*key).to_owned(), of_document(key))).collect();
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": TITLE,
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "definitions": definitions,
    })
}

/// A key at the top of the document.
fn of_document(key: &str) -> Value {
    match key {
        "include" => json!({
            "description": "Further files: paths, or DIRECTORY/*.toml.",
            "type": "array",
            "items": { "type": "string", "pattern": "\\.toml$" },
        }),
        key if NAMED.contains(&key) => json!({
            "type": "object",
            "additionalProperties": reference(&format!("{key}.NAME")),
        }),
        key => reference(key),
    }
}

fn reference(path: &str) -> Value {
    let like = LIKE.iter().find(|(other, _)| *other == path);
    json!({ "$ref": format!("#/definitions/{}", like.map_or(path, |(_, like)| like)) })
}

fn table(
    path: &str,
    keys: &[&str],
    known: &KnownKeys,
    rows: &BTreeMap<(String, String), Row>,
) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in keys {
        let row = rows.get(&(path.to_owned(), (*key).to_owned()));
        let row = row.expect("every key is documented, as a test makes sure");
        let mut property = of_kind(&row.kind, &format!("{path}.{key}"), known);
        if let Some(property) = property.as_object_mut() {
            describe(property, row);
        }
        properties.insert((*key).to_owned(), property);
        // What a fleet does not have, its template may.
        let is_whole = !path.starts_with(FLEET) && !path.starts_with("defaults");
        if is_whole && row.default == "*required*" {
            required.push(*key);
        }
    }
    let mut table =
        json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty() {
        table["required"] = json!(required);
    }
    table
}

fn describe(property: &mut Map<String, Value>, row: &Row) {
    let mut text = plain(&row.meaning);
    if !row.default.is_empty() && row.default != "*required*" {
        text = format!("{text}\nDefault: {}", plain(&row.default));
    }
    // Beside a reference nothing else counts.
    if let Some(reference) = property.remove("$ref") {
        property.insert("allOf".to_owned(), json!([{ "$ref": reference }]));
    }
    if !text.is_empty() {
        property.insert("description".to_owned(), text.trim().into());
    }
}

/// The schema of a value under a key whose type the documentation calls `kind`.
fn of_kind(kind: &str, path: &str, known: &KnownKeys) -> Value {
    let text = || json!({ "type": "string" });
    let first = kind.split([',', ' ']).next().unwrap_or_default();
    let has_percent = kind.contains("%\"`");
    match kind {
        "true, false" | "boolean" => json!({ "type": "boolean" }),
        "table" => reference(path),
        "tables" => json!({
            "type": "object",
            "additionalProperties": reference(&format!("{path}.NAME")),
        }),
        "list of tables" => json!({ "type": "array", "items": reference(path) }),
        _ if kind.starts_with("table of texts") => {
            json!({ "type": "object", "additionalProperties": text() })
        }
        // Its values are of several kinds.
        _ if first == "table" => json!({ "type": "object" }),
        _ if kind.starts_with("list of") => json!({ "type": "array", "items": text() }),
        _ if first == "duration" => json!({ "type": "string", "pattern": DURATION }),
        _ if has_percent => json!({ "type": ["integer", "string"] }),
        "instances" | "count" => json!({ "type": "integer", "minimum": 0 }),
        _ if first == "number" => json!({ "type": "number" }),
        _ if first.parse::<f64>().is_ok() => range(kind),
        _ if kind.starts_with("`\"") => choice(kind),
        _ => {
            debug_assert!(!known.contains_key(path), "{path} is a table, and documented as {kind}");
            text()
        }
    }
}

/// `1 to 64`, perhaps with a unit behind it.
fn range(kind: &str) -> Value {
    let mut words = kind.split([',', ' ']);
    let least = words.next().and_then(|word| word.parse::<f64>().ok());
    let most = words.nth(1).and_then(|word| word.parse::<f64>().ok());
    let mut range = json!({ "type": "number" });
    for (key, bound) in [("minimum", least), ("maximum", most)] {
        if let Some(bound) = bound {
            range[key] = json!(bound);
        }
    }
    range
}

/// `` `"a"`, `"b"` or `"c"` ``; a table among them, or `to` for what lies between, is no closed list.
fn choice(kind: &str) -> Value {
    let parts = kind.split('`').skip(1).step_by(2);
    let texts: Vec<&str> =
        parts.filter_map(|part| part.strip_prefix('"')?.strip_suffix('"')).collect();
    if kind.contains("` to `") {
        return json!({ "type": "string" });
    }
    if kind.contains("`{") {
        return json!({ "anyOf": [{ "enum": texts }, { "type": "object" }] });
    }
    json!({ "enum": texts })
}

/// The rows, by table and key.
fn rows() -> BTreeMap<(String, String), Row> {
    let mut rows = BTreeMap::new();
    let mut table = String::new();
    let mut above: Option<Row> = None;
    for line in DOCUMENTATION.lines() {
        let header = line.strip_prefix("## `[").or_else(|| line.strip_prefix("`["));
        if let Some((header, _)) = header.and_then(|header| header.split_once('`')) {
            header.trim_end_matches(']').clone_into(&mut table);
        }
        let Some(cells) = line.strip_prefix("| `").map(|line| line.trim_end_matches('|')) else {
            continue;
        };
        let mut cells = cells.split(" |").map(str::trim);
        let mut next = || cells.next().unwrap_or_default().to_owned();
        let key = next().trim_end_matches('`').to_owned();
        let mut row = Row { kind: next(), default: next(), meaning: next() };
        if row.kind == "the same"
            && let Some(above) = &above
        {
            row.kind.clone_from(&above.kind);
        }
        above = Some(row.clone());
        rows.insert((table.clone(), key), row);
    }
    rows
}

/// Markdown as text: links are their words.
fn plain(markdown: &str) -> String {
    let mut out = String::new();
    let mut rest = markdown;
    while let Some((before, behind)) = rest.split_once("](") {
        match (before.rsplit_once('['), behind.split_once(')')) {
            (Some((before, words)), Some((_, behind))) => {
                out.extend([before, words]);
                rest = behind;
            }
            _ => break,
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn root() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
    }

    /// `None` for a text that is no TOML.
    fn document(text: &str) -> Option<Value> {
        let table: toml::Table = text.parse().ok()?;
        Some(serde_json::to_value(table).expect("JSON"))
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn files(kind: &str, extension: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(root().join("tests/configs").join(kind)).expect("files");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
    }

    /// What is wrong with a document by the schema.
    fn wrong(document: &Value) -> Vec<String> {
        let validator = jsonschema::draft7::new(&schema()).expect("a schema");
        validator.iter_errors(document).map(|error| error.to_string()).collect()
    }

    #[test]
    fn the_file_in_the_documentation_is_the_schema() {
        let path = root().join("docs/config.schema.json");
        let text = serde_json::to_string_pretty(&schema()).expect("JSON") + "\n";
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(&path, &text).expect("written");
        }
        assert!(
            read(&path) == text,
            "docs/config.schema.json is not up to date: UPDATE_SCHEMA=1 cargo test --lib schema"
        );
    }

    #[test]
    fn good_configurations_and_the_example_are_valid() {
        let mut good = files("good", "toml");
        assert!(good.len() > 1, "{good:?}");
        good.push(root().join("config.example.toml"));
        for path in good {
            let text = read(&path);
            let found = wrong(&document(&text).expect("TOML"));
            assert_eq!(found, Vec::<String>::new(), "{}", path.display());
        }
    }

    #[test]
    fn templates_and_included_files_are_valid() {
        let text = "include = [\"conf.d/*.toml\"]\n[defaults.fleet]\nmin = 1\n\
                    [template.a]\nextends = \"b\"\nwarmup = \"1m30s\"\n\
                    [fleet.web]\nextends = \"a\"\n[[fleet.web.shadow]]\nkind = \"fixed\"\nsize = 3\n";
        assert_eq!(wrong(&document(text).expect("TOML")), Vec::<String>::new());
    }

    #[test]
    fn every_unknown_key_that_check_tells_is_refused() {
        let mut seen = 0;
        for path in files("bad", "expected") {
            let expected = read(&path);
            let Some(document) = document(&read(&path.with_extension("toml"))) else { continue };
            // A key of another kind of the same table is fine for the schema, which does not know the kind.
            let says = expected.split("\n  hint: ");
            let unknown = says.clone().any(|text| text.contains(": unknown key `"));
            if unknown && !expected.contains("key of another kind") {
                seen += 1;
                assert_ne!(wrong(&document), Vec::<String>::new(), "{}", path.display());
            }
        }
        assert!(seen >= 3, "only {seen} files have an unknown key");
    }

    #[test]
    fn slips_in_values_are_seen_where_the_documentation_tells_the_type() {
        for (name, slip) in [
            ("a unit is missing", "[daemon]\ninterval = \"15\"\n"),
            ("a number as a duration", "[daemon]\ninterval = 15\n"),
            ("beyond its range", "[daemon]\nkeep_mib = 0\n"),
            ("no such kind", "[provider.a]\nregion = \"cn-hangzhou\"\nsignature = \"v2\"\n"),
            ("a text as a number", "[template.a]\nmin = \"2\"\n"),
            ("a text as a list", "[fleet.a.launch]\nvswitches = \"vsw-1\"\n"),
            ("a required key", "[provider.a]\nkind = \"aliyun\"\n"),
            ("an unknown key in a template", "[template.a.launch]\nimage = \"m-1\"\n"),
            ("a text as a flag", "[fleet.a.launch]\ndeletion_protection = \"yes\"\n"),
        ] {
            let document = document(slip).expect("TOML");
            assert_ne!(wrong(&document), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn keys_have_the_descriptions_of_the_documentation() {
        let schema = schema();
        let definitions = schema["definitions"].as_object().expect("tables");
        let properties = definitions.values().flat_map(|table| table["properties"].as_object());
        let texts: Vec<&str> =
            properties.flatten().filter_map(|(_, key)| key["description"].as_str()).collect();
        assert!(texts.len() > 150, "{texts:?}");
        let row = texts.iter().find(|text| text.is_empty() || text.contains("| "));
        assert_eq!(row, None, "a row was not taken apart rightly");
        assert_eq!(plain("see [the API](api.md#x), and `a](b`"), "see the API, and `a](b`");
    }
}
