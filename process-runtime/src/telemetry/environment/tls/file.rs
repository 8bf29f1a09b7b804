//! Reads a file that a variable names. The path may lead to anything: a pipe, a device without an end, or a network
//! file system that does not answer. Reading therefore ends after a stated time and a stated number of bytes. What a
//! file contains does not belong here.

use std::fs::{self, File, FileType};
use std::io::{self, Read as _};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The maximum number of bytes of a file. All certificates of Mozilla's list together need a quarter of it.
const MOST: u64 = 1 << 20;
/// The maximum time for reading a file.
const TIME: Duration = Duration::from_secs(2);

/// Returns the content of the file at this path.
///
/// # Errors
/// Returns an error if the file cannot be read, is not a regular file, contains more than 1 MiB, or is not read within
/// two seconds.
pub(in crate::telemetry::environment) fn read(path: &str) -> io::Result<Vec<u8>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let path = path.to_owned();
    // If opening or reading never returns, only this thread waits for it.
    let thread = thread::Builder::new().name("telemetry-file".into());
    thread.spawn(move || drop(sender.send(regular(&path))))?;
    let late = |_| Err(io::Error::new(io::ErrorKind::TimedOut, "reading it takes longer than 2 s"));
    receiver.recv_timeout(TIME).unwrap_or_else(late)
}

fn regular(path: &str) -> io::Result<Vec<u8>> {
    let kind = fs::metadata(path)?.file_type();
    if !kind.is_file() {
        return Err(io::Error::other(format!("it is {}, not a file", name(kind))));
    }
    let mut content = Vec::new();
    File::open(path)?.take(MOST + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MOST {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(content)
}

#[cfg(unix)]
fn name(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    match kind {
        _ if kind.is_dir() => "a directory",
        _ if kind.is_fifo() => "a pipe",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(not(unix))]
fn name(kind: FileType) -> &'static str {
    if kind.is_dir() { "a directory" } else { "a device" }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_file_is_named_and_does_not_block() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name).to_str().expect("it is text").to_owned();
        let made = std::process::Command::new("mkfifo").arg(path("pipe")).status().expect("mkfifo exists");
        assert!(made.success());
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).expect("it can be bound");
        fs::write(path("long"), vec![b'x'; 2 << 20]).expect("writable");
        std::os::unix::fs::symlink("/dev/zero", path("link")).expect("it can be linked");
        for (path, why) in [
            (path("pipe"), "it is a pipe, not a file"),
            (path("socket"), "it is a socket, not a file"),
            (path(""), "it is a directory, not a file"),
            (path("link"), "it is a device, not a file"),
            ("/dev/zero".to_owned(), "it is a device, not a file"),
            (path("long"), "it is larger than 1 MiB"),
        ] {
            assert_eq!(read(&path).map_err(|error| error.to_string()), Err(why.to_owned()), "{path}");
        }
        fs::write(path("short"), "content").expect("writable");
        assert_eq!(read(&path("short")).expect("readable"), b"content");
    }
}
