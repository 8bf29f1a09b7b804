//! Finds words and phrases that this project does not use, and comment lines that are too long, in all files of the
//! workspace. It reads comments, strings and documentation. It ignores names: identifiers, and text in backticks.

use std::fs;
use std::path::{Path, PathBuf};

/// The phrases, each with what to write instead. `…` matches any word.
pub const PHRASES: &[(&str, &str)] = &[
    ("told", "reports, notifies, says, receives"),
    ("whoever", "the caller, the operator"),
    ("nobody", "no one, or name the thing"),
    ("is to be had", "is available"),
    ("goes on", "is running"),
    ("stands in", "is in, appears in"),
    ("one needs it", "use this module to"),
    ("a truth", "a Boolean"),
    ("is no …", "is not a"),
];

/// The words that may follow "is no" because they are not nouns.
const AFTER_IS_NO: &[&str] = &["longer", "more", "less"];

/// The maximum number of columns of a line with a comment.
const COLUMNS: usize = 120;

/// Folders with text that this project has not written or that is not in the repository.
const SKIPPED: &[&str] = &[".git", "target", "tests/data"];

/// This file, which has to name the phrases.
const THIS: &str = "tests/conventions/src/voice.rs";

/// A line to rewrite.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, below the root of the workspace.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The phrase, or `None` if the line is a comment that is too long.
    pub phrase: Option<&'static str>,
}

/// Reads all files of a workspace.
///
/// # Panics
///
/// Panics if a folder or file cannot be read.
pub fn read(root: &Path) -> Vec<Finding> {
    let mut files = Vec::new();
    find(root, root, &mut files);
    files.sort();
    files
        .iter()
        .flat_map(|path| {
            let text = fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
            findings(path, &text)
        })
        .collect()
}

fn find(root: &Path, folder: &Path, files: &mut Vec<String>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.map(|entry| entry.expect("the folder was opened").path()) {
        let relative =
            path.strip_prefix(root).expect("it is below the root").to_string_lossy().replace('\\', "/");
        let is_skipped = SKIPPED.contains(&relative.as_str()) || relative.ends_with("/target");
        if path.is_dir() && !path.is_symlink() && !is_skipped {
            find(root, &path, files);
        } else if path.is_file() && relative != THIS && Language::of(&path).is_some() {
            files.push(relative);
        }
    }
}

/// How the text of a file is divided into prose and code.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    Rust,
    Markdown,
    /// All text is read. Lines that begin with `#` are comments.
    Script,
    /// All text is read. It has no comments.
    Plain,
}

impl Language {
    fn of(path: &Path) -> Option<Language> {
        if path.ends_with(".ci/run") {
            return Some(Language::Script);
        }
        match path.extension()?.to_str()? {
            "rs" => Some(Language::Rust),
            "md" => Some(Language::Markdown),
            "toml" | "py" | "sh" | "yml" | "yaml" => Some(Language::Script),
            "stderr" | "stdout" | "snap" | "txt" | "json" | "html" => Some(Language::Plain),
            _ => None,
        }
    }
}

/// Finds the lines to rewrite in one file.
pub fn findings(path: &str, text: &str) -> Vec<Finding> {
    let language = Language::of(&PathBuf::from(path)).unwrap_or(Language::Plain);
    let mut words = Words::default();
    let mut long = Vec::new();
    match language {
        Language::Rust => {
            let lines: Vec<&str> = text.lines().collect();
            for part in parts_of_rust(text) {
                let last = part.line + part.text.lines().count().max(1);
                if part.is_comment {
                    long.extend((part.line..last).filter(|line| is_long(lines[line - 1])));
                }
                words.add_markdown(&part.text, part.line);
            }
        }
        Language::Markdown => words.add_markdown(text, 1),
        Language::Script | Language::Plain => {
            words.add(&without_names(text), 1);
            if language == Language::Script {
                let comments =
                    text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with('#'));
                long.extend(comments.filter(|(_, line)| is_long(line)).map(|(line, _)| line + 1));
            }
        }
    }
    let file = || path.to_owned();
    let mut findings: Vec<Finding> = words
        .phrases()
        .map(|(line, phrase)| Finding { file: file(), line, phrase: Some(phrase) })
        .chain(long.into_iter().map(|line| Finding { file: file(), line, phrase: None }))
        .collect();
    findings.sort();
    findings
}

fn is_long(line: &str) -> bool {
    line.chars().count() > COLUMNS
}

/// The words of a text in their order.
#[derive(Default)]
struct Words(Vec<Word>);

struct Word {
    text: String,
    line: usize,
    /// Whether only white space is between this word and the word before.
    follows: bool,
}

impl Words {
    fn add(&mut self, text: &str, first_line: usize) {
        let mut line = first_line;
        let mut follows = false;
        let mut word = String::new();
        for character in text.chars().chain(['\0']) {
            if character.is_alphanumeric() || character == '_' {
                word.extend(character.to_lowercase());
                continue;
            }
            if !word.is_empty() {
                self.0.push(Word { text: std::mem::take(&mut word), line, follows });
                follows = true;
            }
            follows &= character.is_whitespace();
            line += usize::from(character == '\n');
        }
    }

