//! A binary heap of deadlines in which each entry knows its place, so that taking
//! one back costs O(log n) and leaves nothing behind: ten thousand dials a second
//! with a timeout of 10 s each must not pile up a hundred thousand dead entries.

use std::task::Waker;

use sabot_toxics::Time;

/// An entry's name, valid until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u32);

/// Deadlines and whom to wake.
#[derive(Debug, Default)]
pub(crate) struct Heap {
    /// Ordered so that no entry is due before its parent at `(i - 1) / 2`.
    order: Vec<Entry>,
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    due: Time,
    slot: u32,
}

#[derive(Debug)]
struct Slot {
    /// Index into `order`, or [`Slot::FIRED`].
    place: u32,
    waker: Option<Waker>,
}

impl Slot {
    const FIRED: u32 = u32::MAX;
}

impl Heap {
    /// Adds a deadline. The key stays taken, even once due, until it is removed.
    pub(crate) fn insert(&mut self, due: Time, waker: Waker) -> Key {
        let place = index(self.order.len());
        let new = Slot { place, waker: Some(waker) };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = new;
                slot
            }
            None => {
                self.slots.push(new);
                index(self.slots.len() - 1)
            }
        };
        self.order.push(Entry { due, slot });
        self.rise(place as usize);
        Key(slot)
    }

    /// Takes a deadline back, whether it was due or not.
    pub(crate) fn remove(&mut self, key: Key) {
        let slot = &mut self.slots[key.0 as usize];
        slot.waker = None;
        let place = std::mem::replace(&mut slot.place, Slot::FIRED);
        self.free.push(key.0);
        if place != Slot::FIRED {
            self.take_out(place as usize);
        }
    }

    /// The first deadline.
    pub(crate) fn first(&self) -> Option<Time> {
        self.order.first().map(|entry| entry.due)
    }

    /// Whom to wake for the first deadline that has come.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<Waker> {
        let first = *self.order.first().filter(|entry| entry.due <= now)?;
        let slot = &mut self.slots[first.slot as usize];
        slot.place = Slot::FIRED;
        let waker = slot.waker.take();
        self.take_out(0);
        waker
    }

    fn take_out(&mut self, place: usize) {
        self.order.swap_remove(place);
        if place < self.order.len() {
            self.slots[self.order[place].slot as usize].place = index(place);
            self.sink(place);
            self.rise(place);
        }
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.order[parent].due <= self.order[place].due {
                break;
            }
            self.swap(parent, place);
            place = parent;
        }
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let left = 2 * place + 1;
            let Some(mut child) = self.order.get(left).map(|_| left) else { break };
            if let Some(right) = self.order.get(left + 1)
                && right.due < self.order[left].due
            {
                child = left + 1;
            }
            if self.order[place].due <= self.order[child].due {
                break;
            }
            self.swap(place, child);
            place = child;
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.order.swap(a, b);
        for place in [a, b] {
            self.slots[self.order[place].slot as usize].place = index(place);
        }
    }
}

/// Places fit: each timer belongs to a connection, and those have descriptors.
fn index(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(Slot::FIRED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Time {
        Time::from_nanos(nanos)
    }

    /// Deadlines from a small generator, every third taken back; the rest come out in order.
    #[test]
    fn due_in_order_whatever_was_taken_back() {
        let mut heap = Heap::default();
        let mut state = 1_u64;
        let mut keys = Vec::new();
        let mut kept = Vec::new();
        for i in 0..1000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let due = state >> 44;
            keys.push((due, heap.insert(at(due), Waker::noop().clone())));
            if i % 3 == 2 {
                let (_, key) = keys.swap_remove(usize::try_from(state >> 33).unwrap() % keys.len());
                heap.remove(key);
            }
        }
        kept.extend(keys.iter().map(|(due, _)| *due));
        kept.sort_unstable();
        for due in kept {
            assert_eq!(heap.first(), Some(at(due)));
            assert!(heap.pop_due(at(due - 1)).is_none());
            assert!(heap.pop_due(at(due)).is_some());
        }
        assert_eq!(heap.first(), None);
    }

    #[test]
    fn a_key_is_free_again_once_removed() {
        let mut heap = Heap::default();
        let a = heap.insert(at(5), Waker::noop().clone());
        assert!(heap.pop_due(at(5)).is_some());
        let b = heap.insert(at(6), Waker::noop().clone());
        assert_ne!(a, b);
        heap.remove(a);
        heap.remove(b);
        assert_eq!(heap.slots.len(), 2);
        heap.insert(at(7), Waker::noop().clone());
        heap.insert(at(8), Waker::noop().clone());
        assert_eq!(heap.slots.len(), 2);
    }
}
