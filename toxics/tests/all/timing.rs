//! The exact moments, kind by kind, in virtual time.

use std::time::Duration;

use sabot_toxics::{End, Plan, Time};
use serde_json::json;

use crate::support::{MS, Rig, at_ms, plan, stream, toxic, updated};

fn one(kind: &str, attributes: serde_json::Value) -> Plan {
    plan([toxic(kind, attributes)])
}

mod latency {
    use super::*;

    #[test]
    fn two_stacked_give_their_sum_under_pipelining() {
        let latency = || toxic("latency", json!({"latency": 300}));
        let mut rig = Rig::new(&plan([latency(), latency()]));
        for _ in 0..200 {
            rig.push(10);
            rig.run_for(5 * MS);
        }
        rig.run_until(at_ms(2000.0));
        let moments: Vec<_> = rig.departures().iter().map(|(at, _)| *at).collect();
        let ideal: Vec<_> = (0..200).map(|n| at_ms(600.0 + 5.0 * f64::from(n))).collect();
        assert_eq!(moments, ideal);
    }

    #[test]
    fn a_fin_takes_as_long_as_a_byte() {
        let mut rig = Rig::new(&one("latency", json!({"latency": "1.5ms"})));
        rig.push(1);
        rig.fin();
        rig.run_out();
        assert_eq!(rig.ends(), [(at_ms(1.5), End::Fin)]);
    }

    #[test]
    fn jitter_keeps_order_and_bounds() {
        let mut rig = Rig::new(&one("latency", json!({"latency": 10, "jitter": 8})));
        for _ in 0..2000 {
            rig.push(10);
            rig.run_for(MS);
        }
        rig.run_out();
        assert_eq!(rig.bytes(), stream(0..20_000));
        let arrived = |n: usize| at_ms(n as f64);
        for (n, (left, _)) in rig.departures().into_iter().enumerate() {
            // None before its own 2 ms; none after the latest of those ahead, 18 ms.
            assert!(left >= arrived(n) + 2 * MS && left <= arrived(n) + 18 * MS);
        }
    }

    #[test]
    fn a_mistake_of_a_minute_can_be_taken_back() {
        let before = one("latency", json!({"latency": 60_000}));
        let mut rig = Rig::new(&before);
        rig.push(10);
        rig.run_until(at_ms(100.0));
        rig.update(&updated(&before, 0, json!({"latency": 150})));
        rig.run_out();
        assert_eq!(rig.departures(), [(at_ms(150.0), 10)]);
    }
}

mod bandwidth {
    use super::*;

    /// Keeps the pipeline fed as a relay would, for `span`; the bytes that left.
    fn saturate(rig: &mut Rig, span: Duration) {
        let end = rig.now + span;
        loop {
            let appetite = rig.pipe.appetite().min(65_536);
            if appetite > 0 {
                rig.push(appetite);
                continue;
            }
            match rig.pipe.next_wake().filter(|wake| *wake <= end) {
                Some(wake) => rig.run_until(wake),
                None => break,
            }
        }
        rig.run_until(end);
    }

    #[test]
    fn the_rate_is_exact_and_the_lumps_small() {
        for rate in [10.0, 33.3, 100.0, 1000.0, 20_000.0] {
            let mut rig = Rig::new(&one("bandwidth", json!({"rate": rate})));
            let span = Duration::from_secs(2);
            saturate(&mut rig, span);
            let share = rig.left as f64 / (rate * 1e3 * span.as_secs_f64());
            assert!((0.997..=1.000_1).contains(&share), "{rate} KB/s: {share}");
            let gaps = rig.departures();
            let longest = gaps.windows(2).map(|pair| pair[1].0.saturating_since(pair[0].0)).max().unwrap();
            assert!(longest <= 10 * MS, "{rate} KB/s: {longest:?}");
        }
    }

    #[test]
    fn a_byte_leaves_when_it_would_be_through() {
        let mut rig = Rig::new(&one("bandwidth", json!({"rate": 100})));
        rig.push(250);
        rig.run_out();
        assert_eq!(rig.departures(), [(at_ms(2.5), 250)]);
        // A link that was idle has saved up nothing.
        rig.run_until(at_ms(1000.0));
        rig.push(1000);
        rig.run_out();
        assert_eq!(rig.departures()[1..], [(at_ms(1005.0), 500), (at_ms(1010.0), 500)]);
    }

