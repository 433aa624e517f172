//! `[[fleet.NAME.shadow]]`: rules on trial, beside the rules of a fleet.

use std::collections::BTreeSet;

use super::fleet::{check_not_only_raised, default_stabilization};
use super::problem::shown;
use super::rule;
use super::table::Table;
use crate::model::{Rule, RuleName, ShadowRules, SignalName, Span};

/// Reads the shadow rules of a fleet whose signals are `signals`. Their names are their own: a shadow rule
/// may be named as the live rule is that it is to replace.
pub(super) fn read(name: &str, table: &Table<'_>, signals: &[SignalName]) -> Vec<Rule> {
    let mut taken: BTreeSet<RuleName> = BTreeSet::new();
    let mut rules =
        table.list_like("shadow", "rule", |table| rule::read(table, signals, &mut taken));
    let whose = format!("the shadow of fleet `{}`", shown(name));
    check_not_only_raised(table, "shadow", &whose, &rules);
    for rule in &mut rules {
        rule.name = rule.name.in_shadow();
    }
    rules
}

/// The shadow rules of a fleet that was given this window; `None` when there are no such rules.
pub(super) fn rules(rules: Vec<Rule>, stabilization: Option<Span>) -> Option<ShadowRules> {
    let window = stabilization.unwrap_or_else(|| default_stabilization(&rules));
    (!rules.is_empty()).then_some(ShadowRules { rules, stabilization: window })
}
