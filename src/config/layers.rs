//! Defaults and templates, for what fleets have in common: `[defaults.fleet]` and `[template.NAME]`.
//!
//! Before a fleet is read, its table is laid over that of its template, over the one which that extends, and over
//! the defaults. Each value keeps the place at which it was written, so a problem names that. Tables are
//! laid over each other key by key; everything else, lists of tables included, is replaced as a whole.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::context::Context;
use super::problem::shown;
use super::suggest;
use super::value::{Value, word};

/// Stands for the fleet's name in its texts.
const FLEET: &str = "{fleet}";
/// Other spellings that people try.
const OTHER_SPELLINGS: [&str; 4] = ["name", "fleet_name", "fleet.name", "fleet-name"];
/// A script is never touched: braces are its own.
const SCRIPT: &str = "user_data";

/// Keys of which a table has one at most: who writes one does not inherit another.
const ALTERNATIVES: [&[&str]; 3] = [
    &["user_data", "user_data_file"],
    &["basic_auth", "bearer_token_file", "bearer_token_env"],
    &["password_file", "password_env"],
];
/// Keys that say what else a table may have: who writes another kind inherits nothing of the table.
const KINDS: [&str; 2] = ["source", "kind"];

/// The document with the whole of each fleet. What is wrong with the layers is reported to `cx`.
pub(super) fn applied<'a>(cx: &Context<'_>, mut document: DeTable<'a>) -> DeTable<'a> {
    let defaults = table_of(&document, "defaults").and_then(|table| table_of(table, "fleet"));
    let defaults = defaults.cloned().unwrap_or_default();
    if let Some((key, _)) = defaults.get_key_value("extends") {
        cx.problem(
            key.span().start,
            "`extends` cannot stand in `[defaults.fleet]`".to_owned(),
            "write it in the fleets; the defaults are below every template".to_owned(),
        );
    }
    let templates = table_of(&document, "template").cloned().unwrap_or_default();
    for table in [&defaults, &templates] {
        share(table, cx);
    }
    let mut layers = Layers {
        cx,
        defaults: &defaults,
        templates: &templates,
        used: BTreeSet::new(),
        done: BTreeMap::new(),
    };
    for name in templates.keys() {
        layers.template(name.get_ref(), &mut Vec::new());
    }
    if let Some(DeValue::Table(fleets)) = document.get_mut("fleet").map(Spanned::get_mut) {
        for (name, fleet) in fleets.iter_mut() {
            let span = fleet.span();
            if let DeValue::Table(own) = fleet.get_mut() {
                let own = std::mem::take(own);
                let mut whole = layers.whole(own, &mut Vec::new());
                fill(&mut whole, name.get_ref(), cx);
                *fleet = Spanned::new(span, DeValue::Table(whole));
            }
        }
    }
    for (name, template) in &templates {
        if !layers.used.contains(name.get_ref().as_ref()) {
            cx.problem(
                template.span().start,
                format!("no fleet extends the template `{}`", shown(name.get_ref())),
                "remove it, or name it in a fleet with `extends`".to_owned(),
            );
        }
    }
    document
}

fn table_of<'b, 'a>(table: &'b DeTable<'a>, key: &str) -> Option<&'b DeTable<'a>> {
    table.get(key)?.get_ref().as_table()
}

/// Remembers the places of a table that several fleets may have.
fn share(table: &DeTable<'_>, cx: &Context<'_>) {
    for (key, value) in table {
        cx.share(key.span().start);
        share_value(value, cx);
    }
}

fn share_value(value: &Spanned<DeValue<'_>>, cx: &Context<'_>) {
    cx.share(value.span().start);
    match value.get_ref() {
        DeValue::Table(table) => share(table, cx),
        DeValue::Array(items) => items.iter().for_each(|item| share_value(item, cx)),
        _ => {}
    }
}

struct Layers<'b, 'a, 'c> {
    cx: &'b Context<'c>,
    defaults: &'b DeTable<'a>,
    templates: &'b DeTable<'a>,
    /// Templates that somebody extends.
    used: BTreeSet<String>,
    /// Whole templates; `None` for one that cannot be had, which was reported.
    done: BTreeMap<String, Option<DeTable<'a>>>,
}