    #[test]
    fn a_burst_passes_at_once_and_is_saved_up_again() {
        let mut rig = Rig::new(&one("bandwidth", json!({"rate": 100, "burst": 1000})));
        rig.push(1500);
        assert_eq!(rig.left, 1000);
        rig.run_until(at_ms(5.0));
        assert_eq!(rig.left, 1500);
        // 10 ms later half of the burst is there again.
        rig.run_until(at_ms(10.0));
        rig.push(1500);
        assert_eq!(rig.left, 2000);
    }

    #[test]
    fn rate_0_stalls_and_loses_nothing() {
        let stalled = one("bandwidth", json!({}));
        let mut rig = Rig::new(&stalled);
        rig.push(5000);
        rig.fin();
        assert_eq!(rig.pipe.appetite(), 0);
        assert_eq!(rig.pipe.next_wake(), None);
        rig.run_until(at_ms(1e6));
        assert_eq!(rig.left, 0);
        rig.update(&updated(&stalled, 0, json!({"rate": 1000})));
        rig.run_out();
        assert_eq!(rig.bytes(), stream(0..5000));
        assert_eq!(rig.ends(), [(at_ms(1e6 + 5.0), End::Fin)]);
    }

    #[test]
    fn a_raised_rate_holds_from_now() {
        let slow = one("bandwidth", json!({"rate": "1B/s"}));
        let mut rig = Rig::new(&slow);
        rig.push(4000);
        rig.run_until(at_ms(2500.0));
        assert_eq!(rig.left, 2);
        rig.update(&updated(&slow, 0, json!({"rate": 1000})));
        rig.run_until(at_ms(2504.0));
        assert_eq!(rig.left, 4000);
    }

    #[test]
    fn a_shared_link_is_one_for_all() {
        let plan = one("bandwidth", json!({"rate": 100, "shared": true}));
        let mut rigs: Vec<Rig> = (1..=4).map(|n| Rig::of(&plan, &crate::support::key(n))).collect();
        for step in 1..=2000 {
            for rig in &mut rigs {
                let appetite = rig.pipe.appetite();
                if appetite > 0 {
                    rig.push(appetite);
                }
                rig.run_until(at_ms(f64::from(step)));
            }
        }
        let each: Vec<u64> = rigs.iter().map(|rig| rig.left).collect();
        let share = each.iter().sum::<u64>() as f64 / 200_000.0;
        assert!((0.99..=1.000_1).contains(&share), "{share} of the rate: {each:?}");
        assert!(each.iter().all(|left| (45_000..=55_000).contains(left)), "unfair: {each:?}");
        // One that dies leaves a hole of a piece at most.
        rigs.pop();
        let before: u64 = rigs.iter().map(|rig| rig.left).sum();
        for step in 2001..=3000 {
            for rig in &mut rigs {
                let appetite = rig.pipe.appetite();
                if appetite > 0 {
                    rig.push(appetite);
                }
                rig.run_until(at_ms(f64::from(step)));
            }
        }
        let left = rigs.iter().map(|rig| rig.left).sum::<u64>() - before;
        assert!((98_000..=100_500).contains(&left), "{left}");
    }
}

mod timeout {
    use super::*;

    #[test]
    fn a_busy_connection_closes_on_time() {
        let mut rig = Rig::new(&one("timeout", json!({"timeout": 100})));
        for _ in 0..150 {
            rig.push(10);
            rig.run_for(MS);
        }
        assert_eq!(rig.ends(), [(at_ms(100.0), End::Close)]);
        assert_eq!(rig.left, 0);
    }

    #[test]
    fn zero_never_closes_while_there_is_a_sender() {
        let plan = one("timeout", json!({}));
        let mut rig = Rig::new(&plan);
        rig.push(10);
        rig.run_until(at_ms(1e9));
        assert!(rig.out.is_empty());
        rig.fin();
        rig.run_for(299_999 * MS);
        assert!(rig.out.is_empty(), "the FIN must not show");
        rig.run_for(2 * MS);
        assert_eq!(rig.ends(), [(at_ms(1e9 + 300_000.0), End::Close)]);
    }

    #[test]
    fn removal_closes_what_it_held() {
        let mut rig = Rig::new(&one("timeout", json!({"timeout": 5000})));
        rig.push(10);
        rig.run_until(at_ms(30.0));
        rig.update(&Plan::empty());
        assert_eq!(rig.ends(), [(at_ms(30.0), End::Close)]);
    }

