//! PromQL, checked before it is asked: a query that can never give a number, or whose data's age
//! can never be known, is a problem of the configuration and not of some night in production.

use promql_parser::parser::Expr;
use promql_parser::parser::value::ValueType;
use promql_parser::util::{ExprVisitor, walk_expr};

use super::problem::shown;
use super::value::{Value, text};
use crate::signals::promql::parse;

/// 16 KiB: queries travel in a URL to some proxies, and no person has written a longer one.
const BYTES_MAX: usize = 16 * 1024;
/// 64: deeper nesting is a mistake, and the parser's tree is walked by recursion.
const NESTING_MAX: usize = 64;

/// A query that has been understood.
#[derive(Debug)]
pub(super) struct PromQuery {
    pub(super) text: String,
    /// Whether it selects any series, so that the age of its data can be measured.
    pub(super) selects: bool,
}

/// The token that stands for the fleet's name. PromQL has no such selector (one compares a label with
/// something), so it can mean nothing else.
const FLEET: &str = "{fleet}";

/// `text` with the name of `fleet` in it.
pub(super) fn for_fleet(text: &str, fleet: &str) -> String {
    text.replace(FLEET, fleet)
}

/// A query for the fleet of this name.
pub(super) fn query(fleet: &str) -> impl Fn(&Value<'_>) -> Option<PromQuery> {
    move |value| read(value, fleet)
}

fn read(value: &Value<'_>, fleet: &str) -> Option<PromQuery> {
    let query = &for_fleet(text(value)?.trim(), fleet);
    let expr = match understand(query) {
        Ok(expr) => expr,
        Err(why) => {
            // The parser says this when it knows nothing more.
            let more = match why.as_str() {
                "invalid promql query" => readable(query)
                    .map(|part| format!(" after {:?}", shown(part)))
                    .unwrap_or_default(),
                why => format!(": {}", shown(why)),
            };
            return value.problem(
                format!("`{}` is not valid PromQL{more}", value.key),
                "try the query on the server's own page first",
            );
        }
    };
    let wrap = match expr.value_type() {
        ValueType::Vector | ValueType::Scalar => None,
        ValueType::Matrix => {
            Some(("a range", "take a function over it, such as avg_over_time(...)"))
        }
        ValueType::String => Some(("a text", "write a query that returns a number")),
    };
    if let Some((what, hint)) = wrap {
        return value.problem(format!("`{}` returns {what}, not a number", value.key), hint);
    }
    Some(PromQuery { selects: selects(&expr), text: query.clone() })
}

fn understand(query: &str) -> Result<Expr, String> {
    if query.len() > BYTES_MAX {
        return Err(format!("it is longer than {BYTES_MAX} bytes"));
    }
    if nesting(query) > NESTING_MAX {
        return Err(format!("it is nested more than {NESTING_MAX} deep"));
    }
    parse(query)
}

/// 1,000 bytes: each prefix of a query is parsed to find where it goes wrong.
const SEARCHED_BYTES_MAX: usize = 1000;

/// The longest beginning of `query` that is a query itself: the mistake is behind it.
fn readable(query: &str) -> Option<&str> {
    let searched = query.len() <= SEARCHED_BYTES_MAX;
    let ends = query.char_indices().map(|(at, _)| at).filter(|_| searched);
    ends.rev().map(|end| query[..end].trim_end()).find(|part| parse(part).is_ok())
}

/// How deep the parentheses go, counting those within strings too, which only errs to the safe
/// side. A row of signs nests as well: `---x`.
fn nesting(query: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let mut signs = 0;
    for c in query.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        signs = match c {
            '-' | '+' => signs + 1,
            c if c.is_whitespace() => signs,
            _ => 0,
        };
        deepest = deepest.max(depth).max(signs);
    }
    deepest
}

fn selects(expr: &Expr) -> bool {
    struct Selectors(bool);
    impl ExprVisitor for Selectors {
        type Error = std::convert::Infallible;

        fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
            self.0 |= matches!(expr, Expr::VectorSelector(_) | Expr::MatrixSelector(_));
            Ok(true)
        }
    }
    let mut selectors = Selectors(false);
    match walk_expr(&mut selectors, expr) {
        Ok(_) => selectors.0,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_selects_series_or_it_does_not() {
        for (query, expected) in [
            ("up", true),
            ("sum(rate(http_requests_total[1m]))", true),
            ("1 - avg(up)", true),
            ("max_over_time(rate(x[5m])[1h:1m])", true),
            ("1 + 1", false),
            ("time()", false),
            ("vector(1)", false),
        ] {
            assert_eq!(selects(&understand(query).expect(query)), expected, "{query}");
        }
    }

    #[test]
    fn the_fleets_name_is_put_in_and_other_braces_stay() {
        for (query, filled) in [
            (r#"avg(load{job="{fleet}"})"#, r#"avg(load{job="web"})"#),
            (r#"avg by (fleet) (load{fleet=~".+"})"#, r#"avg by (fleet) (load{fleet=~".+"})"#),
            ("{fleet}:load:avg5m", "web:load:avg5m"),
        ] {
            assert_eq!(for_fleet(query, "web"), filled);
            understand(filled).expect(filled);
        }
        understand(FLEET).expect_err("it is no selector of its own");
    }

    #[test]
    fn raw_strings_are_understood() {
        assert!(selects(&understand(r"avg(node_load1{instance=~`10\.0\..*`})").expect("valid")));
    }

    #[test]
    fn long_chains_fit_the_stack() {
        for link in ["a+", "a^", "-#\n", "a-(", "a or "] {
            let chain = format!("{}a", link.repeat((BYTES_MAX - 1) / link.len()));
            drop(understand(&chain).map(|expr| (expr.value_type(), selects(&expr))));
        }
    }

    #[test]
    fn the_part_before_a_mistake_is_found() {
        for (query, expected) in [
            ("up +", Some("up")),
            ("sum(rate(x[5m])) / / 2", Some("sum(rate(x[5m]))")),
            ("+", None),
        ] {
            assert_eq!(readable(query), expected, "{query}");
        }
    }

    #[test]
    fn absurd_queries_are_refused_before_they_are_parsed() {
        for query in [
            "(".repeat(100_000),
            format!("{}x{}", "(".repeat(8_000), ")".repeat(8_000)),
            format!("{}x", "-".repeat(10_000)),
            format!("{}x", "- ".repeat(8_000)),
        ] {
            assert!(understand(&query).is_err());
        }
    }
}
