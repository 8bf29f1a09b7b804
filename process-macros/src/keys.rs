//! Every key of both attributes: its name, how it is written and where it belongs. Diagnostics list keys
//! from this table, so a key that is accepted is a key that is advertised.

use process_model::nearest;

/// Which attribute is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `#[critical_process]`
    Process,
    /// `#[stage]`
    Stage,
}

impl Kind {
    /// The attribute's name.
    pub(crate) fn attribute(self) -> &'static str {
        match self {
            Kind::Process => "critical_process",
            Kind::Stage => "stage",
        }
    }

    /// What the attribute makes of a function, with its article.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Kind::Process => "a critical process",
            Kind::Stage => "a stage",
        }
    }

    fn other(self) -> Kind {
        match self {
            Kind::Process => Kind::Stage,
            Kind::Stage => Kind::Process,
        }
    }

    /// The keys that must be there.
    pub(crate) fn required(self) -> &'static [Key] {
        match self {
            Kind::Process => &[Key::Id, Key::Version, Key::Sla],
            Kind::Stage => &[Key::Id],
        }
    }

    /// The key called `name`.
    pub(crate) fn key(self, name: &str) -> Option<Key> {
        self.keys().find(|key| key.name() == name)
    }

    /// The key that was probably meant by `name`: one that is called so elsewhere, or that is spelt nearly so.
    pub(crate) fn nearest_key(self, name: &str) -> Option<Key> {
        let other_name =
            OTHER_NAMES.iter().find(|(_, names)| names.contains(&name)).map(|(key, _)| key.name());
        let near = other_name.or_else(|| nearest(name, self.keys().map(Key::name)));
        near.and_then(|name| self.key(name))
    }

    /// The other attribute, if it has a key called `name`.
    pub(crate) fn other_with_key(self, name: &str) -> Option<Kind> {
        self.other().key(name).map(|_| self.other())
    }

    /// All keys, as a list for people.
    pub(crate) fn key_list(self) -> String {
        let names: Vec<_> = self.keys().map(|key| format!("`{}`", key.name())).collect();
        names.join(", ")
    }

    fn keys(self) -> impl Iterator<Item = Key> {
        TABLE.iter().filter(move |row| row.2.has(self)).map(|row| row.0)
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

/// Which attributes have a key.
enum On {
    Both,
    Only(Kind),
}

impl On {
    fn has(&self, kind: Kind) -> bool {
        match self {
            On::Both => true,
            On::Only(only) => *only == kind,
        }
    }
}

/// Key, how it is written, and on which attribute; in the order in which diagnostics list them.
const TABLE: &[(Key, &str, On)] = &[
    (Key::Id, r#"id = "place_order""#, On::Both),
    (Key::Version, r#"version = "1.0.0""#, On::Only(Kind::Process)),
    (Key::Sla, r#"sla = "30s""#, On::Both),
    (Key::Process, r#"process = "place_order""#, On::Only(Kind::Stage)),
    (Key::After, r#"after("reserve_stock")"#, On::Only(Kind::Stage)),
    (Key::Name, r#"name = "Place an order""#, On::Both),
    (Key::Criticality, "criticality = high", On::Only(Kind::Process)),
    (Key::Owner, r#"owner = "checkout""#, On::Only(Kind::Process)),
    (Key::Runbook, r#"runbook = "docs/runbooks/place_order.md""#, On::Only(Kind::Process)),
    (Key::Objective, "objective = 99.9", On::Only(Kind::Process)),
    (Key::Context, "context(order_id)", On::Both),
    (Key::Rejects, "rejects(OrderError::Empty)", On::Both),
    (Key::Fails, "fails(None)", On::Both),
    (Key::Degraded, "degraded = Receipt::used_fallback", On::Both),
    (Key::Outcome, "outcome = verdict_of", On::Both),
    (Key::ErrorType, "error_type = OrderError::kind", On::Both),
    (Key::ErrorText, "error_text = never", On::Both),
    (Key::DependsOn, r#"depends_on("payment_api")"#, On::Both),
    (Key::Cancelled, "cancelled = bad", On::Only(Kind::Process)),
    (Key::Handler, r#"handler = "Orders::place""#, On::Both),
    (Key::Crate, "crate = my_crate::process_runtime", On::Both),
];

/// What keys are called by other tools, or for short.
const OTHER_NAMES: &[(Key, &[&str])] = &[
    (Key::Sla, &["timeout", "deadline", "budget", "max_duration"]),
    (Key::Name, &["title", "label"]),
    (Key::Criticality, &["severity", "priority", "tier", "importance"]),
    (Key::Owner, &["team", "owners", "contact"]),
    (Key::Runbook, &["docs", "playbook"]),
    (Key::Objective, &["slo", "target"]),
    (Key::Context, &["ctx", "fields", "record"]),
    (Key::DependsOn, &["dependencies", "requires"]),
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

    /// Whether two keys cannot stand together: `outcome` judges the whole return by itself.
    pub(crate) fn excludes(self, other: Key) -> bool {
        const RULES: [Key; 3] = [Key::Rejects, Key::Fails, Key::Degraded];
        (self == Key::Outcome && RULES.contains(&other)) || (other == Key::Outcome && RULES.contains(&self))
    }
}
