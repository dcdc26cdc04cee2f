//! The generators: each measures one thing through one address, and knows
//! nothing of what lies in between.

pub mod bulk;
pub mod clients;
pub mod connections;
pub mod echo;
pub mod grpc;
pub mod h2load;
pub mod idle;
pub mod paced;
pub mod ping;
pub mod redis;
pub mod web;
pub mod wrk;
