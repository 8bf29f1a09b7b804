//! The one wire form of a record: what the macro writes into the object file, the runtime decodes at
//! start-up, and the command line reads out of a shipped binary.
//!
//! A section is a sequence of frames, in any order and with zero bytes between them (linkers pad):
//!
//! ```text
//! magic "critproc" (8 bytes) · wire version (1 byte) · length of the text (4 bytes, little endian) · text
//! ```
//!
//! The text is UTF-8: fields `key US value RS` (0x1F, 0x1E). A field that repeats is a list. The field
//! `hash` covers every byte before it, so the definition has one identity wherever it is read, and a
//! damaged record does not pass; what follows it (handler, file, line) is the place, which may move
//! without changing the definition. Unknown keys are skipped: a later minor form may add some.
//! Decoding never panics and never allocates more than the section holds.

use std::fmt;

use crate::check::{self, CheckRecord, CheckTarget, Freshness};
use crate::contract::{Case, ContractRecord};
use crate::grammar::{Criticality, ErrorText, Objective, Sla};
use crate::record::{Common, ContextKey, ContextSource, ProcessRecord, Record, StageRecord};

/// What every frame starts with.
pub const MAGIC: [u8; 8] = *b"critproc";
/// The form that this crate writes, and the only one it reads.
pub const WIRE_VERSION: u8 = 1;
/// Bytes before the text.
pub const HEADER: usize = MAGIC.len() + 1 + 4;
/// The longest text that is read; a longer one is an error, not an allocation.
pub const MAX_TEXT: usize = 1 << 20;

const UNIT: char = '\u{1f}';
const RECORD: char = '\u{1e}';

/// A record's bytes as they stand in the section: no pointers and no padding.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SectionFrame<const N: usize> {
    magic: [u8; MAGIC.len()],
    version: u8,
    length: [u8; 4],
    text: [u8; N],
}

impl<const N: usize> SectionFrame<N> {
    /// Frames `text`, whose length is `N`.
    ///
    /// # Panics
    /// Where `text` is not `N` bytes long: at compile time, since a frame is a constant.
    pub const fn new(text: &str) -> Self {
        let Some(text) = text.as_bytes().first_chunk::<N>() else { panic!("a frame is as long as its text") };
        SectionFrame { magic: MAGIC, version: WIRE_VERSION, length: (N as u32).to_le_bytes(), text: *text }
    }

    /// The text between the headers.
    pub const fn text(&self) -> &[u8] {
        &self.text
    }
}

/// Why bytes are not a section of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Where in the bytes that were given.
    pub offset: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What can be wrong with a section.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Neither a frame nor padding.
    NotAFrame,
    /// The bytes end inside a frame.
    Truncated,
    /// A frame of a form that this crate does not read.
    Version(u8),
    /// A text longer than [`MAX_TEXT`].
    TooLong(usize),
    /// The text is not UTF-8.
    NotText,
    /// A field without its separators.
    NotAField,
    /// A field that a record must have.
    Missing(&'static str),
    /// A field whose value its grammar refuses, or that appears twice.
    Malformed(&'static str),
    /// The definition does not have the hash that it states.
    Hash,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DecodeError { offset, problem } = self;
        match problem {
            Problem::NotAFrame => write!(f, "byte {offset}: neither a record nor padding"),
            Problem::Truncated => write!(f, "byte {offset}: the section ends inside a record"),
            Problem::Version(found) => write!(
                f,
                "byte {offset}: a record of wire version {found}, and this reads version {WIRE_VERSION}; \
                 use the release that the binary was built with"
            ),
            Problem::TooLong(length) => {
                write!(f, "byte {offset}: a record of {length} bytes, where at most {MAX_TEXT} are read")
            }
            Problem::NotText => write!(f, "byte {offset}: a record that is not UTF-8"),
            Problem::NotAField => write!(f, "byte {offset}: a field without its separators"),
            Problem::Missing(key) => write!(f, "byte {offset}: a record without `{key}`"),
            Problem::Malformed(key) => write!(f, "byte {offset}: `{key}` is malformed or repeated"),
            Problem::Hash => write!(f, "byte {offset}: a record whose hash does not match; it is damaged"),
        }
    }
}

impl std::error::Error for DecodeError {}

