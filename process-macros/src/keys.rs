//! All keys of the attributes: their names, their forms and the attributes that accept them. Error messages list the
//! keys from the same table, so they list every key that an attribute accepts.

use process_model::nearest;

/// One of the attributes.
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
    /// The attributes that turn each call of a function into a run.
    const RUNS: &[AttributeKind] = &[AttributeKind::Process, AttributeKind::Stage];
    const CHECKS: &[AttributeKind] = &[AttributeKind::HealthCheck, AttributeKind::DependencyCheck];

    /// Returns the attribute with this name, or `None` if this crate has no such attribute.
    pub(crate) fn called(name: &str) -> Option<AttributeKind> {
        AttributeKind::ALL.iter().find(|kind| kind.attribute() == name).copied()
    }

    /// Returns the attribute's name.
    pub(crate) fn attribute(self) -> &'static str {
        match self {
            AttributeKind::Process => "critical_process",
            AttributeKind::Stage => "stage",
            AttributeKind::Contract => "contract",
            AttributeKind::HealthCheck => "health_check",
            AttributeKind::DependencyCheck => "dependency_check",
        }
    }

    /// Returns the noun for a function with this attribute, with its article.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            AttributeKind::Process => "a critical process",
            AttributeKind::Stage => "a stage",
            AttributeKind::Contract => "a contract",
            AttributeKind::HealthCheck => "a health check",
            AttributeKind::DependencyCheck => "a dependency check",
        }
    }

    /// Whether the attribute turns a function into a check.
    pub(crate) fn is_check(self) -> bool {
        AttributeKind::CHECKS.contains(&self)
    }

    /// Returns the required keys.
    pub(crate) fn required(self) -> &'static [Key] {
        match self {
            AttributeKind::Process => &[Key::Id, Key::Version, Key::Sla],
            AttributeKind::Stage => &[Key::Id],
            AttributeKind::Contract => &[Key::Process, Key::Case],
            AttributeKind::HealthCheck => &[Key::Process],
            AttributeKind::DependencyCheck => &[Key::Id],
        }
    }

    /// Returns the key with this name, or `None` if the attribute does not accept it.
    pub(crate) fn key(self, name: &str) -> Option<Key> {
        self.keys().find(|key| key.name() == name)
    }

    /// Returns the key of this attribute for which `name` is another common name or a short form, if there is one.
    pub(crate) fn otherwise_called(self, name: &str) -> Option<Key> {
        let meant = OTHER_NAMES.iter().filter(|(_, names)| names.contains(&name));
        meant.map(|(key, _)| *key).find(|key| self.key(key.name()).is_some())
    }

    /// Returns the key of this attribute whose spelling is nearest to `name`, or `None` if no key is near.
    pub(crate) fn nearest_key(self, name: &str) -> Option<Key> {
        nearest(name, self.keys().map(Key::name)).and_then(|name| self.key(name))
    }

    /// Returns another attribute that accepts a key with this name, if there is one.
    pub(crate) fn other_with_key(self, name: &str) -> Option<AttributeKind> {
        AttributeKind::ALL.iter().find(|other| **other != self && other.key(name).is_some()).copied()
    }

    /// Returns an example of an entry with the first required key.
    pub(crate) fn example(self) -> &'static str {
        self.example_of(self.required()[0])
    }

    /// Returns an example of an entry with this key. The text is empty if the attribute does not accept the key.
    pub(crate) fn example_of(self, key: Key) -> &'static str {
        let row = TABLE.iter().find(|row| row.0 == key && row.2.contains(&self));
        row.map_or("", |row| row.1)
    }

    /// Returns all keys as a list for an error message.
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

/// Each key, an example of it, and the attributes that accept it. Errors list the keys in this order. The name of a
/// key is the start of its example, up to the first blank or bracket.
const TABLE: &[(Key, &str, &[AttributeKind])] = &[
    (Key::Id, r#"id = "place_order""#, &[AttributeKind::Process]),
    (Key::Id, r#"id = "charge_card""#, &[AttributeKind::Stage]),
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

/// Other names of the keys: names in other tools and attributes, and short forms.
const OTHER_NAMES: &[(Key, &[&str])] = &[
    (Key::Sla, &["timeout", "deadline", "budget", "max_duration"]),
    (Key::Process, &["id", "of", "critical_process"]),
    (Key::Case, &["outcome", "scenario", "proves", "kind"]),
    // A user may write a case without `case =`. The cases `cancelled`, `context` and `sla` are not listed, because
    // these words more likely mean the keys of other attributes.
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
    /// Returns an example of an entry with this key.
    pub(crate) fn example(self) -> &'static str {
        let row = TABLE.iter().find(|row| row.0 == self);
        row.map_or("", |row| row.1)
    }

    /// Returns the name of the key, which is the start of its example.
    pub(crate) fn name(self) -> &'static str {
        let example = self.example();
        let end = example.find([' ', '(']).unwrap_or(example.len());
        &example[..end]
    }

    /// Returns the advice for two keys that cannot be combined, or `None` if they can.
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
