//! Bytes that somebody else wrote: the targets of `fuzz/` on their corpus and on mutations of it.
//!
//! `FUZZ_SEED=N cargo test --test fuzz` repeats a run, `FUZZ_RUNS=N` makes it longer. What made a
//! target panic is left in `target/fuzz/crashes/`. Guided by coverage: `scripts/fuzz`.

use std::path::{Path, PathBuf};

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is a crate of its own as well")]
mod targets;

/// Executions of each target: some seconds together.
const RUNS: u64 = 20_000;
/// What an answer of a metric server may cost at once beside its own bytes: with them it is four times.
const PROMETHEUS_TIMES: u64 = 3;
/// The same of an answer of the cloud.
const ECS_TIMES: u64 = 3;
/// Some texts are made of the input, whatever it is.
const FREE_BYTES: u64 = 64 * 1024;
/// The largest answer of a metric server that is read.
const ANSWER_LIMIT: usize = 4 * 1024 * 1024;
/// Inputs do not grow beyond this: parsers have seen everything by then.
const LONGEST: usize = 16 * 1024;

#[test]
fn no_configuration_makes_the_parser_panic() {
    fuzz("config", &["tests/configs/good", "tests/configs/bad"], None, targets::config);
}

#[test]
fn no_answer_of_the_cloud_makes_the_provider_panic() {
    fuzz("ecs_json", &[], Some(ECS_TIMES), targets::ecs_json);
}

#[test]
fn no_answer_of_prometheus_makes_the_signal_panic() {
    fuzz("prometheus_json", &[], Some(PROMETHEUS_TIMES), targets::prometheus_json);
}