impl<'a> Layers<'_, 'a, '_> {
    /// A table of a fleet's keys with everything below it. `above` are the templates that lead here.
    fn whole(&mut self, own: DeTable<'a>, above: &mut Vec<String>) -> DeTable<'a> {
        let below = match own.get("extends") {
            None => Some(self.defaults.clone()),
            Some(value) => self.extended(value, above),
        };
        match below {
            Some(below) => laid_over(&below, own),
            None => own,
        }
    }

    /// The template that the value of `extends` names.
    fn extended(
        &mut self,
        value: &Spanned<DeValue<'a>>,
        above: &mut Vec<String>,
    ) -> Option<DeTable<'a>> {
        let value = Value::new(self.cx, "extends", value);
        let name = word(&value)?;
        self.used.insert(name.clone());
        if above.contains(&name) {
            let way = [above.join("` → `"), name].join("` → `");
            return value.problem(
                format!("templates extend each other in a circle: `{}`", shown(&way)),
                "let one of them stand alone",
            );
        }
        if self.templates.get(name.as_str()).is_none() {
            let names = self.templates.keys().map(|name| name.get_ref().as_ref());
            let hint = match self.templates.is_empty() {
                true => format!("define it in a table [template.{}]", shown(&name)),
                false => suggest::hint(&name, names, "the templates are"),
            };
            return value.problem(format!("there is no template `{}`", shown(&name)), hint);
        }
        self.template(&name, above)
    }

    fn template(&mut self, name: &str, above: &mut Vec<String>) -> Option<DeTable<'a>> {
        if let Some(done) = self.done.get(name) {
            return done.clone();
        }
        let template = self.templates.get(name)?;
        // The wrong type is told, and the table taken with its own lifetime.
        Value::new(self.cx, name, template).table();
        let own = template.get_ref().as_table().cloned();
        above.push(name.to_owned());
        let whole = own.map(|own| {
            let mut whole = self.whole(own, above);
            // The next layer has one of its own, or none.
            whole.remove("extends");
            whole
        });
        above.pop();
        self.done.insert(name.to_owned(), whole.clone());
        whole
    }
}

/// `over` with what it leaves out of `below`.
fn laid_over<'a>(below: &DeTable<'a>, mut over: DeTable<'a>) -> DeTable<'a> {
    let other_kind = KINDS.iter().any(|key| {
        let kind = |table: &DeTable<'_>| Some(table.get(*key)?.get_ref().as_str()?.to_owned());
        matches!((kind(below), kind(&over)), (Some(below), Some(over)) if below != over)
    });
    if other_kind {
        return over;
    }
    let decided: Vec<&str> = ALTERNATIVES
        .iter()
        .filter(|keys| keys.iter().any(|key| over.contains_key(*key)))
        .flat_map(|keys| keys.iter().copied())
        .collect();
    for (key, value) in below {
        let word = key.get_ref().as_ref();
        match over.get_mut(word) {
            Some(own) => {
                let span = own.span();
                if let (DeValue::Table(below), DeValue::Table(table)) =
                    (value.get_ref(), own.get_mut())
                {
                    let whole = laid_over(below, std::mem::take(table));
                    *own = Spanned::new(span, DeValue::Table(whole));
                }
            }
            None if decided.contains(&word) => {}
            None => drop(over.insert(key.clone(), value.clone())),
        }
    }
    over
}

/// Puts the fleet's name into its texts.
fn fill(table: &mut DeTable<'_>, fleet: &str, cx: &Context<'_>) {
    for (key, value) in table.iter_mut() {
        if key.get_ref() != SCRIPT {
            fill_value(value, fleet, cx);
        }
    }
}

fn fill_value(value: &mut Spanned<DeValue<'_>>, fleet: &str, cx: &Context<'_>) {
    let at = value.span().start;
    match value.get_mut() {
        DeValue::String(text) => {
            if text.contains(FLEET) {
                *text = Cow::Owned(text.replace(FLEET, fleet));
            }
            if let Some(word) = misspelt(text) {
                cx.problem(
                    at,
                    format!("`{{{word}}}` stands for nothing"),
                    format!("write `{FLEET}` for the fleet's name"),
                );
            }
        }
        DeValue::Array(items) => items.iter_mut().for_each(|item| fill_value(item, fleet, cx)),
        DeValue::Table(table) => fill(table, fleet, cx),
        _ => {}
    }
}