    /// Adds the prose of a Markdown text. Of a code block in Rust, adds only the comments and strings. Adds other
    /// code blocks as a whole.
    fn add_markdown(&mut self, text: &str, first_line: usize) {
        let mut block = String::new();
        let mut begin = first_line;
        let mut fence: Option<bool> = None;
        for (line, text) in text.lines().enumerate().map(|(at, text)| (first_line + at, text)) {
            let Some(info) = text.trim_start().strip_prefix("```") else {
                block.push_str(text);
                block.push('\n');
                continue;
            };
            self.add_block(&std::mem::take(&mut block), begin, fence);
            begin = line + 1;
            fence = match fence {
                Some(_) => None,
                None => Some(is_rust(info)),
            };
        }
        self.add_block(&block, begin, fence);
    }

    fn add_block(&mut self, text: &str, line: usize, fence: Option<bool>) {
        match fence {
            Some(true) => {
                for part in parts_of_rust(text) {
                    self.add(&without_names(&part.text), line + part.line - 1);
                }
            }
            Some(false) => self.add(text, line),
            None => self.add(&without_names(text), line),
        }
    }

    fn phrases(&self) -> impl Iterator<Item = (usize, &'static str)> {
        (0..self.0.len()).flat_map(move |at| {
            PHRASES
                .iter()
                .filter(move |(phrase, _)| self.has(at, phrase))
                .map(move |(phrase, _)| (self.0[at].line, *phrase))
        })
    }

    fn has(&self, at: usize, phrase: &str) -> bool {
        phrase.split(' ').enumerate().all(|(offset, expected)| {
            self.0.get(at + offset).is_some_and(|word| {
                let is_word =
                    expected == word.text || (expected == "…" && !AFTER_IS_NO.contains(&word.text.as_str()));
                is_word && (offset == 0 || word.follows)
            })
        })
    }
}

fn is_rust(info: &str) -> bool {
    let first = info.split([',', ' ']).next().unwrap_or_default();
    matches!(first, "" | "rust" | "no_run" | "ignore" | "should_panic" | "compile_fail")
}

/// Returns the text without its parts in backticks. In place of such a part, one backtick and the line breaks of the
/// part remain.
fn without_names(text: &str) -> String {
    let mut rest = text;
    let mut prose = String::with_capacity(text.len());
    while let Some(start) = rest.find('`') {
        let ticks = rest[start..].chars().take_while(|character| *character == '`').count();
        let fence = "`".repeat(ticks);
        let inside = &rest[start + ticks..];
        // Both backticks of a pair are in one paragraph.
        let paragraph = inside.find("\n\n").unwrap_or(inside.len());
        prose.push_str(&rest[..start]);
        let Some(end) = inside[..paragraph].find(&fence) else {
            prose.push_str(&fence);
            rest = inside;
            continue;
        };
        // The backtick prevents a phrase from continuing across the name.
        prose.push('`');
        prose.extend(inside[..end].chars().filter(|character| *character == '\n'));
        rest = &inside[end + ticks..];
    }
    prose + rest
}

/// A comment or a string. Line comments on consecutive lines are one part.
struct Part {
    line: usize,
    text: String,
    is_comment: bool,
}

fn parts_of_rust(text: &str) -> Vec<Part> {
    let mut lexer = Lexer { text, at: 0, line: 1, parts: Vec::new() };
    while lexer.at < text.len() {
        lexer.step();
    }
    lexer.parts
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    line: usize,
    parts: Vec<Part>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip(&mut self, bytes: usize) {
        self.line += self.rest()[..bytes].matches('\n').count();
        self.at += bytes;
    }

    fn step(&mut self) {
        let rest = self.rest();
        if rest.starts_with("//") {
            self.line_comment();
        } else if rest.starts_with("/*") {
            self.block_comment();
        } else if let Some((skipped, hashes)) = raw_string(rest) {
            self.raw_string(skipped, hashes);
        } else if rest.starts_with('"') {
            self.string();
        } else if let Some(length) = character_literal(rest) {
            self.skip(length);
        } else {
            // An identifier is skipped as a whole, because its last letters could look like the prefix of a string.
            let word = rest
                .find(|character: char| !character.is_alphanumeric() && character != '_')
                .unwrap_or(rest.len());
            let first = rest.chars().next().map_or(1, char::len_utf8);
            self.skip(word.max(first));
        }
    }

    fn line_comment(&mut self) {
        let rest = self.rest();
        let length = rest.find('\n').unwrap_or(rest.len());
        let comment = rest[..length].trim_start_matches('/').trim_start_matches('!').to_owned();
        let line = self.line;
        match self.parts.last_mut() {
            Some(last) if last.is_comment && last.line + last.text.lines().count().max(1) == line => {
                last.text.push_str(&format!("{comment}\n"));
            }
            _ => self.parts.push(Part { line, text: format!("{comment}\n"), is_comment: true }),
        }
        self.skip(length);
    }

    fn block_comment(&mut self) {
        let rest = self.rest();
        let mut depth = 0;
        let mut length = 0;
        loop {
            let rest = &rest[length..];
            if rest.starts_with("/*") {
                depth += 1;
                length += 2;
            } else if rest.starts_with("*/") {
                depth -= 1;
                length += 2;
            } else {
                length += rest.chars().next().map_or(0, char::len_utf8);
            }
            if depth == 0 || rest.is_empty() {
                break;
            }
        }
        self.part(length, true);
    }

    fn raw_string(&mut self, skipped: usize, hashes: usize) {
        self.skip(skipped);
        let rest = self.rest();
        let end = format!("\"{}", "#".repeat(hashes));
        let length = rest.find(&end).unwrap_or(rest.len());
        self.part(length, false);
        self.skip(end.len().min(self.rest().len()));
    }

    fn string(&mut self) {
        self.skip(1);
        let line = self.line;
        let mut text = String::new();
        let mut characters = self.rest().char_indices();
        let mut length = self.rest().len();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    length = at;
                    break;
                }
                '\\' => text.push(match characters.next() {
                    Some((_, '\n')) => '\n',
                    Some((_, '"')) => '"',
                    _ => ' ',
                }),
                character => text.push(character),
            }
        }
        self.parts.push(Part { line, text, is_comment: false });
        self.skip(length);
        self.skip(1.min(self.rest().len()));
    }

    fn part(&mut self, length: usize, is_comment: bool) {
        let text = self.rest()[..length].to_owned();
        self.parts.push(Part { line: self.line, text, is_comment });
        self.skip(length);
    }
}

