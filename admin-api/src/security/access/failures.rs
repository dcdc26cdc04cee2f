//! How often somebody may fail to show a good token.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

/// So many at once, and so many in each minute.
const A_MINUTE: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// So many addresses are told apart; some 100 bytes each.
const ADDRESSES: usize = 1024;

/// What stands for all addresses that are too many, and for those that are not known.
const OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

type Limiter<C> = RateLimiter<IpAddr, HashMapStateStore<IpAddr>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// Counts failures by address.
pub(super) struct Failures<C: Clock + Clone = DefaultClock> {
    limiter: Limiter<C>,
    clock: C,
}

impl Failures {
    pub(super) fn new() -> Self {
        Self::with(DefaultClock::default())
    }
}

impl<C: Clock + Clone> Failures<C> {
    fn with(clock: C) -> Self {
        let limiter =
            RateLimiter::new(Quota::per_minute(A_MINUTE), HashMapStateStore::default(), clock.clone());
        Self { limiter, clock }
    }

    /// Counts one; if there were too many, how long until the next may be.
    pub(super) fn count(&self, peer: Option<IpAddr>) -> Result<(), Duration> {
        if self.limiter.len() >= ADDRESSES {
            self.limiter.retain_recent();
        }
        let full = self.limiter.len() >= ADDRESSES;
        let place = peer.filter(|_| !full).map_or(OTHERS, network);
        let outcome = self.limiter.check_key(&place);
        outcome.map_err(|until| until.wait_time_from(self.clock.now()))
    }
}

/// The addresses that one who has one of them has: of IPv6 that is a whole network.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn at(last: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + last)))
    }

    #[test]
    fn ten_a_minute_are_let_go_for_each_address() {
        let clock = FakeRelativeClock::default();
        let failures = Failures::with(clock.clone());
        for _ in 0..10 {
            assert_eq!(failures.count(at(1)), Ok(()));
        }
        let wait = failures.count(at(1)).unwrap_err();
        assert!(wait > Duration::from_secs(5) && wait <= Duration::from_secs(6), "{wait:?}");
        assert_eq!(failures.count(at(2)), Ok(()));
        clock.advance(wait);
        assert_eq!(failures.count(at(1)), Ok(()));
        assert!(failures.count(at(1)).is_err());
    }

    #[test]
    fn whoever_has_a_network_has_one_address() {
        let failures = Failures::with(FakeRelativeClock::default());
        let of = |last: &str| Some(format!("2001:db8::{last}").parse().unwrap());
        for last in 0..10 {
            assert_eq!(failures.count(of(&last.to_string())), Ok(()));
        }
        assert!(failures.count(of("ffff")).is_err());
        assert_eq!(failures.count(Some("2001:db8:0:1::1".parse().unwrap())), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_those_too_many_share_one_place() {
        let clock = FakeRelativeClock::default();
        let failures = Failures::with(clock.clone());
        let refused = (0..20_000).filter(|last| failures.count(at(*last)).is_err()).count();
        assert!(failures.limiter.len() <= ADDRESSES + 1);
        assert_eq!(refused, 20_000 - ADDRESSES - 10);
        clock.advance(Duration::from_secs(120));
        assert_eq!(failures.count(at(1)), Ok(()));
        assert_eq!(failures.limiter.len(), 1);
    }
}
