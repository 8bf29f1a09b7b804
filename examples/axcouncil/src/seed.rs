//! Fills an empty database with two companies.

use sqlx::SqlitePool;

use crate::auth::{Password, Passwords};
use crate::server::StartError;

/// A user of Acme Robotics.
pub const ACME_USER: &str = "ada@acme-robotics.example";
/// A user of Umbra Logistics. Only the council of this company has the model `hypnos`.
pub const UMBRA_USER: &str = "uma@umbra-logistics.example";
/// The password of both users. Use it in examples only.
pub const PASSWORD: &str = "correct horse battery staple";

const COMPANIES: &str = "
    INSERT INTO companies (id, name, playbook, chairman, tax_basis_points) VALUES
        (1, 'Acme Robotics', 'Safety before speed. Every promise has a date.', 'solon', 1900),
        (2, 'Umbra Logistics', 'What is not on the truck does not exist.', 'solon', 700);
    INSERT INTO council_members (company_id, seat, model) VALUES
        (1, 1, 'aurora'), (1, 2, 'borealis'), (1, 3, 'zephyr'),
        (2, 1, 'aurora'), (2, 2, 'borealis'), (2, 3, 'hypnos');
    INSERT INTO departments (id, company_id, name, is_default) VALUES
        (1, 1, 'Executive', 1), (2, 1, 'Sales', 0), (3, 2, 'Executive', 1);
    INSERT INTO roles (department_id, name, brief) VALUES
        (1, 'CEO', 'Makes the final decision.'),
        (2, 'Account executive', 'Closes what marketing opened.'),
        (2, 'Sales engineer', 'Knows what the product cannot do.'),
        (3, 'CEO', 'Answers for the trucks.');";

/// Fills the database. Does nothing if the database already has companies.
pub(crate) async fn fill(database: &SqlitePool, passwords: &Passwords) -> Result<(), StartError> {
    let mut transaction = database.begin_with(crate::database::WRITE).await?;
    let companies: i64 = sqlx::query_scalar("SELECT count(*) FROM companies WHERE id > 0")
        .fetch_one(&mut *transaction)
        .await?;
    if companies > 0 {
        return Ok(());
    }
    sqlx::raw_sql(COMPANIES).execute(&mut *transaction).await?;
    for (company, email) in [(1, ACME_USER), (2, UMBRA_USER)] {
        sqlx::query("INSERT INTO users (company_id, email, password_hash) VALUES (?, ?, ?)")
            .bind(company)
            .bind(email)
            .bind(passwords.hash(&Password::from(PASSWORD))?)
            .execute(&mut *transaction)
            .await?;
    }
    Ok(transaction.commit().await?)
}
