//! Every key of the attributes: its name, how it is written and where it belongs. Diagnostics list keys
//! from this table, so a key that is accepted is a key that is advertised.

use process_model::nearest;

/// Which attribute is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `#[critical_process]`
    Process,
    /// `#[stage]`
    Stage,
    /// `#[contract]`
    Contract,
    /// `#[health_check]`
    HealthCheck,
    /// `#[dependency_check]`
    DependencyCheck,
}

impl Kind {
    const ALL: &[Kind] =
        &[Kind::Process, Kind::Stage, Kind::Contract, Kind::HealthCheck, Kind::DependencyCheck];
    /// Those that make a run of a function.
    const RUNS: &[Kind] = &[Kind::Process, Kind::Stage];
    const CHECKS: &[Kind] = &[Kind::HealthCheck, Kind::DependencyCheck];

    /// The attribute called `name`.
    pub(crate) fn called(name: &str) -> Option<Kind> {
        Kind::ALL.iter().find(|kind| kind.attribute() == name).copied()
    }

    /// The attribute's name.
    pub(crate) fn attribute(self) -> &'static str {
        match self {
            Kind::Process => "critical_process",
            Kind::Stage => "stage",
            Kind::Contract => "contract",
            Kind::HealthCheck => "health_check",
            Kind::DependencyCheck => "dependency_check",
        }
    }

    /// What the attribute makes of a function, with its article.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Kind::Process => "a critical process",
            Kind::Stage => "a stage",
            Kind::Contract => "a contract",
            Kind::HealthCheck => "a health check",
            Kind::DependencyCheck => "a dependency check",
        }
    }

    /// Whether the attribute makes a check of a function.
    pub(crate) fn is_check(self) -> bool {
        Kind::CHECKS.contains(&self)
    }

    /// The keys that must be there.
    pub(crate) fn required(self) -> &'static [Key] {
        match self {
            Kind::Process => &[Key::Id, Key::Version, Key::Sla],
            Kind::Stage => &[Key::Id],
            Kind::Contract => &[Key::Process, Key::Case],
            Kind::HealthCheck => &[Key::Process],
            Kind::DependencyCheck => &[Key::Id],
        }
    }

    /// The key called `name`.
    pub(crate) fn key(self, name: &str) -> Option<Key> {
        self.keys().find(|key| key.name() == name)
    }

    /// The key that is called `name` by other tools, by other attributes or for short.
    pub(crate) fn otherwise_called(self, name: &str) -> Option<Key> {
        let meant = OTHER_NAMES.iter().filter(|(_, names)| names.contains(&name));
        meant.map(|(key, _)| *key).find(|key| self.key(key.name()).is_some())
    }

    /// The key that is spelt nearly like `name`.
    pub(crate) fn nearest_key(self, name: &str) -> Option<Key> {
        nearest(name, self.keys().map(Key::name)).and_then(|name| self.key(name))
    }

    /// Another attribute that has a key called `name`.
    pub(crate) fn other_with_key(self, name: &str) -> Option<Kind> {
        Kind::ALL.iter().find(|other| **other != self && other.key(name).is_some()).copied()
    }

    /// How an entry is written, by example.
    pub(crate) fn example(self) -> &'static str {
        self.example_of(self.required()[0])
    }

    /// How the entry of a key is written, by example.
    pub(crate) fn example_of(self, key: Key) -> &'static str {
        let row = TABLE.iter().find(|row| row.0 == key && row.2.contains(&self));
        row.map_or("", |row| row.1)
    }

    /// All keys, as a list for people.
    pub(crate) fn key_list(self) -> String {
        let names: Vec<_> = self.keys().map(|key| format!("`{}`", key.name())).collect();
        names.join(", ")
    }

    fn keys(self) -> impl Iterator<Item = Key> {
        TABLE.iter().filter(move |row| row.2.contains(&self)).map(|row| row.0)
    }
}

/// A key of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Id,
    Version,
    Sla,
    Process,
    After,
    Case,
    Timeout,
    Every,
    CachedFor,
    Name,
    Criticality,
    Owner,
    Runbook,
    Objective,
    Context,
    Rejects,
    Fails,
    Degraded,
    Outcome,
    ErrorType,
    ErrorText,
    DependsOn,
    Cancelled,
    Handler,
    Crate,
}