impl Record {
    /// The record without its frame, as [`decode_text`] reads it.
    pub fn to_text(&self) -> String {
        let (Record::Process(ProcessRecord { common: Common { handler, file, line, .. }, .. })
        | Record::Stage(StageRecord { common: Common { handler, file, line, .. }, .. })
        | Record::Contract(ContractRecord { handler, file, line, .. })
        | Record::Check(CheckRecord { handler, file, line, .. })) = self;
        let mut text = Text(self.definition_text());
        text.field("handler", handler);
        text.field("file", file);
        // `site!` of the runtime writes this tail for a compiled program.
        text.field("line", &line.to_string());
        text.0
    }

    /// The part of the text that a macro knows as a literal: the definition and its hash. What a
    /// compiler must add is the fields `handler`, `file` and `line`.
    pub fn definition_text(&self) -> String {
        let mut text = Text(String::new());
        text.definition(self);
        let hash = fnv1a(text.0.as_bytes());
        text.field("hash", &format!("{hash:032x}"));
        text.0
    }

    /// The record in its frame: what [`decode_section`] reads.
    pub fn to_frame(&self) -> Vec<u8> {
        let text = self.to_text();
        let mut frame = Vec::with_capacity(HEADER + text.len());
        frame.extend_from_slice(&MAGIC);
        frame.push(WIRE_VERSION);
        frame.extend_from_slice(&(text.len() as u32).to_le_bytes());
        frame.extend_from_slice(text.as_bytes());
        frame
    }

    /// The identity of the definition: FNV-1a of 128 bits over everything that the attribute, the doc
    /// comment and the signature say, as 32 hexadecimal digits. It does not change when code moves.
    pub fn definition_hash(&self) -> String {
        let mut text = Text(String::new());
        text.definition(self);
        format!("{:032x}", fnv1a(text.0.as_bytes()))
    }
}

struct Text(String);

impl Text {
    fn definition(&mut self, record: &Record) {
        match record {
            Record::Process(process) => {
                self.field("kind", "process");
                self.common(&process.common);
                self.field("version", &process.version);
                self.field("sla_ms", &process.sla.as_millis().to_string());
                self.field("criticality", process.criticality.as_str());
                self.optional("owner", process.owner.as_deref());
                self.optional("runbook", process.runbook.as_deref());
                self.field("objective", &process.objective.to_string());
                if process.cancelled_is_bad {
                    self.field("cancelled", "bad");
                }
            }
            Record::Stage(stage) => {
                self.field("kind", "stage");
                self.common(&stage.common);
                self.optional("process", stage.process.as_deref());
                self.optional("sla_ms", stage.sla.map(|sla| sla.as_millis().to_string()).as_deref());
                self.list("after", &stage.after);
            }
            Record::Contract(contract) => {
                self.field("kind", "contract");
                self.field("process", &contract.process);
                self.field("case", &contract.case.to_string());
            }
            Record::Check(check) => {
                match &check.target {
                    CheckTarget::Process(process) => {
                        self.field("kind", "health_check");
                        self.field("process", process);
                    }
                    CheckTarget::Dependency(id) => {
                        self.field("kind", "dependency_check");
                        self.field("id", id);
                    }
                }
                self.field("timeout", &check.timeout.to_string());
                match check.freshness {
                    Freshness::Every(every) => self.field("every", &every.to_string()),
                    Freshness::CachedFor(time) => self.field("cached_for", &time.to_string()),
                }
            }
        }
    }

    fn common(&mut self, common: &Common) {
        self.field("id", &common.id);
        self.field("name", &common.name);
        self.field("description", &common.description);
        for key in &common.context {
            let field = match key.source {
                ContextSource::Entry => "context",
                ContextSource::Inherit => "inherit",
                ContextSource::Later => "later",
            };
            self.field(field, &key.name);
        }
        self.list("rejects", &common.rejects);
        self.list("fails", &common.fails);
        self.optional("degraded", common.degraded.as_deref());
        self.optional("outcome", common.outcome.as_deref());
        self.optional("error_type", common.error_type.as_deref());
        self.field("error_text", common.error_text.as_str());
        self.list("depends_on", &common.depends_on);
        self.field("signature", &common.signature);
    }

    fn field(&mut self, key: &str, value: &str) {
        self.0.push_str(key);
        self.0.push(UNIT);
        let start = self.0.len();
        self.0.push_str(value);
        // Bytes and not characters: this runs in a procedural macro, which is rarely optimised.
        if self.0.as_bytes()[start..].iter().any(|&byte| byte == UNIT as u8 || byte == RECORD as u8) {
            let value = self.0.split_off(start).replace([UNIT, RECORD], " ");
            self.0.push_str(&value);
        }
        self.0.push(RECORD);
    }

