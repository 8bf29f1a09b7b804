//! Reads the command line.

use process_runtime::timeline::Query;
use reqwest::Url;

use crate::trace;

/// The task that the command line selects.
#[derive(Debug, PartialEq)]
pub(crate) enum Arguments {
    Day,
    Serve { port: u16, models: Option<Url> },
    Trace(Query),
}

impl Arguments {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    /// Returns a description of the first mistake.
    pub(crate) fn read(given: impl Iterator<Item = String>) -> Result<Arguments, String> {
        let mut given = given.peekable();
        if given.next_if(|first| first == "trace").is_some() {
            return trace::query(given).map(Arguments::Trace);
        }
        let (mut serve, mut port, mut models) = (false, None, None);
        while let Some(argument) = given.next() {
            match argument.as_str() {
                "--serve" => serve = true,
                "--port" => {
                    let number = given.next().ok_or("`--port` needs a number")?;
                    let number = number
                        .parse()
                        .map_err(|_| format!("invalid `--port` `{number}`: use a number from 0 to 65535"))?;
                    port = Some(number);
                }
                "--models" => {
                    let url =
                        given.next().ok_or("`--models` needs a URL, for example `http://127.0.0.1:8090`")?;
                    models = Some(url.parse().map_err(|_| {
                        format!("invalid `--models` `{url}`: use a URL, for example `http://127.0.0.1:8090`")
                    })?);
                }
                other => return Err(format!("unknown argument `{other}`")),
            }
        }
        match (serve, port, models) {
            (true, port, models) => Ok(Arguments::Serve { port: port.unwrap_or(0), models }),
            (false, None, None) => Ok(Arguments::Day),
            (false, Some(_), _) => Err("`--port` requires `--serve`".to_owned()),
            (false, None, Some(_)) => Err("`--models` requires `--serve`".to_owned()),
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
        assert_eq!(read("--serve"), Ok(Arguments::Serve { port: 0, models: None }));
        assert_eq!(read("--serve --port 8080"), Ok(Arguments::Serve { port: 8080, models: None }));
        let models = "http://127.0.0.1:9".parse().ok();
        assert_eq!(read("--models http://127.0.0.1:9 --serve"), Ok(Arguments::Serve { port: 0, models }));
    }

    #[test]
    fn each_mistake_is_reported() {
        for (line, error) in [
            ("--sevre", "unknown argument `--sevre`"),
            ("--port 80", "`--port` requires `--serve`"),
            ("--serve --port", "`--port` needs a number"),
            ("--models http://127.0.0.1:9", "`--models` requires `--serve`"),
            (
                "--serve --models nine",
                "invalid `--models` `nine`: use a URL, for example `http://127.0.0.1:8090`",
            ),
            ("--serve --port 70000", "invalid `--port` `70000`: use a number from 0 to 65535"),
        ] {
            assert_eq!(read(line), Err(error.to_owned()));
        }
    }
}