/// Key, how it is written, and which attributes have it; in the order in which diagnostics list them.
const TABLE: &[(Key, &str, &[Kind])] = &[
    (Key::Id, r#"id = "place_order""#, Kind::RUNS),
    (Key::Id, r#"id = "payment_api""#, &[Kind::DependencyCheck]),
    (Key::Version, r#"version = "1.0.0""#, &[Kind::Process]),
    (Key::Sla, r#"sla = "30s""#, Kind::RUNS),
    (Key::Process, r#"process = "place_order""#, &[Kind::Stage, Kind::Contract, Kind::HealthCheck]),
    (Key::After, r#"after("reserve_stock")"#, &[Kind::Stage]),
    (Key::Case, "case = happy", &[Kind::Contract]),
    (Key::Timeout, r#"timeout = "10s""#, Kind::CHECKS),
    (Key::Every, r#"every = "5m""#, Kind::CHECKS),
    (Key::CachedFor, r#"cached_for = "5s""#, Kind::CHECKS),
    (Key::Name, r#"name = "Place an order""#, Kind::RUNS),
    (Key::Criticality, "criticality = high", &[Kind::Process]),
    (Key::Owner, r#"owner = "checkout""#, &[Kind::Process]),
    (Key::Runbook, r#"runbook = "docs/runbooks/place_order.md""#, &[Kind::Process]),
    (Key::Objective, "objective = 99.9", &[Kind::Process]),
    (Key::Context, "context(order_id)", Kind::RUNS),
    (Key::Rejects, "rejects(OrderError::Empty)", Kind::RUNS),
    (Key::Fails, "fails(None)", Kind::RUNS),
    (Key::Degraded, "degraded = Receipt::used_fallback", Kind::RUNS),
    (Key::Outcome, "outcome = verdict_of", Kind::RUNS),
    (Key::ErrorType, "error_type = OrderError::kind", Kind::RUNS),
    (Key::ErrorText, "error_text = never", Kind::RUNS),
    (Key::DependsOn, r#"depends_on("payment_api")"#, Kind::RUNS),
    (Key::Cancelled, "cancelled = bad", &[Kind::Process]),
    (Key::Handler, r#"handler = "Orders::place""#, Kind::RUNS),
    (Key::Crate, "crate = my_crate::process_runtime", Kind::ALL),
];

/// What keys are called by other tools, by other attributes, or for short.
const OTHER_NAMES: &[(Key, &[&str])] = &[
    (Key::Sla, &["timeout", "deadline", "budget", "max_duration"]),
    (Key::Process, &["id", "of", "critical_process"]),
    (Key::Case, &["outcome", "scenario", "proves", "kind"]),
    // The case alone; those that are called like another attribute's key are more likely that.
    (Key::Case, &["happy", "error", "timeout", "dependency", "panic", "edge", "load"]),
    (Key::Timeout, &["sla", "deadline", "budget", "limit", "within", "max_duration"]),
    (Key::Every, &["interval", "period", "schedule", "each"]),
    (Key::CachedFor, &["cache", "cached", "ttl", "max_age"]),
    (Key::Name, &["title", "label"]),
    (Key::Criticality, &["severity", "priority", "tier", "importance"]),
    (Key::Owner, &["team", "owners", "contact"]),
    (Key::Runbook, &["docs", "playbook"]),
    (Key::Objective, &["slo", "target"]),
    (Key::Context, &["ctx", "fields", "record"]),
    (Key::DependsOn, &["dependencies", "dependency", "requires"]),
    (Key::Id, &["dependency", "depends_on", "process", "of"]),
];

impl Key {
    /// How the key is written, by example.
    pub(crate) fn example(self) -> &'static str {
        let row = TABLE.iter().find(|row| row.0 == self);
        row.map_or("", |row| row.1)
    }

    /// The key itself: what its example starts with.
    pub(crate) fn name(self) -> &'static str {
        let example = self.example();
        let end = example.find([' ', '(']).unwrap_or(example.len());
        &example[..end]
    }

    /// Why two keys cannot stand together, where they cannot.
    pub(crate) fn excludes(self, other: Key) -> Option<&'static str> {
        const RULES: [Key; 3] = [Key::Rejects, Key::Fails, Key::Degraded];
        match (self, other) {
            (Key::Outcome, rule) | (rule, Key::Outcome) if RULES.contains(&rule) => {
                Some("`outcome` judges the whole return by itself: leave it out, or the others")
            }
            (Key::Every, Key::CachedFor) | (Key::CachedFor, Key::Every) => {
                Some("with `every` an answer is good until the next is due: leave one of the two out")
            }
            _ => None,
        }
    }
}
