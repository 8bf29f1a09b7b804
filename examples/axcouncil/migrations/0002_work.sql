-- What the service keeps of its work: knowledge, deliberations, and who changed what.
CREATE TABLE knowledge_entries (
    id            INTEGER PRIMARY KEY,
    company_id    INTEGER NOT NULL REFERENCES companies (id) ON DELETE CASCADE,
    department_id INTEGER REFERENCES departments (id) ON DELETE SET NULL,
    author_id     INTEGER NOT NULL REFERENCES users (id),
    title         TEXT    NOT NULL,
    body          TEXT    NOT NULL,
    auto_inject   INTEGER NOT NULL CHECK (auto_inject IN (0, 1)),
    created_at    INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE INDEX knowledge_to_inject ON knowledge_entries (company_id, id) WHERE auto_inject = 1;

CREATE TABLE knowledge_tags (
    entry_id INTEGER NOT NULL REFERENCES knowledge_entries (id) ON DELETE CASCADE,
    tag      TEXT    NOT NULL,
    PRIMARY KEY (entry_id, tag)
) STRICT;

CREATE TABLE deliberations (
    id            INTEGER PRIMARY KEY,
    company_id    INTEGER NOT NULL REFERENCES companies (id) ON DELETE CASCADE,
    user_id       INTEGER NOT NULL REFERENCES users (id),
    question      TEXT    NOT NULL,
    answer        TEXT    NOT NULL,
    used_fallback INTEGER NOT NULL CHECK (used_fallback IN (0, 1)),
    created_at    INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE audit_log (
    id         INTEGER PRIMARY KEY,
    company_id INTEGER NOT NULL REFERENCES companies (id) ON DELETE CASCADE,
    user_id    INTEGER NOT NULL REFERENCES users (id),
    action     TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    detail     TEXT    NOT NULL,
    at         INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;
