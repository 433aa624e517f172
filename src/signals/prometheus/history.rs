//! The past of a query: what it would have answered, moment by moment.
//!
//! It is asked as a subquery of the usual instant query, so that every server, gateway and credential that
//! answers a signal answers this too, and in parts: a server refuses more samples than it allows for one
//! query.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud::{Redactor, Timestamp, clock};
use serde::Deserialize;

use super::client::Client;
use super::read::number;
use crate::model::{Gap, Span};

/// Points of one part: a server's usual limit is 11,000 for a chart, and small parts are read quickly.
const POINTS: u32 = 5_000;
/// A part may take longer than a signal that a tick waits for.
const TIMEOUT: Span = Span::secs(60);

/// The part of an answer that is read.
#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

/// The values of `query` from `from` to `to`, one each `step`; moments without a value are left out. Of
/// several series that one counts whose labels are `picks`.
///
/// # Errors
/// The first part that cannot be had, and why.
pub(super) async fn history(
    client: &Client,
    query: &str,
    picks: &BTreeMap<String, String>,
    (from, to): (Timestamp, Timestamp),
    step: Duration,
) -> Result<Vec<(Timestamp, f64)>, Gap> {
    let mut values: Vec<(Timestamp, f64)> = Vec::new();
    let mut begin = from;
    while begin < to {
        let end = clock::after(begin, step * POINTS).min(to);
        let length = clock::age(end, begin).as_secs().max(step.as_secs());
        let part = format!("({query})[{length}s:{}s]", step.as_secs());
        let (status, body) = client.past(&part, end, TIMEOUT).await?;
        let newest = values.last().map(|(at, _)| *at);
        let read = read(status, &body, picks, client.redactor())?;
        values.extend(read.into_iter().filter(|(at, _)| newest.is_none_or(|newest| *at > newest)));
        begin = end;
    }
    Ok(values)
}

fn read(
    status: u16,
    body: &[u8],
    picks: &BTreeMap<String, String>,
    redactor: &Redactor,
) -> Result<Vec<(Timestamp, f64)>, Gap> {
    let head = || redactor.line_of(&body[..body.len().min(400)]);
    let bad = |what: &str| Gap::BadAnswer { what: what.to_owned(), head: head() };
    let parsed: Body = match serde_json::from_slice(body) {
        Ok(parsed) => parsed,
        Err(_) if status != 200 => return Err(Gap::Http { status, head: head(), proxy: None }),
        Err(_) => return Err(bad("it is no JSON of the query API")),
    };
    if let Some(error) = parsed.error {
        return Err(Gap::Http { status, head: redactor.line(&error), proxy: None });
    }
    let data = parsed.data.ok_or_else(|| bad("it has no data"))?;
    if data.kind != "matrix" {
        return Err(bad("it is no course of values"));
    }
    let is_ours = |series: &Series| {
        picks.iter().all(|(label, value)| series.metric.get(label) == Some(value))
    };
    let mut ours = data.result.into_iter().filter(is_ours);
    let Some(series) = ours.next() else { return Ok(Vec::new()) };
    if ours.next().is_some() {
        return Err(bad("it has several series: aggregate them in the query"));
    }
    let values = series.values.into_iter().filter_map(|(at, value)| {
        let value = number(&value).filter(|value| value.is_finite())?;
        Some((clock::after(Timestamp::default(), Duration::try_from_secs_f64(at).ok()?), value))
    });
    Ok(values.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str, picks: &[(&str, &str)]) -> Result<Vec<(i64, f64)>, Gap> {
        let picks = picks.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let values = read(status, body.as_bytes(), &picks, &Redactor::default())?;
        Ok(values.into_iter().map(|(at, value)| (at.timestamp(), value)).collect())
    }

    #[test]
    fn a_course_is_read_and_everything_else_is_a_gap_that_says_why() {
        let one = r#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"fleet":"web"},"values":[[1000,"1.5"],[1060.0,"NaN"],[1120,"3"]]}]}}"#;
        assert_eq!(
            of(200, one, &[]),
            Ok(vec![(1000, 1.5), (1120, 3.0)]),
            "what is no number is left out"
        );
        assert_eq!(of(200, one, &[("fleet", "api")]), Ok(vec![]));
        let two = one
            .replace("]}]}}", "]},{\"metric\":{\"fleet\":\"api\"},\"values\":[[1000,\"7\"]]}]}}");
        assert_eq!(of(200, &two, &[("fleet", "api")]), Ok(vec![(1000, 7.0)]));
        assert!(of(200, &two, &[]).is_err(), "two series and no way to tell");
        for (status, body) in [
            (
                422,
                r#"{"status":"error","errorType":"execution","error":"query processing would load too many samples"}"#,
            ),
            (502, "<html>Bad Gateway</html>"),
            (200, "<html>log in</html>"),
            (200, ""),
            (200, r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#),
            (200, &one[..60]),
        ] {
            let gap = of(status, body, &[]).expect_err(body);
            assert!(!gap.to_string().is_empty());
        }
        let too_many = of(422, r#"{"status":"error","error":"too many samples"}"#, &[]);
        assert!(too_many.expect_err("an error").to_string().contains("too many samples"));
    }
}
