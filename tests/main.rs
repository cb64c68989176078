//! The black-box tests: one program, a module a behaviour, all of them driving the real binary.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and says where"
)]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "what holds for stead's own processes and clocks does not hold for its tests"
)]

mod answers;
mod app;
mod architecture;
mod check_command;
mod check_urls;
mod checks;
mod child_logs;
mod compat;
mod compose;
mod configuration;
mod containers;
mod deployments;
mod dialects;
mod disclosure;
mod discovery;
mod dist;
mod drain;
mod drain_command;
mod early_signals;
mod ecs;
mod endpoints;
mod env_file;
mod exec_checks;
mod exit_codes;
mod faults;
mod hardening;
mod harness;
mod held;
mod hooks;
mod http_checks;
mod hung_files;
mod idle_connections;
mod install;
mod isolation;
mod kubernetes;
mod log_events;
mod meilisearch;
mod metrics;
mod mistakes;
mod named_checks;
mod names;
mod network;
mod network_cut;
mod notify;
mod overload;
mod postgres;
mod protocol;
mod rabbitmq;
mod random_stops;
mod readiness;
mod reaping;
mod redis;
mod rolling;
mod secrets;
mod service;
mod sidecar;
mod signals;
mod singleton;
mod spawn;
mod terminal;
mod tls_checks;
mod wait;
