-- Who uses the service: companies, the people who log in, how a company is organised.
CREATE TABLE companies (
    id               INTEGER PRIMARY KEY,
    name             TEXT    NOT NULL UNIQUE,
    playbook         TEXT    NOT NULL,
    chairman         TEXT    NOT NULL,
    tax_basis_points INTEGER NOT NULL CHECK (tax_basis_points BETWEEN 0 AND 10000)
) STRICT;

CREATE TABLE council_members (
    company_id INTEGER NOT NULL REFERENCES companies (id) ON DELETE CASCADE,
    seat       INTEGER NOT NULL,
    model      TEXT    NOT NULL,
    PRIMARY KEY (company_id, seat),
    UNIQUE (company_id, model)
) STRICT;

CREATE TABLE users (
    id            INTEGER PRIMARY KEY,
    company_id    INTEGER NOT NULL REFERENCES companies (id) ON DELETE CASCADE,
    email         TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    password_hash TEXT    NOT NULL
) STRICT;

CREATE TABLE departments (
    id         INTEGER PRIMARY KEY,
    company_id INTEGER NOT NULL REFERENCES companies (id) ON DELETE CASCADE,
    name       TEXT    NOT NULL,
    is_default INTEGER NOT NULL DEFAULT 0 CHECK (is_default IN (0, 1)),
    UNIQUE (company_id, name)
) STRICT;

CREATE TABLE roles (
    id            INTEGER PRIMARY KEY,
    department_id INTEGER NOT NULL REFERENCES departments (id) ON DELETE CASCADE,
    name          TEXT    NOT NULL,
    brief         TEXT    NOT NULL,
    UNIQUE (department_id, name)
) STRICT;
