-- What is sold, and what was billed. Money is whole cents.
CREATE TABLE plans (
    id             TEXT    PRIMARY KEY,
    cents_per_seat INTEGER NOT NULL CHECK (cents_per_seat > 0),
    most_seats     INTEGER NOT NULL CHECK (most_seats > 0)
) STRICT;

INSERT INTO plans (id, cents_per_seat, most_seats) VALUES ('team', 2900, 50), ('company', 4900, 5000);

-- A row is written before the card is charged, so that no charge is without one.
CREATE TABLE invoices (
    id          INTEGER PRIMARY KEY,
    company_id  INTEGER NOT NULL REFERENCES companies (id) ON DELETE CASCADE,
    plan_id     TEXT    NOT NULL REFERENCES plans (id),
    seats       INTEGER NOT NULL,
    net_cents   INTEGER NOT NULL,
    tax_cents   INTEGER NOT NULL,
    total_cents INTEGER NOT NULL,
    status      TEXT    NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'paid', 'declined', 'unknown')),
    charge_id   TEXT,
    created_at  INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;