/// A word in braces that was meant to be the fleet's name. Other braces are those of another language.
fn misspelt(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once('{') {
        let (word, _) = behind.split_once('}')?;
        let plain = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '.' | '-');
        let is_word = !word.is_empty() && word.chars().all(plain);
        let is_near = || suggest::nearest(word, ["fleet"]).is_some();
        if is_word && (OTHER_SPELLINGS.contains(&word) || is_near()) {
            return Some(word);
        }
        rest = behind;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Config, Env, FleetConfig, parse};
    use crate::model::{RuleKind, Span};
    use crate::signals::SourceSpec;

    const MINIMAL: &str = include_str!("../../tests/configs/good/minimal.toml");

    fn read(text: &str) -> Result<Config, String> {
        let env = Env::given([].into(), [].into());
        parse(text, Path::new("c.toml"), &env).map_err(|problems| problems.to_string())
    }

    /// The minimal configuration with its fleet as a template, and these tables.
    fn with_template(more: &str) -> String {
        format!("{}\n{more}", MINIMAL.replace("fleet.web", "template.web"))
    }

    fn line_of(text: &str, line: &str) -> usize {
        text.lines().position(|other| other == line).expect(line) + 1
    }

    fn rules(fleet: &FleetConfig) -> usize {
        fleet.fleet.rules.len()
    }

    #[test]
    fn one_template_serves_many_fleets_and_each_changes_what_it_likes() {
        let text = with_template(
            "[template.web.launch.tags]\nservice = \"{fleet}\"\nteam = \"shop\"\n\
             [template.web.signal.rps]\nsource = \"push\"\n\
             [template.large]\nextends = \"web\"\nmax = 100\nwarmup = \"2m\"\n\
             [fleet.api]\nextends = \"large\"\nmin = 5\n\
             [fleet.api.launch.tags]\nteam = \"core\"\n\
             [fleet.shop]\nextends = \"web\"\n\
             [[fleet.shop.rule]]\nkind = \"target\"\nsignal = \"rps\"\ntarget = 100\n\
             [[fleet.shop.rule]]\nkind = \"fixed\"\nsize = 3\n",
        );
        let config = read(&text).unwrap_or_else(|problems| panic!("{problems}"));
        let [api, shop] = &config.fleets[..] else { panic!("two fleets") };
        assert_eq!((api.fleet.bounds.min, api.fleet.bounds.max), (5, 100));
        assert_eq!((shop.fleet.bounds.min, shop.fleet.bounds.max), (2, 20));
        assert_eq!((api.fleet.warmup, shop.fleet.warmup), (Span::secs(120), Span::secs(60)));
        let tag = |fleet: &FleetConfig, key: &str| fleet.fleet.launch.spec.tags[key].clone();
        assert_eq!((tag(api, "service"), tag(api, "team")), ("api".to_owned(), "core".to_owned()));
        assert_eq!(
            (tag(shop, "service"), tag(shop, "team")),
            ("shop".to_owned(), "shop".to_owned())
        );
        assert_eq!((rules(api), rules(shop)), (1, 2), "a list replaces a list");
        // A signal of the template that no rule of the fleet reads is not asked for.
        let signals = |fleet: &FleetConfig| -> Vec<String> {
            assert!(fleet.fleet.signals.keys().eq(fleet.sources.keys()));
            fleet.sources.keys().map(|name| name.0.clone()).collect()
        };
        assert_eq!((signals(api), signals(shop)), (vec!["cpu".to_owned()], vec!["rps".to_owned()]));
    }

    #[test]
    fn defaults_are_below_everything() {
        let text =
            MINIMAL.replace("max = 20\n", "") + "[defaults.fleet]\nmax = 30\nlaunch_failures = 7\n";
        let config = read(&text).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(config.fleets[0].fleet.bounds.max, 30);
        assert_eq!(config.fleets[0].fleet.launch_failures, 7);
        let text = with_template(
            "[defaults.fleet]\nmax = 30\nlaunch_failures = 7\n[fleet.api]\nextends = \"web\"\n",
        );
        let config = read(&text).unwrap_or_else(|problems| panic!("{problems}"));
        let fleet = &config.fleets[0].fleet;
        assert_eq!((fleet.bounds.max, fleet.launch_failures), (20, 7));
    }

    #[test]
    fn another_kind_and_another_alternative_inherit_nothing_of_the_old_one() {
        let text = with_template(
            "[template.web.signal.load]\nsource = \"prometheus\"\nurl = \"http://127.0.0.1:9090\"\n\
             query = 'avg(load{job=\"{fleet}\"})'\n\
             [fleet.api]\nextends = \"web\"\n\
             [fleet.api.launch]\nuser_data = \"echo {fleet} ${flet}\"\n\
             [fleet.api.signal.cpu]\nsource = \"push\"\n\
             [[fleet.api.rule]]\nkind = \"target\"\nsignal = \"cpu\"\ntarget = 60\n\
             [[fleet.api.rule]]\nkind = \"target\"\nsignal = \"load\"\ntarget = 1\n",
        );
        let text = text.replace(
            "[template.web.launch]\n",
            "[template.web.launch]\nuser_data_file = \"none\"\n",
        );
        let config = read(&text).unwrap_or_else(|problems| panic!("{problems}"));
        let api = &config.fleets[0];
        assert!(matches!(api.sources[&"cpu".into()], SourceSpec::Push(_)), "{:?}", api.sources);
        let SourceSpec::Prometheus(load) = &api.sources[&"load".into()] else { panic!("it") };
        assert!(format!("{load:?}").contains("job=\\\"api\\\""), "{load:?}");
        let script = api.fleet.launch.spec.user_data.as_ref().expect("a script");
        assert_eq!(script.text(), Some("echo {fleet} ${flet}"), "a script is never touched");
        assert!(api.fleet.rules.iter().all(|rule| matches!(rule.kind, RuleKind::Target(_))));
    }

    #[test]
    fn a_problem_of_a_template_names_its_line_and_is_told_once() {
        let text = with_template(
            "[fleet.api]\nextends = \"web\"\n[fleet.shop]\nextends = \"web\"\nmin = 30\n",
        );
        let text = text.replace("max = 20\n", "max = 20\nwarmpu = \"1m\"\n");
        let error = read(&text).expect_err("a slip");
        let slip = format!("c.toml:{}: unknown key `warmpu`", line_of(&text, "warmpu = \"1m\""));
        assert!(error.starts_with(&slip), "{error}");
        assert_eq!(error.matches("warmpu").count(), 1, "{error}");
        assert!(error.contains("did you mean `warmup`?"), "{error}");
        let min = format!("c.toml:{}: fleet `shop` has min = 30", line_of(&text, "min = 30"));
        assert!(error.contains(&min), "{error}");
    }

    #[test]
    fn what_cannot_be_extended_is_told_alone_with_its_line() {
        let fleet = |name: &str| format!("[fleet.api]\nextends = \"{name}\"\n");
        let circle = "[template.a]\nextends = \"b\"\n[template.b]\nextends = \"a\"\n";
        for (name, more, says) in [
            ("a slip", fleet("wbe"), "there is no template `wbe`\n  hint: did you mean `web`?"),
            ("a number", "[fleet.api]\nextends = 3\n".to_owned(), "`extends` is a number"),
            ("a circle", format!("{circle}{}", fleet("a")), "in a circle: `a` → `b` → `a`"),
            ("itself", "[template.a]\nextends = \"a\"\n".to_owned(), "in a circle: `a` → `a`"),
            ("nobody", format!("[template.a]\nmin = 1\n{}", fleet("web")), "no fleet extends the"),
            ("no table", format!("{}[template]\na = 1\n", fleet("a")), "`a` is a number"),
            (
                "of the defaults",
                format!("[defaults.fleet]\nextends = \"web\"\n{}", fleet("web")),
                "`extends` cannot stand in `[defaults.fleet]`",
            ),
            (
                "a placeholder",
                format!(
                    "{}instance_name = \"{{flet}}-1\"\n",
                    fleet("web") + "[fleet.api.launch]\n"
                ),
                "`{flet}` stands for nothing\n  hint: write `{fleet}`",
            ),
        ] {
            let text = with_template(&more);
            let error = match read(&text) {
                Ok(_) => panic!("{name} is accepted"),
                Err(error) => error,
            };
            assert!(error.contains(says) && error.starts_with("c.toml:"), "{name}: {error}");
            assert!(!error.contains("is missing"), "{name}: {error}");
        }
        let error = read(&(MINIMAL.to_owned() + "[defaults]\nflet = 1\n")).expect_err("unknown");
        assert!(error.contains("did you mean `fleet`?"), "{error}");
    }
}
