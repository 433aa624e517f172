//! The selectors under a query, as queries for the time of their newest sample and for how many
//! instances they have samples of. Pure.

use std::collections::BTreeSet;

use promql_parser::parser::{self, Expr, VectorSelector};

/// One query per distinct selector: when its newest sample was taken, in Unix seconds.
///
/// Within one selector the newest sample counts: a single exporter that lags does not make the
/// fleet's average stale (when a target is gone, Prometheus ends its series itself). Across
/// selectors the oldest counts: a ratio is as old as the older of its two metrics.
pub(super) fn queries(query: &str) -> Result<Vec<String>, String> {
    each_selector(query, |selector| format!("max(timestamp({selector}))"))
}

/// One query per distinct selector: of how many instances it has a sample. The label is the one
/// that Prometheus itself gives to every target.
pub(super) fn reporting(query: &str) -> Result<Vec<String>, String> {
    each_selector(query, |selector| format!("count(count by (instance) ({selector}))"))
}

fn each_selector(
    query: &str,
    ask: impl Fn(&VectorSelector) -> String,
) -> Result<Vec<String>, String> {
    let expr = parser::parse(query).map_err(|why| format!("the query cannot be parsed: {why}"))?;
    let mut selectors = Vec::new();
    collect(&expr, &mut selectors);
    let distinct: BTreeSet<String> = selectors.into_iter().map(ask).collect();
    Ok(distinct.into_iter().collect())
}

fn collect<'a>(expr: &'a Expr, selectors: &mut Vec<&'a VectorSelector>) {
    match expr {
        Expr::VectorSelector(selector) => selectors.push(selector),
        Expr::MatrixSelector(matrix) => selectors.push(&matrix.vs),
        Expr::Aggregate(aggregate) => {
            collect(&aggregate.expr, selectors);
            if let Some(param) = &aggregate.param {
                collect(param, selectors);
            }
        }
        Expr::Unary(unary) => collect(&unary.expr, selectors),
        Expr::Binary(binary) => {
            collect(&binary.lhs, selectors);
            collect(&binary.rhs, selectors);
        }
        Expr::Paren(paren) => collect(&paren.expr, selectors),
        Expr::Subquery(subquery) => collect(&subquery.expr, selectors),
        Expr::Call(call) => call.args.args.iter().for_each(|arg| collect(arg, selectors)),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{queries, reporting};

    #[test]
    fn every_distinct_selector_is_asked_how_many_instances_report_it() {
        let cpu = r#"100 * (1 - avg(rate(node_cpu_seconds_total{mode="idle"}[1m])))"#;
        assert_eq!(
            reporting(cpu).expect("a query"),
            [r#"count(count by (instance) (node_cpu_seconds_total{mode="idle"}))"#]
        );
        assert_eq!(reporting("vector(1)").expect("a query"), [""; 0]);
    }

    #[test]
    fn every_distinct_selector_is_asked_for_its_newest_sample() {
        let cpu = r#"100 * (1 - avg(rate(node_cpu_seconds_total{mode="idle"}[1m])))"#;
        for (query, asked) in [
            ("up", vec!["max(timestamp(up))"]),
            (cpu, vec![r#"max(timestamp(node_cpu_seconds_total{mode="idle"}))"#]),
            ("a / on(x) b", vec!["max(timestamp(a))", "max(timestamp(b))"]),
            ("a / a", vec!["max(timestamp(a))"]),
            ("sum(x offset 5m)", vec!["max(timestamp(x offset 5m))"]),
            ("max_over_time(rate(x[1m])[10m:])", vec!["max(timestamp(x))"]),
            ("sum(x) or vector(0)", vec!["max(timestamp(x))"]),
            ("quantile(scalar(q), y)", vec!["max(timestamp(q))", "max(timestamp(y))"]),
            (r#"-x{a=~"b.*|c",d!="e\"f"}"#, vec![r#"max(timestamp(x{a=~"b.*|c",d!="e\"f"}))"#]),
            ("vector(1)", vec![]),
        ] {
            assert_eq!(queries(query).expect(query), asked, "{query}");
        }
        queries("sum(").expect_err("not a query");
    }

    #[test]
    fn what_is_asked_can_be_parsed_again() {
        for query in [r#"x{a=~"b.*|c",d!="e\"f\\g"} offset -3m"#, "x @ 1700000000", "x @ end()"] {
            for asked in queries(query).expect(query) {
                promql_parser::parser::parse(&asked).unwrap_or_else(|e| panic!("{asked}: {e}"));
            }
        }
    }
}
