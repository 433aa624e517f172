//! Questions about the data under a query: when its newest samples were taken, and how many
//! instances they are of. Both are asked of the selectors in the query. Pure.
//!
//! Within one selector the newest sample counts: a single exporter that lags does not make the
//! fleet's average stale (when a target is gone, Prometheus ends its series itself). Across
//! selectors the oldest counts: a ratio is as old as the older of its two metrics. Of `a or b` a side
//! without data does not count as long as the other has some.

use std::sync::Arc;

use promql_parser::parser::token::{
    T_BOTTOMK, T_COUNT_VALUES, T_LAND, T_LIMIT_RATIO, T_LIMITK, T_LOR, T_LUNLESS, T_TOPK,
};
use promql_parser::parser::{
    AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality,
};

use super::promql;

/// The questions about the data under a query, as the query combines it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum QueryData {
    Ask(AgeQuestion),
    /// None may be without data.
    All(Vec<QueryData>),
    /// One with data is enough.
    Any(Vec<QueryData>),
    /// It may be without data.
    Perhaps(Box<QueryData>),
}

/// One query about one selector.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct AgeQuestion {
    pub(super) query: Arc<str>,
    /// Whether it is answered for each value of the labels that pick a fleet's series.
    pub(super) is_grouped: bool,
}

/// The result of one question, or of several.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Measure {
    Number(f64),
    /// It selects nothing.
    Empty,
    /// Nothing was asked.
    Nothing,
}

/// When the newest samples were taken, in Unix seconds: one question per selector.
pub(super) fn times(query: &str, labels: &[String]) -> Result<QueryData, String> {
    Builder { labels, about: DataAbout::Time }.read(query)
}

/// Of how many instances there are samples: one question per selector. The label is the one that
/// Prometheus itself gives to every target. What is measured over several fleets says nothing of one.
pub(super) fn reporting(query: &str, labels: &[String]) -> Result<QueryData, String> {
    Builder { labels, about: DataAbout::Count }.read(query)
}

impl QueryData {
    /// Each question once.
    pub(super) fn questions(&self) -> std::collections::BTreeSet<&AgeQuestion> {
        let mut questions = std::collections::BTreeSet::new();
        self.collect(&mut questions);
        questions
    }

