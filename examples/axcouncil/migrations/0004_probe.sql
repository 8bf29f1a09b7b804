-- The user that health checks act as. No one can log in as this user.
INSERT INTO companies (id, name, playbook, chairman, tax_basis_points)
VALUES (0, 'Health checks', 'Say whether it works.', 'solon', 0);
INSERT INTO council_members (company_id, seat, model) VALUES (0, 1, 'aurora'), (0, 2, 'borealis'), (0, 3, 'zephyr');
INSERT INTO users (id, company_id, email, password_hash) VALUES (0, 0, 'health-checks@axcouncil.invalid', '');
