//! stead: PID 1 for any container. It starts the existing command, forwards signals, drains, reaps, and answers
//! liveness, readiness and start-up probes with the truth.
//!
//! ```text
//! argv, env, file ─► config ─► app::run ─┬─ signals ────────────────────► supervisor ──watch<Phase>──┐
//!                                        ├─ spawn, reap, kill (sys)           │                      ▼
//!                                        ├─ monitor × N ──one watch<Status> each──► registry ──► http ─► /livez /readyz
//!                                        ├─ logs ─► stderr                    │
//!                                        └─ child's lines ─► stdout, stderr   │
//! exit code ◄──────────────────────────────────────────────── Exit ◄──────────┘
//! ```
//!
//! The map: [`app`] wires and knows everybody; [`cli`] and [`config`] turn argv, environment and file into one value;
//! [`supervisor`] is the main thread's loop around a pure lifecycle; [`check`] asks targets in the background;
//! [`hook`] runs what belongs around the child, on a thread of its own; [`notify`] hears what the child says of itself;
//! [`http`] renders what is known; [`logs`] writes stead's own events, and the child's lines as JSON, of which the crate
//! [`stead_lines`] computes what costs time for each byte (it is a crate only to be built for speed); [`sys`] holds all
//! unsafe code; [`compat`] reads the command lines of tini and dumb-init; [`client`] and [`install`] are commands of their
//! own.
//!
//! Invariants, each proven by a test:
//! - One writer for each channel; readers never write.
//! - HTTP never probes: it renders the last known values.
//! - One place reaps, and the same task kills: no pid is signalled after it was reaped.
//! - Nothing that checks, serves or logs can delay signals, reaping or the drain: those are the main thread's, the
//!   checks and what lasts of the endpoints' connections a second one's, accepting those and their first answers some
//!   threads' more, so that the checks delay no probe that brings its request along; writing the log is another one's, the
//!   child's output that of one thread a stream, counting the app's connections in a drain one more's.
//! - Liveness depends on nothing outside the container; the endpoints outlive the drain.
//! - The child has the signal mask and dispositions, the directory and the descriptors that stead was started with.
//! - After the child was started nothing gives up: only its end ends stead.
//! - No secret is printed, and no value of a mistaken setting.

pub mod app;
pub mod check;
pub mod cli;
pub mod client;
pub mod compat;
pub mod config;
pub mod errand;
pub mod exit;
pub mod hook;
pub mod http;
pub mod install;
pub mod lock;
pub mod logs;
pub mod notify;
pub mod signal;
pub mod supervisor;
pub mod sys;
pub mod value;
