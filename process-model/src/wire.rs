//! The bytes of records. A macro writes them into the object file, the runtime decodes a record when it is first
//! used, and the command line reads all records from a shipped binary.
//!
//! A section of the binary contains one frame for each record. The frames can be in any order. Linkers may add padding
//! between them, which consists of bytes with the value 0. A frame is:
//!
//! ```text
//! magic "critproc" (8 bytes) · wire version (1 byte) · length of the text (4 bytes, little endian) · text
//! ```
//!
//! The text is UTF-8 and consists of fields `key US value RS`, where US is the byte 0x1F and RS the byte 0x1E. A
//! field that repeats is a list. First comes the declaration, then the field `hash`, then the place (`handler`,
//! `file`, `line`). The hash covers the declaration, which is the text before the field `hash`.
//!
//! The decoder reads the declaration only from the fields before the hash, and the place only from the fields after
//! it. Therefore the hash stays the same if the function moves, and does not match if the declaration is damaged. A
//! mismatch is an error. The decoder skips unknown keys, because a later release may add some. Decoding never panics,
//! and allocates memory only for text that the section contains.

use std::fmt;

use crate::duration::Sla;
use crate::grammar::Objective;
use crate::record::{
    CheckDeclaration, CheckTarget, Common, ContextKey, ContextSource, ContractDeclaration, Declaration,
    Place, ProcessDeclaration, Record, StageDeclaration,
};
use crate::schedule::{self, Freshness};

/// The first bytes of every frame.
pub const MAGIC: [u8; 8] = *b"critproc";
/// The version of the wire form. This crate writes this version and reads no other.
pub const WIRE_VERSION: u8 = 1;
/// The number of bytes in a frame before the text.
pub const HEADER: usize = MAGIC.len() + 1 + 4;
/// The longest text that the decoder reads, in bytes. A longer text is an error, and no memory is allocated for it.
pub const MAX_TEXT: usize = 1 << 20;

const UNIT: char = '\u{1f}';
const RECORD: char = '\u{1e}';

/// The bytes of a record in the section. They contain no pointers and no padding.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SectionFrame<const N: usize> {
    magic: [u8; MAGIC.len()],
    version: u8,
    length: [u8; 4],
    text: [u8; N],
}

impl<const N: usize> SectionFrame<N> {
    /// Creates the frame of `text`, whose length must be `N`.
    ///
    /// # Panics
    /// Panics if `text` does not have exactly `N` bytes. A frame is a constant, so the panic happens at compile time.
    pub const fn new(text: &str) -> Self {
        assert!(text.len() == N, "the text of a frame must have exactly `N` bytes");
        let Some(text) = text.as_bytes().first_chunk::<N>() else { unreachable!() };
        SectionFrame { magic: MAGIC, version: WIRE_VERSION, length: (N as u32).to_le_bytes(), text: *text }
    }

    /// Returns the text, which follows the header.
    pub const fn text(&self) -> &[u8] {
        &self.text
    }
}

/// The reason why bytes cannot be decoded as records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The position in the bytes.
    pub offset: usize,
    /// The problem at this position.
    pub problem: Problem,
}