/// Returns the length of the start of a raw string, such as `r##"`, and the number of its hashes. Returns `None` for
/// other text.
fn raw_string(rest: &str) -> Option<(usize, usize)> {
    let raw = rest.trim_start_matches(['b', 'c']).strip_prefix('r')?;
    let prefix = rest.len() - raw.len();
    let hashes = raw.chars().take_while(|character| *character == '#').count();
    (prefix <= 2 && raw[hashes..].starts_with('"')).then_some((prefix + hashes + 1, hashes))
}

/// Returns the length of a character literal, such as `'x'` or `'\n'`. Returns `None` for other text, such as a
/// lifetime.
fn character_literal(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    if let Some(escape) = inside.strip_prefix('\\') {
        let first = escape.chars().next()?.len_utf8();
        return Some(2 + first + escape[first..].find('\'')? + 1);
    }
    let first = inside.chars().next()?.len_utf8();
    inside[first..].starts_with('\'').then_some(1 + first + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        findings(path, text).into_iter().map(|found| (found.line, found.phrase.unwrap_or("long"))).collect()
    }

    #[test]
    fn every_phrase_is_found_in_comments_and_strings() {
        for (phrase, _) in PHRASES {
            let written = phrase.replace('…', "id");
            for text in [
                format!("// It {written} there.\nfn f() {{}}"),
                format!("\n/// It {written} there.\nfn f() {{}}"),
                format!("fn f() {{ /* {written} */ }}"),
                format!("const F: &str = \"it {written}\";"),
                format!("const F: &str = r#\"it {written}\"#;"),
            ] {
                let line = 1 + usize::from(text.starts_with('\n'));
                assert_eq!(lines("a.rs", &text), [(line, *phrase)], "{text}");
            }
        }
    }

    #[test]
    fn a_phrase_is_found_across_lines_and_in_capitals() {
        assert_eq!(
            lines("a.rs", "// A run goes\n// on here. Nobody waits.\n"),
            [(1, "goes on"), (2, "nobody")]
        );
        assert_eq!(lines("a.rs", "const A: &str = \"goes \\\n    on\";\n"), [(1, "goes on")]);
        assert_eq!(lines("a.md", "This is\nno id.\n"), [(1, "is no …")]);
    }

    #[test]
    fn names_are_left_alone() {
        assert_eq!(lines("a.rs", "fn told(nobody: &'static str) -> char { told_of('\"'); '\\'' }"), []);
        assert_eq!(
            lines(
                "a.rs",
                "// The state `told` is no longer used, and is `no` state. No one stands, in fact.\n"
            ),
            []
        );
        assert_eq!(lines("a.md", "Call `told()`.\n\n```\nlet told = 1;\n```\n"), []);
        assert_eq!(lines("a.md", "```\nlet a = 1; // told\n```\n"), [(2, "told")]);
    }

    #[test]
    fn a_long_line_is_found_only_where_it_has_a_comment() {
        let long = "x".repeat(COLUMNS);
        assert_eq!(
            lines("a.rs", &format!("// {long}\n/// {long}\nconst A: &str = \"{long}\";\n")),
            [(1, "long"), (2, "long")]
        );
        assert_eq!(lines("a.rs", &format!("// {}\n", &long[3..])), []);
        assert_eq!(lines("a.toml", &format!("# {long}\na = \"{long}\"\n")), [(1, "long")]);
    }
}