    fn collect<'a>(&'a self, questions: &mut std::collections::BTreeSet<&'a AgeQuestion>) {
        match self {
            QueryData::Ask(question) => drop(questions.insert(question)),
            QueryData::All(parts) | QueryData::Any(parts) => {
                parts.iter().for_each(|part| part.collect(questions));
            }
            QueryData::Perhaps(part) => part.collect(questions),
        }
    }

    /// The least of what was found: the oldest time, the smallest number.
    pub(super) fn least(&self, found: &impl Fn(&AgeQuestion) -> Measure) -> Measure {
        let least = |parts: &[QueryData]| {
            let numbers = parts.iter().filter_map(|part| match part.least(found) {
                Measure::Number(number) => Some(number),
                Measure::Empty | Measure::Nothing => None,
            });
            numbers.reduce(f64::min).map(Measure::Number)
        };
        let is_any_empty =
            |parts: &[QueryData]| parts.iter().any(|part| part.least(found) == Measure::Empty);
        match self {
            QueryData::Ask(question) => found(question),
            QueryData::All(parts) if is_any_empty(parts) => Measure::Empty,
            QueryData::All(parts) => least(parts).unwrap_or(Measure::Nothing),
            QueryData::Any(parts) => least(parts).unwrap_or(if is_any_empty(parts) {
                Measure::Empty
            } else {
                Measure::Nothing
            }),
            QueryData::Perhaps(part) => match part.least(found) {
                Measure::Empty => Measure::Nothing,
                found => found,
            },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum DataAbout {
    Time,
    Count,
}

#[derive(Debug, Clone, Copy)]
struct Builder<'a> {
    /// The labels that pick a fleet's series; none where the query is of one fleet.
    labels: &'a [String],
    about: DataAbout,
}

impl Builder<'_> {
    fn read(self, query: &str) -> Result<QueryData, String> {
        let expr =
            promql::parse(query).map_err(|why| format!("the query cannot be parsed: {why}"))?;
        self.of(&expr, !self.labels.is_empty())
    }

    /// The questions about `expr`; `keeps`: its series still have the wanted labels in the end.
    fn of(self, expr: &Expr, keeps: bool) -> Result<QueryData, String> {
        match expr {
            Expr::VectorSelector(selector) => Ok(self.ask(&selector.to_string(), keeps)),
            Expr::MatrixSelector(matrix) => Ok(self.ask(&matrix.vs.to_string(), keeps)),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, keeps),
            Expr::Binary(binary) => self.binary(binary, keeps),
            Expr::Call(call) => self.call(call, keeps),
            Expr::Unary(unary) => self.of(&unary.expr, keeps),
            Expr::Paren(paren) => self.of(&paren.expr, keeps),
            Expr::Subquery(subquery) => self.of(&subquery.expr, keeps),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {
                Ok(QueryData::All(Vec::new()))
            }
        }
    }

    fn ask(self, selector: &str, keeps: bool) -> QueryData {
        let by = self.labels.join(", ");
        let query = match (self.about, keeps) {
            (DataAbout::Time, false) => format!("max(timestamp({selector}))"),
            (DataAbout::Time, true) => format!("max by ({by}) (timestamp({selector}))"),
            (DataAbout::Count, false) if !self.labels.is_empty() => {
                return QueryData::All(Vec::new());
            }
            (DataAbout::Count, false) => format!("count(count by (instance) ({selector}))"),
            (DataAbout::Count, true) => {
                format!("count by ({by}) (count by ({by}, instance) ({selector}))")
            }
        };
        QueryData::Ask(AgeQuestion { query: query.into(), is_grouped: keeps })
    }

    fn aggregate(self, aggregate: &AggregateExpr, keeps: bool) -> Result<QueryData, String> {
        let picks = [T_TOPK, T_BOTTOMK, T_LIMITK, T_LIMIT_RATIO].contains(&aggregate.op.id());
        if keeps
            && aggregate.op.id() == T_COUNT_VALUES
            && let Some(Expr::StringLiteral(label)) = aggregate.param.as_deref()
            && self.labels.contains(&label.val)
        {
            return Err(format!("`count_values` makes the label `{}`", label.val));
        }
        let keeps = keeps
            && match &aggregate.modifier {
                _ if picks => true,
                None => false,
                Some(LabelModifier::Include(by)) => {
                    self.labels.iter().all(|l| by.labels.contains(l))
                }
                Some(LabelModifier::Exclude(by)) => {
                    !self.labels.iter().any(|l| by.labels.contains(l))
                }
            };
        let mut parts = vec![self.of(&aggregate.expr, keeps)?];
        if let Some(param) = &aggregate.param {
            parts.push(self.of(param, false)?);
        }
        Ok(QueryData::All(parts))
    }

    fn call(self, call: &Call, keeps: bool) -> Result<QueryData, String> {
        let name = call.func.name;
        let literal = call.args.args.get(1).map(|arg| &**arg);
        if keeps
            && matches!(name, "label_replace" | "label_join")
            && let Some(Expr::StringLiteral(label)) = literal
            && self.labels.contains(&label.val)
        {
            return Err(format!("`{name}` makes the label `{}`", label.val));
        }
        let keeps = keeps && !matches!(name, "scalar" | "absent" | "absent_over_time" | "vector");
        let parts = call.args.args.iter().map(|arg| self.of(arg, keeps));
        Ok(QueryData::All(parts.collect::<Result<_, _>>()?))
    }

    fn binary(self, binary: &BinaryExpr, keeps: bool) -> Result<QueryData, String> {
        let modifier = binary.modifier.as_ref();
        // Whether a side that is matched has the labels for each fleet of its own.
        let matched = keeps
            && match modifier.and_then(|modifier| modifier.matching.as_ref()) {
                None => true,
                Some(LabelModifier::Include(on)) => {
                    self.labels.iter().all(|l| on.labels.contains(l))
                }
                Some(LabelModifier::Exclude(by)) => {
                    !self.labels.iter().any(|l| by.labels.contains(l))
                }
            };
        let op = binary.op.id();
        if op == T_LOR {
            if self.about == DataAbout::Count
                && let Some(union) = union(binary)
            {
                return Ok(self.ask(&union, keeps));
            }
            return Ok(QueryData::Any(vec![
                self.of(&binary.lhs, keeps)?,
                self.of(&binary.rhs, keeps)?,
            ]));
        }
        if op == T_LUNLESS && self.about == DataAbout::Count {
            // Hosts under the right side are left out, not measured.
            return self.of(&binary.lhs, keeps);
        }
        if op == T_LAND || op == T_LUNLESS {
            let right = self.of(&binary.rhs, matched)?;
            let right = if op == T_LUNLESS { QueryData::Perhaps(Box::new(right)) } else { right };
            return Ok(QueryData::All(vec![self.of(&binary.lhs, keeps)?, right]));
        }
        let card = modifier.map(|modifier| &modifier.card);
        if keeps
            && let Some(taken) = card.and_then(VectorMatchCardinality::labels)
            && let Some(label) = self.labels.iter().find(|l| taken.labels.contains(l))
        {
            return Err(format!("`group_left` or `group_right` brings the label `{label}`"));
        }
        // A number has no labels to match: the other side keeps its own.
        let is_number =
            |side: &Expr| side.value_type() == promql_parser::parser::value::ValueType::Scalar;
        let (left, right) = match card {
            _ if is_number(&binary.lhs) || is_number(&binary.rhs) => (keeps, keeps),
            Some(VectorMatchCardinality::ManyToOne(_)) => (keeps, matched),
            Some(VectorMatchCardinality::OneToMany(_)) => (matched, keeps),
            _ => (matched, matched),
        };
        Ok(QueryData::All(vec![self.of(&binary.lhs, left)?, self.of(&binary.rhs, right)?]))
    }
}

