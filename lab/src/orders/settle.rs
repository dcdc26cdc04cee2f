//! Makes the payments that are pending, once `payments` can be called again.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::Gauge;

use super::{Orders, Unpaid};
use crate::metrics::{Meter, PENDING};
use crate::store::Order;

/// Minutes of orders at a hundred a second. A full queue refuses orders: what is
/// accepted must be paid.
const MAX_PENDING: usize = 20_000;
/// Between two looks at the queue, and after a payment that failed again.
const PAUSE: Duration = Duration::from_millis(250);

/// Orders that were accepted without a payment.
pub(super) struct Pending {
    queue: Mutex<Queue>,
    length: Gauge,
}

/// Each order once, however often its client comes back for it.
#[derive(Default)]
struct Queue {
    orders: VecDeque<Order>,
    ids: HashSet<String>,
}

impl Pending {
    pub(super) fn new(meter: &Meter) -> Self {
        Self { queue: Mutex::default(), length: meter.gauge(PENDING, &[]) }
    }

    /// Whether there was room for it.
    pub(super) fn push(&self, order: &Order) -> bool {
        self.change(|queue| {
            let room = queue.orders.len() < MAX_PENDING;
            if room && queue.ids.insert(order.id.clone()) {
                queue.orders.push_back(order.clone());
            }
            room
        })
    }

    fn first(&self) -> Option<Order> {
        self.change(|queue| queue.orders.front().cloned())
    }

    fn done(&self) {
        self.change(|queue| {
            if let Some(order) = queue.orders.pop_front() {
                queue.ids.remove(&order.id);
            }
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut Queue) -> T) -> T {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut queue);
        self.length.set(queue.orders.len() as f64);
        result
    }
}

/// One at a time, under the mitigations of the moment: what is pending must not
/// press upon a dependency that has just come back.
pub(super) async fn settle(orders: Arc<Orders>) {
    loop {
        let Some(order) = orders.pending.first() else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        match orders.pay(orders.switches.now(), &order).await {
            Ok(()) => orders.pending.done(),
            // It will be refused every time: keeping it would keep all others from being paid.
            Err(Unpaid::Refused(status)) if status.is_client_error() => {
                tracing::error!(order = order.id, %status, "the payment was refused; it needs a person");
                orders.pending.done();
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
