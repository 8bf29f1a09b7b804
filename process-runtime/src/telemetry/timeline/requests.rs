//! Divides a file into its requests. A request is one line, or several lines if it is indented. The content of a
//! request does not belong here.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};

use super::forms::plain;

/// The maximum length of a request in bytes. A request with a thousand spans has half a megabyte.
pub(super) const LINE: usize = 16 << 20;

/// The mark of UTF-8 at the start of a file.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// The starts of files in UTF-16: the marks of the two byte orders, and `{"` without a mark.
const UTF_16: [&[u8]; 4] = [b"\xff\xfe", b"\xfe\xff", b"{\0\"\0", b"\0{\0\""];

/// Reads the requests of a file.
pub(super) struct Requests {
    file: BufReader<File>,
    /// The number of lines that were read.
    line: usize,
}

impl Requests {
    pub(super) fn new(file: File) -> Requests {
        Requests { file: BufReader::new(file), line: 0 }
    }

    /// Returns whether the file is in UTF-16. Call this before the first request is read.
    pub(super) fn is_utf_16(&mut self) -> io::Result<bool> {
        let start = self.file.fill_buf()?;
        Ok(UTF_16.iter().any(|known| start.starts_with(known)))
    }

    /// Reads the next request into `bytes`. Returns the number of the request's first line, and whether the request is
    /// within the length limit. Returns `None` at the end of the file.
    ///
    /// A request ends with the line that closes its brackets. A list around several requests does not belong to them.
    pub(super) fn next(&mut self, bytes: &mut Vec<u8>) -> io::Result<Option<(usize, bool)>> {
        bytes.clear();
        let Some(mut is_whole) = self.append(bytes)? else { return Ok(None) };
        let first = self.line;
        let mut brackets = Brackets::default();
        brackets.read(bytes);
        while brackets.open > 0 && !self.is_at_request()? {
            if !is_whole || bytes.len() > LINE {
                is_whole = false;
                bytes.clear();
            }
            let start = bytes.len();
            match self.append(bytes)? {
                Some(fits) => is_whole &= fits,
                None => break,
            }
            brackets.read(&bytes[start..]);
        }
        Ok(Some((first, is_whole)))
    }

    /// Returns whether the current request does not continue here. The lines of an indented request start with white
    /// space or with the bracket of its end.
    fn is_at_request(&mut self) -> io::Result<bool> {
        let next = self.file.fill_buf()?;
        let is_inside = |first: &u8| first.is_ascii_whitespace() || b"}]".contains(first);
        let place = next.iter().position(|byte| !byte.is_ascii_whitespace() && !b"[,".contains(byte));
        Ok(!next.first().is_some_and(is_inside) || place.is_some_and(|place| begins_request(&next[place..])))
    }

    /// Appends the next line to `bytes`. Returns whether the line is within the length limit, or `None` at the end of
    /// the file.
    fn append(&mut self, bytes: &mut Vec<u8>) -> io::Result<Option<bool>> {
        let start = bytes.len();
        let read = (&mut self.file).take(LINE as u64).read_until(b'\n', bytes)?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        // Some programs begin a file with a mark of its encoding.
        if bytes[start..].starts_with(MARK) {
            bytes.drain(start..start + MARK.len());
        }
        let fits = read < LINE || bytes.ends_with(b"\n");
        if !fits {
            self.file.skip_until(b'\n')?;
        }
        Ok(Some(fits))
    }
}

/// Counts the open brackets of a request.
#[derive(Default)]
struct Brackets {
    open: usize,
    is_text: bool,
    is_escaped: bool,
}

impl Brackets {
    fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                // A string has no line break, so a quote without its partner has no effect behind its line.
                b'\n' => (self.is_text, self.is_escaped) = (false, false),
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = self.is_text,
                b'"' => self.is_text = !self.is_text,
                _ if self.is_text => {}
                b'{' => self.open += 1,
                b'[' => self.open += usize::from(self.open > 0),
                b'}' | b']' => self.open = self.open.saturating_sub(1),
                _ => {}
            }
        }
    }
}

/// Returns the places in a line where a request begins.
pub(super) fn starts(line: &[u8]) -> impl Iterator<Item = usize> {
    let brackets = line.iter().enumerate().filter(|(_, byte)| **byte == b'{').map(|(place, _)| place);
    brackets.filter(|place| begins_request(&line[*place..]))
}

/// Returns whether a text begins with a bracket, the key for resources, and the bracket of its value. In valid JSON, no
/// string contains this, because its quotes have escapes there.
fn begins_request(text: &[u8]) -> bool {
    fn behind<'t>(text: &'t [u8], first: &[u8]) -> Option<&'t [u8]> {
        text.trim_ascii_start().strip_prefix(first)
    }
    let value = || {
        let key = behind(text.strip_prefix(b"{")?, b"\"")?;
        // For most objects, this is all that is looked at.
        let is_possible = key.first().is_some_and(|first| first.eq_ignore_ascii_case(&b'r'));
        let length = key.iter().take(if is_possible { 32 } else { 0 }).position(|byte| *byte == b'"')?;
        let name = plain(std::str::from_utf8(&key[..length]).ok()?);
        let value = behind(&key[length + 1..], b":")?.trim_ascii_start();
        (name == "resourcespans" || name == "resourcelogs").then(|| value.first().copied())
    };
    matches!(value(), Some(None | Some(b'[' | b'{')))
}
