//! Computes the price of a subscription, in whole cents. Tax is rounded once; half a cent is rounded up.

use serde::Serialize;

/// One hundred percent, in basis points.
const WHOLE: i64 = 10_000;

/// The number of seats from which the price is reduced by a tenth.
const MANY_SEATS: i64 = 20;

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Bill {
    pub(super) net_cents: i64,
    pub(super) tax_cents: i64,
    pub(super) total_cents: i64,
}

impl Bill {
    /// Computes the bill. Returns `None` if an amount does not fit into an `i64`.
    pub(super) fn compute(seats: i64, cents_per_seat: i64, tax_basis_points: i64) -> Option<Bill> {
        let full = seats.checked_mul(cents_per_seat)?;
        let net_cents = if seats >= MANY_SEATS { full - full / 10 } else { full };
        let tax_cents = net_cents.checked_mul(tax_basis_points)?.checked_add(WHOLE / 2)? / WHOLE;
        Some(Bill { net_cents, tax_cents, total_cents: net_cents.checked_add(tax_cents)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tax_is_rounded_once() {
        let bill = Bill { net_cents: 8_700, tax_cents: 1_653, total_cents: 10_353 };
        assert_eq!(Bill::compute(3, 2_900, 1_900), Some(bill));
        assert_eq!(Bill::compute(1, 250, 1_900).map(|bill| bill.tax_cents), Some(48));
    }

    #[test]
    fn many_seats_cost_a_tenth_less() {
        assert_eq!(Bill::compute(19, 100, 0).map(|bill| bill.total_cents), Some(1_900));
        assert_eq!(Bill::compute(20, 100, 0).map(|bill| bill.total_cents), Some(1_800));
    }

    #[test]
    fn an_amount_that_does_not_fit_gives_no_bill() {
        assert_eq!(Bill::compute(i64::MAX, 2, 0), None);
    }
}