    fn optional(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.field(key, value);
        }
    }

    fn list(&mut self, key: &str, values: &[String]) {
        for value in values {
            self.field(key, value);
        }
    }
}

/// Decodes a whole section: every record in it, in the order of the bytes (which is the linker's).
///
/// # Errors
/// At the first byte that is neither a frame nor padding, and at the first record that cannot be read.
pub fn decode_section(section: &[u8]) -> Result<Vec<Record>, DecodeError> {
    let mut records = Vec::new();
    let mut offset = 0;
    while let Some(skipped) = section[offset..].iter().position(|&byte| byte != 0) {
        offset += skipped;
        let text = frame_text(&section[offset..]).map_err(|problem| DecodeError { offset, problem })?;
        let record = decode_text(text)
            .map_err(|error| DecodeError { offset: offset + HEADER + error.offset, ..error })?;
        records.push(record);
        offset += HEADER + text.len();
    }
    Ok(records)
}

/// The text of the frame that `bytes` starts with.
fn frame_text(bytes: &[u8]) -> Result<&[u8], Problem> {
    let (magic, rest) = bytes.split_at(MAGIC.len().min(bytes.len()));
    if !MAGIC.starts_with(magic) {
        return Err(Problem::NotAFrame);
    }
    let Some((&[version, a, b, c, d], rest)) = rest.split_first_chunk() else {
        return Err(Problem::Truncated);
    };
    if version != WIRE_VERSION {
        return Err(Problem::Version(version));
    }
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length > MAX_TEXT {
        return Err(Problem::TooLong(length));
    }
    rest.get(..length).ok_or(Problem::Truncated)
}

/// Decodes the text of one record.
///
/// # Errors
/// With the offset in `text` and what is wrong there.
pub fn decode_text(text: &[u8]) -> Result<Record, DecodeError> {
    let text = std::str::from_utf8(text)
        .map_err(|error| DecodeError { offset: error.valid_up_to(), problem: Problem::NotText })?;
    let fields = Fields::parse(text)?;
    fields.check_hash()?;
    match fields.required("kind", string)?.as_str() {
        "process" => Ok(Record::Process(ProcessRecord {
            common: fields.common()?,
            version: fields.required("version", version)?,
            sla: fields.required("sla_ms", sla)?,
            criticality: fields.required("criticality", Criticality::from_name)?,
            owner: fields.optional("owner", string)?,
            runbook: fields.optional("runbook", string)?,
            objective: fields.required("objective", |text| Objective::parse(text).ok())?,
            cancelled_is_bad: fields.optional("cancelled", |text| (text == "bad").then_some(()))?.is_some(),
        })),
        "stage" => Ok(Record::Stage(StageRecord {
            common: fields.common()?,
            process: fields.optional("process", id)?,
            sla: fields.optional("sla_ms", sla)?,
            after: fields.list("after"),
        })),
        "contract" => Ok(Record::Contract(ContractRecord {
            process: fields.required("process", id)?,
            case: fields.required("case", |text| text.parse::<Case>().ok())?,
            handler: fields.required("handler", string)?,
            file: fields.required("file", string)?,
            line: fields.required("line", line)?,
        })),
        "health_check" => fields.check(CheckTarget::Process(fields.required("process", id)?)),
        "dependency_check" => fields.check(CheckTarget::Dependency(fields.required("id", id)?)),
        _ => Err(fields.error("kind", Problem::Malformed("kind"))),
    }
}

fn string(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn id(text: &str) -> Option<String> {
    crate::grammar::check_id(text).ok().map(|()| text.to_owned())
}

fn version(text: &str) -> Option<String> {
    crate::grammar::check_version(text).ok().map(|()| text.to_owned())
}

fn line(text: &str) -> Option<u32> {
    text.parse().ok()
}

fn sla(text: &str) -> Option<Sla> {
    Sla::from_millis(text.parse().ok()?)
}

/// The fields of one text, with their offsets.
struct Fields<'a> {
    text: &'a str,
    fields: Vec<(usize, &'a str, &'a str)>,
}