/// The problem of bytes that cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The bytes are neither a frame nor padding.
    NotAFrame,
    /// The bytes end inside a frame.
    Truncated,
    /// The frame has this version, which this crate does not read.
    Version(u8),
    /// The text has this many bytes, more than [`MAX_TEXT`].
    TooLong(usize),
    /// The text is not UTF-8.
    NotText,
    /// A field lacks its separators.
    NotAField,
    /// The required field with this key is missing.
    Missing(&'static str),
    /// The field with this key has an invalid value, or appears twice.
    Malformed(&'static str),
    /// The hash does not match the declaration.
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
                "byte {offset}: the record has wire version {found}, and this release reads version {WIRE_VERSION}; \
                 use the release that the binary was built with"
            ),
            Problem::TooLong(length) => {
                write!(f, "byte {offset}: the record has {length} bytes; the limit is {MAX_TEXT}")
            }
            Problem::NotText => write!(f, "byte {offset}: the record is not UTF-8"),
            Problem::NotAField => write!(f, "byte {offset}: the separators of a field are missing"),
            Problem::Missing(key) => write!(f, "byte {offset}: the record has no `{key}`"),
            Problem::Malformed(key) => write!(f, "byte {offset}: `{key}` is malformed or repeated"),
            Problem::Hash => {
                write!(f, "byte {offset}: the hash of the record does not match; the record is damaged")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

impl Record {
    /// Returns the text of the record, which [`decode_text`] reads.
    pub fn to_text(&self) -> String {
        let mut text = Text(self.declaration.to_text());
        text.place(&self.place);
        text.0
    }

    /// Returns the record in its frame, which [`decode_section`] reads.
    pub fn to_frame(&self) -> Vec<u8> {
        let text = self.to_text();
        let mut frame = Vec::with_capacity(HEADER + text.len());
        frame.extend_from_slice(&MAGIC);
        frame.push(WIRE_VERSION);
        frame.extend_from_slice(&(text.len() as u32).to_le_bytes());
        frame.extend_from_slice(text.as_bytes());
        frame
    }
}

impl Declaration {
    /// Returns the declaration as text, and after it the hash of this text. A macro writes the result as a literal. The
    /// compiler adds the file, the line and the module when it compiles the crate of the user.
    pub fn to_text(&self) -> String {
        let mut text = Text(String::new());
        text.declaration(self);
        let hash = hexadecimal(fnv1a(text.0.as_bytes()));
        text.field("hash", &hash);
        text.0
    }

    /// Returns the hash that identifies the definition. It is FNV-1a of 128 bits over the declaration, as 32
    /// hexadecimal digits.
    pub fn hash(&self) -> String {
        let mut text = Text(String::new());
        text.declaration(self);
        hexadecimal(fnv1a(text.0.as_bytes()))
    }
}

fn hexadecimal(hash: u128) -> String {
    format!("{hash:032x}")
}

struct Text(String);

impl Text {
    fn declaration(&mut self, declaration: &Declaration) {
        match declaration {
            Declaration::Process(process) => {
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
            Declaration::Stage(stage) => {
                self.field("kind", "stage");
                self.common(&stage.common);
                self.optional("process", stage.process.as_deref());
                self.optional("sla_ms", stage.sla.map(|sla| sla.as_millis().to_string()).as_deref());
                self.list("after", &stage.after);
            }
            Declaration::Contract(contract) => {
                self.field("kind", "contract");
                self.field("process", &contract.process);
                self.field("case", &contract.case.to_string());
            }
            Declaration::Check(check) => {
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
                    Freshness::Every(period) => self.field("every", &period.to_string()),
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
        self.field("shape", common.shape.as_str());
    }

    /// Writes the place. In a compiled program, the macro `__record_text!` of the runtime writes the place in the
    /// same form.
    fn place(&mut self, place: &Place) {
        self.field("handler", &place.handler);
        self.field("file", &place.file);
        self.field("line", &place.line.to_string());
    }

    fn field(&mut self, key: &str, value: &str) {
        self.0.push_str(key);
        self.0.push(UNIT);
        let start = self.0.len();
        self.0.push_str(value);
        // Searches bytes instead of characters, because this runs in a procedural macro, which is rarely optimised.
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

/// Decodes all records of a section, in their order in the section. The linker decides that order.
///
/// # Errors
/// Returns an error for the first byte that is neither a frame nor padding, or for the first record that cannot be
/// decoded.
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

/// Returns the text of the frame at the start of `bytes`.
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
/// Returns an error if the text is not a valid record. The offset in the error is a position in `text`.
pub fn decode_text(text: &[u8]) -> Result<Record, DecodeError> {
    let text = std::str::from_utf8(text)
        .map_err(|error| DecodeError { offset: error.valid_up_to(), problem: Problem::NotText })?;
    let (declaration, place) = split_at_hash(text)?;
    Ok(Record { declaration: declaration.declaration()?, place: place.place()? })
}

/// Returns the fields before the hash and the fields from the hash on. Returns an error if the hash does not match.
fn split_at_hash(text: &str) -> Result<(Fields<'_>, Fields<'_>), DecodeError> {
    let mut before = Fields::parse(text)?;
    let written = before.required("hash", string)?;
    let at = before.0.iter().position(|field| field.key == "hash").unwrap_or_default();
    let after = before.0.split_off(at);
    let offset = after[0].offset;
    if hexadecimal(fnv1a(&text.as_bytes()[..offset])) != written {
        return Err(DecodeError { offset, problem: Problem::Hash });
    }
    Ok((before, Fields(after)))
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

fn parsed<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn sla(text: &str) -> Option<Sla> {
    Sla::from_millis(text.parse().ok()?)
}

/// One field of a text.
struct Field<'a> {
    offset: usize,
    key: &'a str,
    value: &'a str,
}

/// The fields of a text.
struct Fields<'a>(Vec<Field<'a>>);

impl<'a> Fields<'a> {
    fn parse(text: &'a str) -> Result<Self, DecodeError> {
        let mut fields = Vec::new();
        let mut offset = 0;
        for field in text.split_inclusive(RECORD) {
            let (key, value) = field
                .strip_suffix(RECORD)
                .and_then(|field| field.split_once(UNIT))
                .ok_or(DecodeError { offset, problem: Problem::NotAField })?;
            fields.push(Field { offset, key, value });
            offset += field.len();
        }
        Ok(Fields(fields))
    }

    fn all(&self, key: &str) -> impl Iterator<Item = &Field<'a>> {
        self.0.iter().filter(move |field| field.key == key)
    }

    fn optional<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, DecodeError> {
        let mut all = self.all(key);
        match (all.next(), all.next()) {
            (None, _) => Ok(None),
            (Some(field), None) => match read(field.value) {
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
        self.all(key).map(|field| field.value.to_owned()).collect()
    }

    fn place(&self) -> Result<Place, DecodeError> {
        Ok(Place {
            handler: self.required("handler", string)?,
            file: self.required("file", string)?,
            line: self.required("line", parsed)?,
        })
    }

    fn declaration(&self) -> Result<Declaration, DecodeError> {
        match self.required("kind", string)?.as_str() {
            "process" => Ok(Declaration::Process(ProcessDeclaration {
                common: self.common()?,
                version: self.required("version", version)?,
                sla: self.required("sla_ms", sla)?,
                criticality: self.required("criticality", parsed)?,
                owner: self.optional("owner", string)?,
                runbook: self.optional("runbook", string)?,
                objective: self.required("objective", parsed::<Objective>)?,
                cancelled_is_bad: self.optional("cancelled", |text| (text == "bad").then_some(()))?.is_some(),
            })),
            "stage" => Ok(Declaration::Stage(StageDeclaration {
                common: self.common()?,
                process: self.optional("process", id)?,
                sla: self.optional("sla_ms", sla)?,
                after: self.list("after"),
            })),
            "contract" => Ok(Declaration::Contract(ContractDeclaration {
                process: self.required("process", id)?,
                case: self.required("case", parsed)?,
            })),
            "health_check" => self.check(CheckTarget::Process(self.required("process", id)?)),
            "dependency_check" => self.check(CheckTarget::Dependency(self.required("id", id)?)),
            _ => Err(self.error("kind", Problem::Malformed("kind"))),
        }
    }

    /// Reads the part that checks of processes and checks of dependencies share.
    fn check(&self, target: CheckTarget) -> Result<Declaration, DecodeError> {
        let every = self.optional("every", |text| schedule::every(text).ok())?;
        let cached_for = self.optional("cached_for", |text| schedule::cached_for(text).ok())?;
        let freshness = match (every, cached_for) {
            (Some(period), None) => Freshness::Every(period),
            (None, Some(time)) => Freshness::CachedFor(time),
            (Some(_), Some(_)) => return Err(self.error("cached_for", Problem::Malformed("cached_for"))),
            (None, None) => return Err(self.error("cached_for", Problem::Missing("cached_for"))),
        };
        let timeout = self.required("timeout", |text| schedule::timeout(text).ok())?;
        Ok(Declaration::Check(CheckDeclaration { target, timeout, freshness }))
    }

    /// Reads the part that processes and stages share.
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
            error_text: self.required("error_text", parsed)?,
            depends_on: self.list("depends_on"),
            signature: self.required("signature", string)?,
            shape: self.required("shape", parsed)?,
        })
    }

    fn context(&self) -> Vec<ContextKey> {
        let key = |field: &Field<'a>| {
            let source = match field.key {
                "context" => ContextSource::Entry,
                "inherit" => ContextSource::Inherit,
                "later" => ContextSource::Later,
                _ => return None,
            };
            Some(ContextKey { name: field.value.to_owned(), source })
        };
        self.0.iter().filter_map(key).collect()
    }

    /// Creates an error at the last field with this key, or at the start of the text if there is none.
    fn error(&self, key: &str, problem: Problem) -> DecodeError {
        DecodeError { offset: self.all(key).last().map_or(0, |field| field.offset), problem }
    }
}

/// Returns the 128-bit FNV-1a hash. The offset basis and the prime are those of draft-eastlake-fnv, section 5. The
/// hash distinguishes definitions and detects damaged bytes; it does not protect against an adversary.
fn fnv1a(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(BASIS, |hash, &byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}
