//! What was charged: each key once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// About 200 bytes each: more than a day at ten charges a second, and no leak.
const MAX_CHARGES: usize = 1_000_000;

/// Charges by key.
#[derive(Default)]
pub(super) struct Ledger(Mutex<Books>);

#[derive(Default)]
struct Books {
    by_key: HashMap<String, Charge>,
    /// Charges of an order under different keys: what idempotency is there to prevent.
    by_order: HashMap<String, u32>,
    totals: Totals,
}

struct Charge {
    id: u64,
    order: String,
    amount_cents: u64,
}

/// What became of one request to charge.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    First(String),
    Repeated(String),
    OtherAmount,
    Full,
}

/// Sums over all charges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub charged: u64,
    pub charged_cents: u64,
    pub repeated: u64,
    pub orders_charged_twice: u64,
}

impl Ledger {
    pub(super) fn charge(&self, key: &str, order: &str, amount_cents: u64) -> Entry {
        let mut books = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(charge) = books.by_key.get(key) {
            if charge.order != order || charge.amount_cents != amount_cents {
                return Entry::OtherAmount;
            }
            let id = name(charge.id);
            books.totals.repeated += 1;
            return Entry::Repeated(id);
        }
        if books.by_key.len() >= MAX_CHARGES {
            return Entry::Full;
        }
        books.totals.charged += 1;
        books.totals.charged_cents = books.totals.charged_cents.saturating_add(amount_cents);
        let id = books.totals.charged;
        books.by_key.insert(key.to_owned(), Charge { id, order: order.to_owned(), amount_cents });
        let times = books.by_order.entry(order.to_owned()).or_default();
        *times += 1;
        if *times == 2 {
            books.totals.orders_charged_twice += 1;
        }
        Entry::First(name(id))
    }

    pub(super) fn totals(&self) -> Totals {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).totals
    }
}

fn name(id: u64) -> String {
    format!("c-{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_charges_once() {
        let ledger = Ledger::default();
        assert_eq!(ledger.charge("k", "t1-1", 500), Entry::First("c-1".into()));
        assert_eq!(ledger.charge("k", "t1-1", 500), Entry::Repeated("c-1".into()));
        assert_eq!(ledger.charge("k", "t1-1", 501), Entry::OtherAmount);
        assert_eq!(ledger.charge("k", "t1-2", 500), Entry::OtherAmount);
        assert_eq!(ledger.charge("l", "t1-2", 300), Entry::First("c-2".into()));
        let totals = Totals { charged: 2, charged_cents: 800, repeated: 1, orders_charged_twice: 0 };
        assert_eq!(ledger.totals(), totals);
        assert_eq!(ledger.charge("m", "t1-2", 300), Entry::First("c-3".into()));
        assert_eq!(ledger.totals().orders_charged_twice, 1);
    }
}
