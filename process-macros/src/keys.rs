//! Every key of the attributes: its name, how it is written and where it belongs. Diagnostics list keys
//! from this table, so a key that is accepted is a key that is advertised.

use process_model::nearest;

/// Which attribute is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttributeKind {
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

impl AttributeKind {
    const ALL: &[AttributeKind] = &[
        AttributeKind::Process,
        AttributeKind::Stage,
        AttributeKind::Contract,
        AttributeKind::HealthCheck,
        AttributeKind::DependencyCheck,
    ];
    /// Those that make a run of a function.
    const RUNS: &[AttributeKind] = &[AttributeKind::Process, AttributeKind::Stage];
    const CHECKS: &[AttributeKind] = &[AttributeKind::HealthCheck, AttributeKind::DependencyCheck];

    /// The attribute called `name`.
    pub(crate) fn called(name: &str) -> Option<AttributeKind> {
        AttributeKind::ALL.iter().find(|kind| kind.attribute() == name).copied()
    }

    /// The attribute's name.
    pub(crate) fn attribute(self) -> &'static str {
        match self {
            AttributeKind::Process => "critical_process",
            AttributeKind::Stage => "stage",
            AttributeKind::Contract => "contract",
            AttributeKind::HealthCheck => "health_check",
            AttributeKind::DependencyCheck => "dependency_check",
        }
    }

    /// What the attribute makes of a function, with its article.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            AttributeKind::Process => "a critical process",
            AttributeKind::Stage => "a stage",
            AttributeKind::Contract => "a contract",
            AttributeKind::HealthCheck => "a health check",
            AttributeKind::DependencyCheck => "a dependency check",
        }
    }

    /// Whether the attribute makes a check of a function.
    pub(crate) fn is_check(self) -> bool {
        AttributeKind::CHECKS.contains(&self)
    }

    /// The keys that must be there.
    pub(crate) fn required(self) -> &'static [Key] {
        match self {
            AttributeKind::Process => &[Key::Id, Key::Version, Key::Sla],
            AttributeKind::Stage => &[Key::Id],
            AttributeKind::Contract => &[Key::Process, Key::Case],
            AttributeKind::HealthCheck => &[Key::Process],
            AttributeKind::DependencyCheck => &[Key::Id],
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
    pub(crate) fn other_with_key(self, name: &str) -> Option<AttributeKind> {
        AttributeKind::ALL.iter().find(|other| **other != self && other.key(name).is_some()).copied()
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
const TABLE: &[(Key, &str, &[AttributeKind])] = &[
    (Key::Id, r#"id = "place_order""#, AttributeKind::RUNS),
    (Key::Id, r#"id = "payment_api""#, &[AttributeKind::DependencyCheck]),
    (Key::Version, r#"version = "1.0.0""#, &[AttributeKind::Process]),
    (Key::Sla, r#"sla = "30s""#, AttributeKind::RUNS),
    (
        Key::Process,
        r#"process = "place_order""#,
        &[AttributeKind::Stage, AttributeKind::Contract, AttributeKind::HealthCheck],
    ),
    (Key::After, r#"after("reserve_stock")"#, &[AttributeKind::Stage]),
    (Key::Case, "case = happy", &[AttributeKind::Contract]),
    (Key::Timeout, r#"timeout = "10s""#, AttributeKind::CHECKS),
    (Key::Every, r#"every = "5m""#, AttributeKind::CHECKS),
    (Key::CachedFor, r#"cached_for = "5s""#, AttributeKind::CHECKS),
    (Key::Name, r#"name = "Place an order""#, AttributeKind::RUNS),
    (Key::Criticality, "criticality = high", &[AttributeKind::Process]),
    (Key::Owner, r#"owner = "checkout""#, &[AttributeKind::Process]),
    (Key::Runbook, r#"runbook = "docs/runbooks/place_order.md""#, &[AttributeKind::Process]),
    (Key::Objective, "objective = 99.9", &[AttributeKind::Process]),
    (Key::Context, "context(order_id)", AttributeKind::RUNS),
    (Key::Rejects, "rejects(OrderError::Empty)", AttributeKind::RUNS),
    (Key::Fails, "fails(None)", AttributeKind::RUNS),
    (Key::Degraded, "degraded = Receipt::used_fallback", AttributeKind::RUNS),
    (Key::Outcome, "outcome = verdict_of", AttributeKind::RUNS),
    (Key::ErrorType, "error_type = OrderError::kind", AttributeKind::RUNS),
    (Key::ErrorText, "error_text = never", AttributeKind::RUNS),
    (Key::DependsOn, r#"depends_on("payment_api")"#, AttributeKind::RUNS),
    (Key::Cancelled, "cancelled = bad", &[AttributeKind::Process]),
    (Key::Handler, r#"handler = "Orders::place""#, AttributeKind::RUNS),
    (Key::Crate, "crate = my_crate::process_runtime", AttributeKind::ALL),
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
                Some("`outcome` alone decides how a run ended: remove either `outcome` or the others")
            }
            (Key::Every, Key::CachedFor) | (Key::CachedFor, Key::Every) => Some(
                "remove one of the two: with `every`, an answer is valid until the next run of the check",
            ),
            _ => None,
        }
    }
}
