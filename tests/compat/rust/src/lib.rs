//! Nothing of its own: the tests beside it exercise the crate `toxiproxy_rust`.