/// Answers of the largest size, each of one kind of excess.
fn hostile_answers() -> Vec<(&'static str, String)> {
    let filled = |begin: &str, each: &dyn Fn(usize) -> String, end: &str| {
        let mut body = begin.to_owned();
        for n in 0.. {
            let next = each(n);
            if body.len() + next.len() + end.len() > ANSWER_LIMIT {
                break;
            }
            body.push_str(&next);
        }
        body + end
    };
    let data = r#"{"status":"success","data":{"resultType":"vector","result":["#;
    let series = |metric: &str| format!(r#"{data}{{"metric":{{{metric}"#);
    vec![
        ("lists within lists", filled("", &|_| "[".to_owned(), "")),
        ("lists within the result", filled(data, &|_| "[".to_owned(), "")),
        ("tables within tables", filled("", &|_| r#"{"a":"#.to_owned(), "")),
        ("empty lists beside the data", filled(r#"{"x":["#, &|_| "[],".to_owned(), "1]}")),
        (
            "small series",
            filled(data, &|_| r#"{"value":[1,"1"]},"#.to_owned(), r#"{"value":[1,"1"]}]}}"#),
        ),
        (
            "a group for each series",
            filled(
                data,
                &|n| format!(r#"{{"metric":{{"instance":"{n}"}},"value":[1,"1"]}},"#),
                r#"{"value":[1,"1"]}]}}"#,
            ),
        ),
        (
            "series of one group",
            filled(
                data,
                &|n| format!(r#"{{"metric":{{"instance":"a","b":"{n}"}},"value":[1,"1"]}},"#),
                r#"{"value":[1,"1"]}]}}"#,
            ),
        ),
        (
            "long labels",
            filled(
                data,
                &|n| format!(r#"{{"metric":{{"instance":"{n:0>250}"}},"value":[1,"1"]}},"#),
                r#"{"value":[1,"1"]}]}}"#,
            ),
        ),
        (
            "labels",
            filled(&series(""), &|n| format!(r#""l{n}":"v","#), r#""z":""},"value":[1,"1"]}]}}"#),
        ),
        (
            "a long label",
            filled(&series(r#""instance":""#), &|_| "x".to_owned(), r#""},"value":[1,"1"]}]}}"#),
        ),
        (
            "escapes",
            filled(
                &series(r#""instance":""#),
                &|_| "\\u0001".to_owned(),
                r#""},"value":[1,"1"]}]}}"#,
            ),
        ),
        (
            "a long number",
            filled(&format!(r#"{data}{{"value":[1,""#), &|_| "9".to_owned(), r#""]}]}}"#),
        ),
        ("a long error", filled(r#"{"status":"error","error":""#, &|_| "\\n".to_owned(), r#""}"#)),
        (
            "warnings",
            filled(r#"{"warnings":["#, &|n| format!(r#""w{n}","#), r#"""],"status":"success"}"#),
        ),
        ("a long status", filled(r#"{"status":""#, &|_| "é".to_owned(), r#""}"#)),
        ("keys", filled("{", &|n| format!(r#""k{n}":1,"#), r#""status":"success"}"#)),
        ("a page", filled("<html>", &|_| "<p>".to_owned(), "")),
    ]
}

#[test]
fn no_answer_of_prometheus_costs_more_than_four_times_its_limit() {
    for (name, body) in hostile_answers() {
        assert!(body.len() > ANSWER_LIMIT - 1024, "{name}");
        let cost = allocation_counter::measure(|| {
            drop(fleetscaler::signals::read_answer(200, body.as_bytes()));
        });
        let whole = cost.bytes_max + body.len() as u64;
        assert!(whole <= 4 * ANSWER_LIMIT as u64, "{name} costs {whole} bytes");
    }
}

#[test]
fn no_record_makes_the_journal_panic() {
    fuzz("journal_record", &[], None, targets::journal_record);
}

#[expect(clippy::print_stdout, reason = "a run can be repeated with its seed")]
fn fuzz(name: &str, more: &[&str], times: Option<u64>, target: fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let number = |variable: &str| std::env::var(variable).ok().and_then(|n| n.parse().ok());
    let fresh = || u64::try_from(uuid::Uuid::new_v4().as_u128() >> 64).unwrap_or(1);
    let seed: u64 = number("FUZZ_SEED").unwrap_or_else(fresh);
    let runs = number("FUZZ_RUNS").unwrap_or(RUNS);
    let corpus = corpus(root, name, more);
    let words = words(&root.join("fuzz/dictionary").join(name));
    println!("{name}: {} seeds, {runs} runs, FUZZ_SEED={seed}", corpus.len());
    let crashes = root.join("target/fuzz/crashes");
    let run = |data: &[u8]| {
        let keep = || {
            std::fs::create_dir_all(&crashes).expect("a directory");
            let file = crashes.join(format!("{name}-{seed}"));
            std::fs::write(&file, data).expect("written");
            file
        };
        let mut has_panicked = false;
        let cost = allocation_counter::measure(|| {
            has_panicked = std::panic::catch_unwind(|| target(data)).is_err();
        });
        assert!(!has_panicked, "FUZZ_SEED={seed}: {} makes {name} panic", keep().display());
        let most = times.map(|times| FREE_BYTES + times * data.len() as u64);
        assert!(
            most.is_none_or(|most| cost.bytes_max <= most),
            "FUZZ_SEED={seed}: {} costs {name} {} bytes",
            keep().display(),
            cost.bytes_max
        );
    };
    corpus.iter().for_each(|data| run(data));
    let mut dice = Dice(seed | 1);
    for _ in 0..runs {
        let mut data = dice.one_of(&corpus).clone();
        for _ in 0..=dice.below(6) {
            mutate(&mut data, &corpus, &words, &mut dice);
            data.truncate(LONGEST);
        }
        run(&data);
    }
}

/// Inputs that others found worth keeping, in the order of their names.
fn corpus(root: &Path, name: &str, more: &[&str]) -> Vec<Vec<u8>> {
    let own = root.join("fuzz/corpus").join(name);
    let dirs = std::iter::once(own).chain(more.iter().map(|dir| root.join(dir)));
    let mut files: Vec<PathBuf> = dirs
        .flat_map(|dir| std::fs::read_dir(&dir).expect("a corpus"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_none_or(|extension| extension != "expected"))
        .collect();
    files.sort();
    assert!(files.len() > 5, "{name} has a corpus");
    files.iter().map(|file| std::fs::read(file).expect("read")).collect()
}

/// The words of a dictionary of libFuzzer's: a line is a text in quotes, with `\"`, `\\` and `\xAB`.
fn words(file: &Path) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(file).expect("a dictionary");
    let word = |line: &str| {
        let inner = line.strip_prefix('"')?.strip_suffix('"')?;
        let inner = inner.replace("\\x0a", "\n").replace("\\\"", "\"").replace("\\\\", "\\");
        Some(inner.into_bytes())
    };
    text.lines().filter_map(word).collect()
}

/// Changes `data` in one place.
fn mutate(data: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[Vec<u8>], dice: &mut Dice) {
    const NUMBERS: &[&str] = &["0", "-1", "4294967296", "18446744073709551615", "1e308", "0.1", ""];
    let at = dice.below(data.len() + 1);
    let until = at + dice.below((data.len() - at).min(64) + 1);
    match dice.below(9) {
        0 if at < data.len() => data[at] ^= 1 << dice.below(8),
        1 if at < data.len() => data[at] = dice.byte(),
        2 => data.truncate(at),
        3 => drop(data.drain(at..until)),
        4 => {
            let copy = data[at..until].to_vec();
            data.splice(until..until, copy);
        }
        5 => {
            let other = dice.one_of(corpus);
            data.truncate(at);
            data.extend_from_slice(&other[dice.below(other.len() + 1)..]);
        }
        6 => {
            let word = dice.one_of(words).clone();
            data.splice(at..at, word);
        }
        7 => {
            // A number becomes another one.
            let from = data[at..].iter().position(u8::is_ascii_digit).map_or(at, |n| at + n);
            let digits = data[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let number = dice.one_of(NUMBERS).bytes().collect::<Vec<_>>();
            data.splice(from..from + digits, number);
        }
        _ => data.insert(at, dice.byte()),
    }
}

/// The same numbers for the same seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Less than `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        let drawn = self.draw() >> 33;
        usize::try_from(drawn).expect("31 bits") % end
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).expect("a byte")
    }

    fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}