/// `a or b` where both sides are bare selectors: the instances under it are those of their union.
/// Of `avg(a) or avg(b)` they are those of the side that the value is from.
fn union(binary: &BinaryExpr) -> Option<String> {
    let side = |expr: &Expr| side(expr);
    Some(format!("{} or {}", side(&binary.lhs)?, side(&binary.rhs)?))
}

fn side(expr: &Expr) -> Option<String> {
    match expr {
        Expr::VectorSelector(selector) => Some(selector.to_string()),
        Expr::Paren(paren) => side(&paren.expr),
        Expr::Binary(binary) if binary.op.id() == T_LOR => union(binary),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(data: &QueryData) -> Vec<String> {
        data.questions().into_iter().map(|question| question.query.to_string()).collect()
    }

    fn fleet() -> [String; 1] {
        ["fleet".to_owned()]
    }

    #[test]
    fn every_distinct_selector_is_asked_how_many_instances_report_it() {
        let cpu = r#"100 * (1 - avg(rate(node_cpu_seconds_total{mode="idle"}[1m])))"#;
        assert_eq!(
            asked(&reporting(cpu, &[]).expect("a query")),
            [r#"count(count by (instance) (node_cpu_seconds_total{mode="idle"}))"#]
        );
        assert_eq!(asked(&reporting("vector(1)", &[]).expect("a query")), [""; 0]);
        assert_eq!(
            asked(&reporting("avg(old or (new or newer))", &[]).expect("a query")),
            ["count(count by (instance) (old or new or newer))"]
        );
        assert_eq!(
            asked(
                &reporting("avg by (fleet) (a) / on() group_left() sum(b)", &fleet()).expect("one")
            ),
            ["count by (fleet) (count by (fleet, instance) (a))"]
        );
    }

    #[test]
    fn every_distinct_selector_is_asked_for_its_newest_sample() {
        let cpu = r#"100 * (1 - avg(rate(node_cpu_seconds_total{mode="idle"}[1m])))"#;
        for (query, expected) in [
            ("up", vec!["max(timestamp(up))"]),
            (cpu, vec![r#"max(timestamp(node_cpu_seconds_total{mode="idle"}))"#]),
            ("a / on(x) b", vec!["max(timestamp(a))", "max(timestamp(b))"]),
            ("a / a", vec!["max(timestamp(a))"]),
            ("sum(x offset 5m)", vec!["max(timestamp(x offset 5m))"]),
            ("max_over_time(rate(x[1m])[10m:])", vec!["max(timestamp(x))"]),
            ("sum(x) or vector(0)", vec!["max(timestamp(x))"]),
            ("quantile(scalar(q), y)", vec!["max(timestamp(q))", "max(timestamp(y))"]),
            (r#"-x{a=~"b.*|c",d!="e\"f"}"#, vec![r#"max(timestamp(x{a=~"b.*|c",d!="e\"f"}))"#]),
            (r"x{a=~`b\.c`}", vec![r#"max(timestamp(x{a=~"b\\.c"}))"#]),
            ("vector(1)", vec![]),
        ] {
            assert_eq!(asked(&times(query, &[]).expect(query)), expected, "{query}");
        }
        times("sum(", &[]).expect_err("not a query");
    }

    #[test]
    fn what_is_asked_can_be_parsed_again() {
        for query in [
            r#"x{a=~"b.*|c",d!="e\"f\\g"} offset -3m"#,
            "x @ 1700000000",
            "x @ end()",
            r"x{a=~`10\.0\..*`}",
        ] {
            let data = times(query, &fleet()).expect(query);
            for question in data.questions() {
                promql::parse(&question.query).unwrap_or_else(|e| panic!("{question:?}: {e}"));
            }
        }
    }

    #[test]
    fn a_side_without_data_does_not_count_where_the_other_has_some() {
        use Measure::{Empty, Nothing, Number};
        // What `a` and `b` are found to be.
        for (query, a, b, found) in [
            ("a / b", Number(1.0), Number(2.0), Number(1.0)),
            ("a / b", Number(1.0), Empty, Empty),
            ("a or avg(b)", Number(1.0), Number(2.0), Number(1.0)),
            ("a or avg(b)", Empty, Number(2.0), Number(2.0)),
            ("a or avg(b)", Number(1.0), Empty, Number(1.0)),
            ("a or avg(b)", Empty, Empty, Empty),
            ("sum(a) or vector(0)", Empty, Nothing, Empty),
            ("sum(a) or vector(0)", Number(1.0), Nothing, Number(1.0)),
            ("a unless b", Number(1.0), Empty, Number(1.0)),
            ("a unless b", Empty, Number(2.0), Empty),
            ("a and b", Number(1.0), Empty, Empty),
            ("vector(1)", Empty, Empty, Nothing),
        ] {
            let is_a = |question: &AgeQuestion| question.query.contains("(a)");
            let least = times(query, &[]).expect(query).least(&|q| if is_a(q) { a } else { b });
            assert_eq!(least, found, "{query} with {a:?} and {b:?}");
        }
    }

    #[test]
    fn for_many_fleets_it_is_asked_by_the_labels_that_the_result_keeps() {
        let by = "max by (fleet) (timestamp(a))";
        let all = "max(timestamp(a))";
        for (query, expected) in [
            ("a", by),
            ("avg by (fleet) (a)", by),
            ("avg by (fleet, zone) (rate(a[1m]))", by),
            ("avg without (zone) (a)", by),
            ("topk(3, a)", by),
            ("100 * avg by (fleet) (a) / 2", by),
            ("avg(a)", all),
            ("avg without (fleet) (a)", all),
            ("sum by (zone) (a)", all),
            ("vector(scalar(a))", all),
        ] {
            assert_eq!(asked(&times(query, &fleet()).expect(query)), [expected], "{query}");
        }
        let shared = "avg by (fleet) (a) / on() group_left() sum(b)";
        let shared = asked(&times(shared, &fleet()).expect("a query"));
        assert_eq!(shared, [by, "max(timestamp(b))"]);
        for (query, what) in [
            (
                "label_replace(a, \"fleet\", \"$1\", \"instance\", \"(.*)\")",
                "`label_replace` makes",
            ),
            ("a * on(instance) group_left(fleet) info", "`group_left`"),
            ("count_values(\"fleet\", a)", "`count_values`"),
        ] {
            let why = times(query, &fleet()).expect_err(query);
            assert!(why.contains(what), "{query}: {why}");
        }
    }
}