    #[test]
    fn it_counts_from_when_it_took_hold_whatever_is_updated() {
        let mut rig = Rig::new(&Plan::empty());
        rig.run_until(at_ms(40.0));
        let plan = one("timeout", json!({"timeout": 1000}));
        rig.update(&plan);
        rig.run_until(at_ms(100.0));
        rig.update(&updated(&plan, 0, json!({"timeout": 0})));
        rig.run_until(at_ms(1200.0));
        assert!(rig.out.is_empty());
        rig.update(&updated(&plan, 0, json!({"timeout": 2000})));
        rig.run_out();
        assert_eq!(rig.ends(), [(at_ms(2040.0), End::Close)]);
    }
}

mod ends {
    use super::*;

    #[test]
    fn reset_peer_resets_a_silent_connection_on_time() {
        let mut rig = Rig::new(&one("reset_peer", json!({"timeout": 50})));
        rig.run_out();
        assert_eq!(rig.ends(), [(at_ms(50.0), End::Reset)]);
        assert_eq!(Rig::new(&one("reset_peer", json!({}))).ends(), [(Time::ZERO, End::Reset)]);
    }

    #[test]
    fn reset_peer_lets_data_pass_until_then_and_follows_updates() {
        let plan = one("reset_peer", json!({"timeout": 500}));
        let mut rig = Rig::new(&plan);
        rig.push(10);
        assert_eq!(rig.left, 10);
        rig.run_until(at_ms(20.0));
        rig.update(&updated(&plan, 0, json!({"timeout": 10})));
        assert_eq!(rig.ends(), [(at_ms(20.0), End::Reset)]);
    }

    #[test]
    fn slow_close_delays_only_the_end() {
        let plan = one("slow_close", json!({"delay": 80}));
        let mut rig = Rig::new(&plan);
        rig.push(10);
        assert_eq!(rig.left, 10);
        rig.fin();
        rig.run_out();
        assert_eq!(rig.ends(), [(at_ms(80.0), End::Fin)]);

        let mut rig = Rig::new(&plan);
        rig.fin();
        rig.end(End::Reset);
        assert_eq!(rig.ends(), [(Time::ZERO, End::Reset)], "a reset waits for nobody");
    }

    #[test]
    fn limit_data_passes_exactly_so_much() {
        let plan = one("limit_data", json!({"bytes": 25}));
        let mut rig = Rig::new(&plan);
        rig.push(10);
        rig.push(10);
        rig.push(10);
        assert_eq!(rig.bytes(), stream(0..25));
        assert_eq!(rig.ends(), [(Time::ZERO, End::Close)]);
    }

    #[test]
    fn limit_data_counts_on_over_updates() {
        let plan = one("limit_data", json!({"bytes": 25}));
        let mut rig = Rig::new(&plan);
        rig.push(20);
        rig.update(&updated(&plan, 0, json!({"bytes": 30})));
        rig.push(9);
        assert!(rig.ends().is_empty());
        rig.update(&updated(&plan, 0, json!({"bytes": 29})));
        assert_eq!(rig.ends(), [(Time::ZERO, End::Close)]);
        assert_eq!(rig.left, 29);
    }

    #[test]
    fn limit_data_of_0_closes_at_the_first_byte() {
        let mut rig = Rig::new(&one("limit_data", json!({})));
        assert!(rig.ends().is_empty());
        rig.push(1);
        assert_eq!((rig.left, rig.ends()), (0, vec![(Time::ZERO, End::Close)]));
    }

    #[test]
    fn half_open_shows_no_sign_of_life_until_the_cable_is_back() {
        let plan = one("half_open", json!({"give_up": "1h"}));
        let mut rig = Rig::new(&plan);
        rig.push(64 * 1024);
        assert_eq!(rig.pipe.appetite(), 0);
        rig.fin();
        rig.run_until(at_ms(3.5e6));
        assert!(rig.out.is_empty());
        rig.update(&Plan::empty());
        assert_eq!(rig.bytes(), stream(0..64 * 1024));
        assert_eq!(rig.ends(), [(at_ms(3.5e6), End::Fin)]);
    }

    #[test]
    fn half_open_gives_up_as_tcp_does() {
        let mut rig = Rig::new(&one("half_open", json!({})));
        rig.run_until(at_ms(1e7));
        rig.push(10);
        rig.run_out();
        assert_eq!(rig.ends(), [(at_ms(1e7 + 924_600.0), End::Reset)]);
        let mut forever = Rig::new(&one("half_open", json!({"give_up": 0})));
        forever.push(10);
        assert_eq!(forever.pipe.next_wake(), None);
    }
}

