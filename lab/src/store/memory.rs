//! Orders in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{FIRST_NEW, NewOrder, Order, Placed, Status, StoreError};

/// About 300 bytes each: hours at a hundred orders a second, and no leak.
const MAX_ORDERS: usize = 1_000_000;

/// A store in this process. Clones are the same store.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Orders>>);

#[derive(Default)]
struct Orders {
    by_id: HashMap<String, Order>,
    /// Tenant and idempotency key → id.
    by_key: HashMap<(String, String), String>,
    placed: u64,
}

impl Memory {
    /// Holds the orders `tN-1` to `tN-COUNT` of each of the tenants `t1` to `tTENANTS`.
    pub fn preloaded(tenants: u32, count: u32) -> Self {
        let mut by_id = HashMap::new();
        for tenant in (1..=tenants).map(|number| format!("t{number}")) {
            for number in 1..=count {
                let order = preloaded(&tenant, number);
                by_id.insert(order.id.clone(), order);
            }
        }
        Self(Arc::new(Mutex::new(Orders { by_id, ..Orders::default() })))
    }

    pub(super) fn find(&self, id: &str) -> Option<Order> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).by_id.get(id).cloned()
    }

    pub(super) fn place(&self, new: &NewOrder) -> Result<Placed, StoreError> {
        let mut orders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (new.tenant.clone(), new.key.clone());
        if let Some(order) = orders.by_key.get(&key).and_then(|id| orders.by_id.get(id)) {
            let same = order.item == new.item && order.amount_cents == new.amount_cents;
            return Ok(if same { Placed::Again(order.clone()) } else { Placed::KeyReused });
        }
        if orders.by_id.len() >= MAX_ORDERS {
            return Err(StoreError::Full);
        }
        let order = Order {
            id: format!("{}-{}", new.tenant, FIRST_NEW + orders.placed),
            tenant: new.tenant.clone(),
            item: new.item.clone(),
            amount_cents: new.amount_cents,
            status: Status::PaymentPending,
        };
        orders.placed += 1;
        orders.by_key.insert(key, order.id.clone());
        orders.by_id.insert(order.id.clone(), order.clone());
        Ok(Placed::New(order))
    }

    pub(super) fn paid(&self, id: &str) {
        let mut orders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(order) = orders.by_id.get_mut(id) {
            order.status = Status::Paid;
        }
    }
}

/// What a preloaded order holds, the same in every kind of store.
pub(super) fn preloaded(tenant: &str, number: u32) -> Order {
    Order {
        id: format!("{tenant}-{number}"),
        tenant: tenant.to_owned(),
        item: format!("item-{}", number % 100),
        amount_cents: 100 + u64::from(number % 1_000),
        status: Status::Paid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(tenant: &str, amount_cents: u64, key: &str) -> NewOrder {
        NewOrder { tenant: tenant.into(), item: "shoe".into(), amount_cents, key: key.into() }
    }

    #[test]
    fn a_key_places_one_order_per_tenant() {
        let store = Memory::preloaded(2, 10);
        let Placed::New(order) = store.place(&new("t1", 5, "k")).unwrap() else { panic!("it is new") };
        assert_eq!(order.id, "t1-1000001");
        assert_eq!(store.place(&new("t1", 5, "k")).unwrap(), Placed::Again(order.clone()));
        assert_eq!(store.place(&new("t1", 6, "k")).unwrap(), Placed::KeyReused);
        assert!(
            matches!(store.place(&new("t2", 5, "k")).unwrap(), Placed::New(other) if other.id == "t2-1000002")
        );
        store.paid(&order.id);
        assert_eq!(store.find(&order.id).unwrap().status, Status::Paid);
    }

    #[test]
    fn new_orders_are_numbered_alike_in_every_store() {
        assert!(super::super::SCHEMA.contains(&format!("START {FIRST_NEW};")));
    }

    #[test]
    fn orders_are_there_from_the_beginning() {
        let store = Memory::preloaded(2, 10);
        assert!(["t1-1", "t1-10", "t2-10"].iter().all(|id| store.find(id).is_some()));
        assert!(["t1-0", "t1-11", "t3-1"].iter().all(|id| store.find(id).is_none()));
    }
}
