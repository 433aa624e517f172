//! Promotion: the configuration in which the shadow rules of a fleet are its rules.
//!
//! The text is changed, not written anew: the tables of the old rules go, the headers of the shadow rules
//! lose their word, and every other line stays as it is, comments included. A result that would not be
//! accepted is refused, with the problems that it has.

mod text;

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use self::text::{Section, sections};
use super::files::{ConfigFile, Files};
use super::problem::{About, Lines, Problem, Problems};
use super::{Env, not_toml, parse_files, text_of};
use crate::model::FleetId;

/// One line of the file, before and after; `None` where it is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub before: Option<String>,
    pub after: Option<String>,
}

/// A file, and what changes in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// The file in which the fleet stands.
    pub path: PathBuf,
    /// Every line of it.
    pub edits: Vec<Edit>,
}

/// Why nothing is promoted.
#[derive(Debug, thiserror::Error)]
pub enum PromoteError {
    #[error("the configuration has problems\n{0}")]
    Before(Problems),
    /// Lines are those of the result.
    #[error("with its shadow rules as rules the configuration would have problems\n{0}")]
    After(Problems),
}

/// Every line of the file of the configuration at `path` in which `fleet` stands, as it is and as it would be
/// with the shadow rules of the fleet as its rules.
///
/// # Errors
/// The configuration has problems, or would have some; files and credentials that only the service can
/// read are none.
pub fn promote(path: &Path, fleet: &FleetId) -> Result<Promotion, PromoteError> {
    let env = Env::system();
    let text = text_of(path, &env).map_err(|problem| PromoteError::Before(problem.into()))?;
    promoted(&text, path, fleet, &env)
}

fn promoted(
    text: &str,
    path: &Path,
    fleet: &FleetId,
    env: &Env,
) -> Result<Promotion, PromoteError> {
    let mut files = Files::read(text, path, env).map_err(PromoteError::Before)?;
    check(&files, env).map_err(PromoteError::Before)?;
    let has_it = |file: &ConfigFile| {
        let document = DeTable::parse(&file.text).ok();
        document.is_some_and(|document| {
            document.get_ref().get("fleet").is_some_and(|fleets| inner(fleets, &fleet.0).is_some())
        })
    };
    // Nowhere: the first file is told that it has no such fleet.
    let n = files.all.iter().position(has_it).unwrap_or(0);
    let ConfigFile { path, text } = &files.all[n];
    let path = path.clone();
    let edits = edits(text, &path, fleet).map_err(PromoteError::Before)?;
    files.all[n].text = after(&edits);
    check(&files, env).map_err(PromoteError::After)?;
    Ok(Promotion { path, edits })
}

/// The text that comes of `edits`.
#[must_use]
pub fn after(edits: &[Edit]) -> String {
    edits.iter().filter_map(|edit| edit.after.as_deref()).collect()
}

/// Problems of the texts themselves, if there are some.
fn check(files: &Files, env: &Env) -> Result<(), Problems> {
    let Err(problems) = parse_files(files, env) else { return Ok(()) };
    let problems: Vec<Problem> =
        problems.iter().filter(|problem| problem.about == About::Text).cloned().collect();
    if problems.is_empty() { Ok(()) } else { Err(Problems::new(problems)) }
}

fn edits(text: &str, path: &Path, fleet: &FleetId) -> Result<Vec<Edit>, Problems> {
    let document = DeTable::parse(text).map_err(|error| not_toml(path, text, &error))?;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let sections = sections(text);
    let of = |key: &str| -> Vec<&Section> {
        let prefix = ["fleet", &fleet.0, key];
        sections.iter().filter(|section| section.is_within(&prefix)).collect()
    };
    let [rules, shadow] = ["rule", "shadow"].map(of);
    for (key, found) in [("rule", &rules), ("shadow", &shadow)] {
        let headers = found.iter().filter(|section| section.depth() == 3).count();
        written_as_tables(text, path, document.get_ref(), fleet, key, headers)?;
    }
    let mut edits: Vec<Edit> = lines
        .iter()
        .map(|line| Edit { before: Some((*line).to_owned()), after: Some((*line).to_owned()) })
        .collect();
    for section in rules {
        let is_blank = |n: usize| lines.get(n).is_some_and(|line| line.trim().is_empty());
        let mut end = section.end;
        // One blank line between what was around it is enough.
        if section.begin.checked_sub(1).is_none_or(is_blank) {
            end += (end..).take_while(|n| is_blank(*n)).count();
        }
        edits[section.begin..end].iter_mut().for_each(|edit| edit.after = None);
    }
    for section in shadow {
        let line = lines[section.header];
        let word = section.word(2);
        let renamed = format!("{}rule{}", &line[..word.start], &line[word.end..]);
        edits[section.header].after = Some(renamed);
    }
    Ok(edits)
}

