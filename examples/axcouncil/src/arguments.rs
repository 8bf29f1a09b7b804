//! What the command line says.

use process_runtime::timeline::Query;

use crate::trace;

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) enum Arguments {
    Day,
    Serve { port: u16 },
    Trace(Query),
}

impl Arguments {
    /// The arguments after the program's name.
    ///
    /// # Errors
    /// With what is wrong, in a few words.
    pub(crate) fn read(given: impl Iterator<Item = String>) -> Result<Arguments, String> {
        let mut given = given.peekable();
        if given.next_if(|first| first == "trace").is_some() {
            return trace::query(given).map(Arguments::Trace);
        }
        let (mut serve, mut port) = (false, None);
        while let Some(argument) = given.next() {
            match argument.as_str() {
                "--serve" => serve = true,
                "--port" => {
                    let number = given.next().ok_or("`--port` needs a number")?;
                    let number = number.parse().map_err(|_| format!("`{number}` is no port"))?;
                    port = Some(number);
                }
                other => return Err(format!("`{other}` is not understood")),
            }
        }
        match (serve, port) {
            (true, port) => Ok(Arguments::Serve { port: port.unwrap_or(0) }),
            (false, None) => Ok(Arguments::Day),
            (false, Some(_)) => Err("`--port` goes with `--serve`".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Arguments, String> {
        Arguments::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(read(""), Ok(Arguments::Day));
        assert_eq!(read("--serve"), Ok(Arguments::Serve { port: 0 }));
        assert_eq!(read("--serve --port 8080"), Ok(Arguments::Serve { port: 8080 }));
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (line, error) in [
            ("--sevre", "`--sevre` is not understood"),
            ("--port 80", "`--port` goes with `--serve`"),
            ("--serve --port", "`--port` needs a number"),
            ("--serve --port 70000", "`70000` is no port"),
        ] {
            assert_eq!(read(line), Err(error.to_owned()));
        }
    }
}
