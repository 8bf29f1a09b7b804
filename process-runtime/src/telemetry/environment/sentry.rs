//! Reads the variables that configure Sentry. Starting Sentry does not belong here.

use sentry::types::Dsn;
use ureq::Proxy;

use super::tls::Pem;
use super::variables::Variables;

/// The configuration of Sentry.
#[derive(Debug)]
pub(in crate::telemetry) struct Sentry {
    /// A valid DSN.
    pub(in crate::telemetry) dsn: String,
    pub(in crate::telemetry) host: String,
    /// The trusted certificate authorities, or `None` for Mozilla's list.
    pub(in crate::telemetry) authorities: Option<Pem>,
    pub(in crate::telemetry) accepts_invalid_certificates: bool,
    pub(in crate::telemetry) proxy: Option<Proxy>,
    pub(in crate::telemetry) traces_sample_rate: f32,
    /// A release that Sentry accepts, or `None` if none is configured.
    pub(in crate::telemetry) release: Option<String>,
    /// An environment that Sentry accepts, or `None` if none is configured.
    pub(in crate::telemetry) environment: Option<String>,
}

impl Variables {
    pub(super) fn sentry(&mut self) -> Option<Sentry> {
        let names = ["SENTRY_RELEASE", "SENTRY_ENVIRONMENT", "SENTRY_TRACES_SAMPLE_RATE"];
        names.iter().for_each(|name| self.knows(name));
        let written = self.get("SENTRY_DSN")?;
        let dsn = match written.parse::<Dsn>() {
            Ok(dsn) => dsn,
            Err(error) => {
                // The DSN contains a key, so the report does not quote it.
                self.problem(format!(
                    "invalid SENTRY_DSN ({error}): use the DSN from the settings of the Sentry project; nothing is \
                     sent to Sentry"
                ));
                return None;
            }
        };
        if dsn.port() == 0 {
            self.problem(
                "invalid SENTRY_DSN: its port must be from 1 to 65535; nothing is sent to Sentry".to_owned(),
            );
            return None;
        }
        let release = self.get(names[0]);
        let environment = self.get(names[1]);
        Some(Sentry {
            host: dsn.host().to_owned(),
            authorities: self.authorities(),
            accepts_invalid_certificates: self.one_of("SSL_VERIFY", &["true", "false"], "`true`")
                == Some("false"),
            proxy: dsn.envelope_api_url().as_str().parse().ok().and_then(|url| self.proxy(&url)),
            traces_sample_rate: self.share(names[2], 0.0) as f32,
            release: self.accepted(names[0], release, release_problem, "the service's `name@version`"),
            environment: self.accepted(names[1], environment, environment_problem, "the default environment"),
            dsn: written,
        })
    }

    /// Returns the value of a variable if Sentry accepts it. Otherwise records a problem, and `instead` applies.
    fn accepted(
        &mut self,
        name: &str,
        value: Option<String>,
        problem: fn(&str) -> Option<&'static str>,
        instead: &str,
    ) -> Option<String> {
        let value = value?;
        if let Some(problem) = problem(&value) {
            let expected = format_args!("a name that Sentry accepts ({problem})");
            let assumed = format_args!("the variable is ignored, and {instead} applies");
            self.invalid(name, &value, expected, assumed);
            return None;
        }
        Some(value)
    }
}

/// Returns the rule that the name of a release breaks. Sentry discards such a release. The rules are those of
/// [relay](https://github.com/getsentry/relay), and also those of
/// [Sentry's documentation](https://docs.sentry.io/product/releases/naming-releases/).
pub(in crate::telemetry) fn release_problem(release: &str) -> Option<&'static str> {
    match release {
        _ if release.len() > 200 => Some("at most 200 bytes"),
        "." | ".." => Some("not `.` or `..`"),
        _ if release.eq_ignore_ascii_case("latest") => Some("not `latest`"),
        _ => character_problem(release),
    }
}

/// Returns the rule that the name of an environment breaks. Sentry discards such an environment.
fn environment_problem(environment: &str) -> Option<&'static str> {
    match environment {
        _ if environment.len() > 64 => Some("at most 64 bytes"),
        "." | ".." => Some("not `.` or `..`"),
        _ if environment.eq_ignore_ascii_case("none") => Some("not `None`"),
        _ => character_problem(environment),
    }
}

fn character_problem(name: &str) -> Option<&'static str> {
    if name.trim().is_empty() {
        return Some("not only spaces");
    }
    let is_wrong = |character: char| matches!(character, '/' | '\\') || character.is_ascii_control();
    name.contains(is_wrong).then_some("no `/`, `\\`, tab, line feed or other control character")
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;

    const DSN: (&str, &str) = ("SENTRY_DSN", "https://key@sentry.example/1");

    #[test]
    fn a_name_that_sentry_discards_is_reported_and_ignored() {
        let (longest, longest_environment) = ("x".repeat(200), "é".repeat(32));
        for name in ["shop@1.2.0", "a b", "é", &longest, "0123456789abcdef", "none"] {
            let environment = read(&[DSN, ("SENTRY_RELEASE", name)]);
            assert_eq!(environment.sentry.unwrap().release.as_deref(), Some(name));
            assert!(environment.problems.is_empty(), "{:?}", environment.problems);
        }
        for name in ["production", "a b", "latest", &longest_environment] {
            let environment = read(&[DSN, ("SENTRY_ENVIRONMENT", name)]);
            assert_eq!(environment.sentry.unwrap().environment.as_deref(), Some(name));
            assert!(environment.problems.is_empty(), "{:?}", environment.problems);
        }
        let both = ["a/b", "a\\b", "a\tb", "a\nb", "a\u{7f}b", ".", ".."].map(str::to_owned);
        let releases = [format!("{longest}x"), "é".repeat(101), "latest".to_owned(), "Latest".to_owned()];
        let environments = [format!("{longest_environment}x"), "None".to_owned(), "none".to_owned()];
        for (variable, names) in
            [("SENTRY_RELEASE", releases.to_vec()), ("SENTRY_ENVIRONMENT", environments.to_vec())]
        {
            for name in names.iter().chain(&both) {
                let environment = read(&[DSN, (variable, name)]);
                let sentry = environment.sentry.unwrap();
                assert_eq!((sentry.release, sentry.environment), (None, None), "{name}");
                let problems = &environment.problems;
                assert!(
                    matches!(&problems[..], [one] if one.contains(variable) && one.len() < 1000),
                    "{problems:?}"
                );
            }
        }
    }

    #[test]
    fn a_dsn_with_a_port_that_does_not_exist_is_reported() {
        for port in ["0", "65536"] {
            let environment = read(&[("SENTRY_DSN", &format!("https://secret@sentry.example:{port}/1"))]);
            assert!(environment.sentry.is_none(), "{port}");
            let problems = &environment.problems;
            let is_safe = |line: &String| line.contains("SENTRY_DSN") && !line.contains("secret");
            assert!(problems.len() == 1 && problems.iter().all(is_safe), "{problems:?}");
        }
    }

    #[test]
    fn certificates_are_verified_unless_the_variable_is_false() {
        for (value, accepts, problems) in
            [("false", true, 0), ("TRUE", false, 0), ("0", false, 1), ("no", false, 1)]
        {
            let environment = read(&[DSN, ("SSL_VERIFY", value)]);
            assert_eq!(environment.sentry.unwrap().accepts_invalid_certificates, accepts, "{value}");
            assert_eq!(environment.problems.len(), problems, "{value}");
        }
    }
}