/// Whether all tables under `key` of the fleet are written as `[[fleet.NAME.key]]`, and there is one.
fn written_as_tables(
    text: &str,
    path: &Path,
    document: &DeTable<'_>,
    fleet: &FleetId,
    key: &str,
    headers: usize,
) -> Result<(), Problems> {
    let table = document.get("fleet").and_then(|fleets| inner(fleets, &fleet.0));
    let list = table.and_then(|table| inner(table, key));
    let tables = list.and_then(|list| list.get_ref().as_array()).map_or(0, |list| list.len());
    let header = format!("[[fleet.{fleet}.{key}]]");
    let extends = table.is_some_and(|table| inner(table, "extends").is_some());
    let (problem, hint) = if headers == tables && (tables > 0 || key == "rule") {
        // A fleet without rules of its own has those of its template, and they stay there.
        return Ok(());
    } else if tables == 0 {
        let hint = match extends {
            true => {
                format!("add a table {header}; those of its template are promoted there, by hand")
            }
            false => format!("add a table {header}"),
        };
        (format!("fleet `{fleet}` has no shadow rules of its own"), hint)
    } else {
        let hint = format!("write each as a table {header} of its own, or promote it by hand");
        (format!("`{key}` of fleet `{fleet}` is not written as tables {header}"), hint)
    };
    let at = list.or(table).map_or(0, |value| value.span().start);
    let (line, column) = Lines::of(text).position(at);
    let about = About::Text;
    Err(Problem { file: path.to_owned(), line, column, problem, hint, about }.into())
}

fn inner<'a, 'b>(value: &'b Spanned<DeValue<'a>>, key: &str) -> Option<&'b Spanned<DeValue<'a>>> {
    value.get_ref().as_table()?.get(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = include_str!("../../tests/configs/good/minimal.toml");

    fn promoted_text(text: &str) -> Result<String, String> {
        let fleet = FleetId::from("web");
        let env = Env::given([].into(), [].into());
        let edits = promoted(text, Path::new("c.toml"), &fleet, &env);
        edits.map(|promotion| after(&promotion.edits)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_file_that_has_the_fleet_is_the_one_that_changes() {
        let begin = MINIMAL.find("[fleet.web]").expect("a fleet");
        let text = format!("include = [\"conf.d/*.toml\"]\n{}", &MINIMAL[..begin]);
        let web = format!("{}\n{SHADOW}", &MINIMAL[begin..]);
        let api = MINIMAL[begin..].replace("fleet.web", "fleet.api");
        let files = [("conf.d/web.toml", web), ("conf.d/api.toml", api)];
        let files = files.map(|(path, text)| (PathBuf::from(path), text.into_bytes()));
        let env = Env::given([].into(), files.into());
        let fleet = FleetId::from("web");
        let promotion = promoted(&text, Path::new("c.toml"), &fleet, &env).expect("promoted");
        assert_eq!(promotion.path, Path::new("conf.d/web.toml"));
        let text = after(&promotion.edits);
        assert!(text.ends_with(&SHADOW.replace("fleet.web.shadow", "fleet.web.rule")), "{text}");
    }

    #[test]
    fn rules_of_a_template_stay_and_the_fleet_gets_its_own() {
        let fleet = format!("[fleet.web]\nextends = \"base\"\n{SHADOW}");
        let template = MINIMAL.replace("fleet.web", "template.base");
        let text = promoted_text(&format!("{template}\n{fleet}")).expect("promoted");
        assert!(text.starts_with(&template), "{text}");
        assert!(text.ends_with(&SHADOW.replace("fleet.web.shadow", "fleet.web.rule")), "{text}");

        let shadow = SHADOW.replace("fleet.web", "template.base");
        let fleet = "[fleet.web]\nextends = \"base\"\n";
        let error =
            promoted_text(&format!("{template}\n{shadow}\n{fleet}")).expect_err("inherited");
        assert!(error.contains("promoted there, by hand"), "{error}");
    }

    fn with(more: &str) -> String {
        format!("{MINIMAL}\n{more}")
    }

    const SHADOW: &str = "\
# Half as many, on trial since May.
[[fleet.web.shadow]] # the new one
kind = \"target\" # of each
signal = \"cpu\"
target = 70
[fleet.web.shadow.tolerance]
out = 0.2

# The end.
";

    #[test]
    fn the_old_rules_go_and_the_shadow_rules_take_their_place_with_their_comments() {
        let text = promoted_text(&with(SHADOW)).expect("promoted");
        let kept = SHADOW.replace("fleet.web.shadow", "fleet.web.rule");
        assert!(text.ends_with(&kept), "{text}");
        assert!(!text.contains("threshold"), "{text}");
        let (head, _) = MINIMAL.split_once("[[fleet.web.rule]]").expect("a rule");
        assert!(text.starts_with(head.trim_end()), "{text}");
    }

    #[test]
    fn what_looks_like_a_header_within_a_text_stays() {
        let notes = "'''\n[[fleet.web.shadow]]\n[[fleet.web.rule]]\n'''";
        let text = with(SHADOW).replacen(
            "[fleet.web.launch]\n",
            &format!("[fleet.web.launch]\nuser_data = {notes}\n"),
            1,
        );
        let text = promoted_text(&text).expect("promoted");
        assert!(text.contains(notes), "{text}");
    }

    #[test]
    fn what_cannot_be_promoted_is_told_with_its_line() {
        let inline = with("").replacen(
            "[fleet.web]\n",
            "[fleet.web]\nshadow = [{ kind = \"fixed\", size = 3 }]\n",
            1,
        );
        let unread = format!("{MINIMAL}\n[[fleet.web.shadow]]\nkind = \"fixed\"\nsize = 3\n");
        for (name, text, says) in [
            ("no shadow", with(""), "fleet `web` has no shadow rules of its own"),
            ("inline", inline, "`shadow` of fleet `web` is not written as tables"),
            ("a broken one", with("[[fleet.web.shadow]]\nkind = \"targt\"\n"), "targt"),
            ("a signal is left over", unread, "no rule reads the signal `cpu`"),
        ] {
            let error = promoted_text(&text).expect_err(name);
            assert!(error.contains(says) && error.contains("c.toml:"), "{name}: {error}");
            assert!(error.contains("hint: "), "{name}: {error}");
        }
    }
}