impl<'a> Fields<'a> {
    fn parse(text: &'a str) -> Result<Self, DecodeError> {
        let mut fields = Vec::new();
        let mut offset = 0;
        for field in text.split_inclusive(RECORD) {
            let (key, value) = field
                .strip_suffix(RECORD)
                .and_then(|field| field.split_once(UNIT))
                .ok_or(DecodeError { offset, problem: Problem::NotAField })?;
            fields.push((offset, key, value));
            offset += field.len();
        }
        Ok(Fields { text, fields })
    }

    fn check_hash(&self) -> Result<(), DecodeError> {
        let stated = self.required("hash", string)?;
        let (offset, ..) = self.all("hash").next().expect("just read");
        let found = format!("{:032x}", fnv1a(&self.text.as_bytes()[..offset]));
        if stated == found { Ok(()) } else { Err(DecodeError { offset, problem: Problem::Hash }) }
    }

    fn all(&self, key: &str) -> impl Iterator<Item = (usize, &'a str)> {
        self.fields.iter().filter(move |field| field.1 == key).map(|&(offset, _, value)| (offset, value))
    }

    fn optional<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, DecodeError> {
        let mut all = self.all(key);
        match (all.next(), all.next()) {
            (None, _) => Ok(None),
            (Some((_, value)), None) => match read(value) {
                Some(value) => Ok(Some(value)),
                None => Err(self.error(key, Problem::Malformed(key))),
            },
            (Some(_), Some(_)) => Err(self.error(key, Problem::Malformed(key))),
        }
    }

    fn required<T>(&self, key: &'static str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, DecodeError> {
        self.optional(key, read)?.ok_or_else(|| self.error(key, Problem::Missing(key)))
    }

    fn list(&self, key: &str) -> Vec<String> {
        self.all(key).map(|(_, value)| value.to_owned()).collect()
    }

    /// What the checks of processes and of dependencies have in common.
    fn check(&self, target: CheckTarget) -> Result<Record, DecodeError> {
        let every = self.optional("every", |text| check::every(text).ok())?;
        let cached_for = self.optional("cached_for", |text| check::cached_for(text).ok())?;
        let freshness = match (every, cached_for) {
            (Some(every), None) => Freshness::Every(every),
            (None, Some(time)) => Freshness::CachedFor(time),
            (Some(_), Some(_)) => return Err(self.error("cached_for", Problem::Malformed("cached_for"))),
            (None, None) => return Err(self.error("cached_for", Problem::Missing("cached_for"))),
        };
        Ok(Record::Check(CheckRecord {
            target,
            timeout: self.required("timeout", |text| check::timeout(text).ok())?,
            freshness,
            handler: self.required("handler", string)?,
            file: self.required("file", string)?,
            line: self.required("line", line)?,
        }))
    }

    /// What processes and stages have in common.
    fn common(&self) -> Result<Common, DecodeError> {
        Ok(Common {
            id: self.required("id", id)?,
            name: self.required("name", string)?,
            description: self.required("description", string)?,
            context: self.context(),
            rejects: self.list("rejects"),
            fails: self.list("fails"),
            degraded: self.optional("degraded", string)?,
            outcome: self.optional("outcome", string)?,
            error_type: self.optional("error_type", string)?,
            error_text: self.required("error_text", ErrorText::from_name)?,
            depends_on: self.list("depends_on"),
            signature: self.required("signature", string)?,
            handler: self.required("handler", string)?,
            file: self.required("file", string)?,
            line: self.required("line", line)?,
        })
    }

    fn context(&self) -> Vec<ContextKey> {
        self.fields
            .iter()
            .filter_map(|&(_, key, value)| {
                let source = match key {
                    "context" => ContextSource::Entry,
                    "inherit" => ContextSource::Inherit,
                    "later" => ContextSource::Later,
                    _ => return None,
                };
                Some(ContextKey { name: value.to_owned(), source })
            })
            .collect()
    }

    /// An error at the last field `key`, or at the start where there is none.
    fn error(&self, key: &str, problem: Problem) -> DecodeError {
        DecodeError { offset: self.all(key).last().map_or(0, |(offset, _)| offset), problem }
    }
}

/// FNV-1a, 128 bits: offset basis and prime of draft-eastlake-fnv, section 5. It distinguishes
/// definitions and detects damaged bytes, but it does not protect against an adversary.
fn fnv1a(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(BASIS, |hash, &byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}
