//! Each command that the documentation shows is one that the program takes.

use std::path::{Path, PathBuf};

use clap::Parser;

use super::args::Args;

/// README and `docs/`, whatever their language.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md"), root.join("README.zh-CN.md")];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

/// The commands in the fenced shell blocks of a page, each with the line where it begins.
fn commands(text: &str) -> Vec<(usize, String)> {
    let mut commands = Vec::new();
    let mut in_shell = None;
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let line = line.trim();
        if let Some(kind) = line.strip_prefix("```") {
            in_shell = in_shell.is_none().then_some(matches!(kind, "sh" | "bash" | "console"));
            continue;
        }
        if in_shell != Some(true) {
            continue;
        }
        let mut command = line.to_owned();
        while command.ends_with('\\') {
            command.pop();
            command.push_str(lines.next().map_or("", |(_, more)| more.trim()));
        }
        commands.push((at + 1, command));
    }
    commands
}

/// The calls of this program in a line: words without `sudo`, redirections and comments.
fn calls(command: &str) -> Vec<Vec<String>> {
    let words = shlex::split(command).unwrap_or_else(|| panic!("an open quote: {command}"));
    let parts = words.split(|word| matches!(word.as_str(), "&&" | "||" | "|" | ";"));
    let calls = parts.filter_map(|part| {
        let part: Vec<&String> =
            part.iter().skip_while(|word| *word == "sudo" || *word == "$").collect();
        let program = part.first()?.rsplit('/').next()?;
        let of_it = |word: &&&String| !matches!(word.as_str(), ">" | ">>" | "2>" | "<" | "&");
        (program == "fleetscaler")
            .then(|| part.iter().take_while(of_it).map(|w| (*w).clone()).collect())
    });
    calls.collect()
}

#[test]
fn every_command_in_the_documentation_is_taken() {
    let mut tried = 0;
    let mut refused = String::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page");
        for (line, command) in commands(&text) {
            for call in calls(&command) {
                tried += 1;
                if let Err(error) = Args::try_parse_from(&call) {
                    let said = error.to_string();
                    refused += &format!("{}:{line}: {command}\n{said}\n", page.display());
                }
            }
        }
    }
    assert_eq!(refused, "");
    assert!(tried > 90, "only {tried} commands were found");
}

#[test]
fn a_command_is_found_with_its_line_and_without_what_is_the_shells() {
    let page = "text\n```sh\nsudo fleetscaler why \\\n  web   # a comment\n\
                cd x && ./fleetscaler status > file\n```\nfleetscaler no\n```toml\nfleetscaler no\n```\n";
    let found = commands(page);
    let calls: Vec<_> = found.iter().map(|(line, command)| (*line, calls(command))).collect();
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    assert_eq!(
        calls,
        [
            (3, vec![words(&["fleetscaler", "why", "web"])]),
            (5, vec![words(&["./fleetscaler", "status"])]),
        ]
    );
}