mod slicer {
    use super::*;

    #[test]
    fn sixty_four_slices_of_100_us_take_6_4_ms() {
        let mut rig = Rig::new(&one("slicer", json!({"average_size": 16, "delay": 100})));
        rig.push(1024);
        // The pause after the last slice holds up what comes next.
        rig.push(1);
        rig.run_out();
        let departures = rig.departures();
        assert_eq!(departures.len(), 65);
        for (n, (at, len)) in departures[..64].iter().enumerate() {
            assert_eq!((*at, *len), (at_ms(0.1 * n as f64), 16));
        }
        assert_eq!(departures[64].0, at_ms(6.4));
        assert!(rig.pipe.separate_writes());
    }

    #[test]
    fn slices_vary_as_asked_and_end_at_the_same_places() {
        let settings = json!({"average_size": 100, "size_variation": 40});
        let ends = |cut: &[usize]| {
            let mut rig = Rig::new(&one("slicer", settings.clone()));
            rig.push_cut(50_000, cut);
            let ends = rig.departures().into_iter().scan(0, |sum, (_, len)| {
                *sum += len;
                Some(*sum)
            });
            ends.collect::<Vec<_>>()
        };
        let whole = ends(&[50_000]);
        let lengths: Vec<_> = whole.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let lengths = &lengths[..lengths.len() - 1];
        assert!(lengths.iter().all(|len| (60..=140).contains(len)));
        let mean = lengths.iter().sum::<usize>() as f64 / lengths.len() as f64;
        assert!((95.0..105.0).contains(&mean), "{mean}");
        let cut = ends(&[33]);
        assert!(whole.iter().all(|end| cut.contains(end)), "a slice ends elsewhere");
    }

    #[test]
    fn without_attributes_it_is_harmless() {
        let mut rig = Rig::new(&one("slicer", json!({})));
        rig.push(1000);
        assert_eq!(rig.departures(), [(Time::ZERO, 1000)]);
    }
}

mod slow_read {
    use super::*;

    #[test]
    fn nothing_is_read_ahead() {
        let mut rig = Rig::new(&one("slow_read", json!({"bytes": 100, "interval": 50})));
        assert_eq!(rig.pipe.appetite(), 100);
        rig.push(100);
        assert_eq!(rig.left, 100);
        rig.push(100);
        assert_eq!((rig.left, rig.pipe.appetite()), (100, 0));
        rig.run_until(at_ms(50.0));
        assert_eq!((rig.left, rig.pipe.appetite()), (200, 100));
    }
}

mod stall {
    use super::*;

    #[test]
    fn it_freezes_once_at_the_offset() {
        let mut rig = Rig::new(&one("stall", json!({"duration": 200, "at": 150})));
        rig.push(100);
        rig.push(100);
        assert_eq!(rig.left, 150);
        rig.run_until(at_ms(100.0));
        rig.push(100);
        rig.run_until(at_ms(199.9));
        assert_eq!(rig.left, 150);
        rig.run_until(at_ms(200.0));
        assert_eq!(rig.left, 300);
        rig.push(1000);
        assert_eq!(rig.left, 1300);
    }

    #[test]
    fn losses_in_a_row_double_the_timeout_up_to_a_bound() {
        let always = json!({"p_enter": 1, "p_leave": 0, "rto": 100, "rto_max": 300});
        let mut rig = Rig::new(&one("stall", always));
        rig.push(1448 * 4);
        rig.run_out();
        let moments: Vec<_> = rig.departures().iter().map(|(at, _)| *at).collect();
        assert_eq!(moments, [100.0, 300.0, 600.0, 900.0].map(at_ms));
    }

    #[test]
    fn bursts_are_as_long_and_as_many_as_asked() {
        let settings = json!({"p_enter": 0.02, "p_leave": 0.25, "rto": 1, "rto_max": 1});
        let run = |cut: &[usize]| {
            let mut rig = Rig::new(&one("stall", settings.clone()));
            rig.push_cut(1448 * 20_000, cut);
            rig.run_out();
            (rig.now, rig.bytes().len())
        };
        let (whole, left) = run(&[1 << 16]);
        assert_eq!(left, 1448 * 20_000);
        // The stationary share of the bad state is p / (p + r) = 7.4 %.
        let lost = whole.as_nanos() as f64 / 1e6 / 20_000.0;
        assert!((0.062..0.086).contains(&lost), "{lost}");
        assert_eq!(whole, run(&[1000]).0, "losses moved with the reads");
    }
}
