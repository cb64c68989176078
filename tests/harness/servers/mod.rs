//! Real servers from Debian packages, each a private instance on a free port of 127.0.0.1 that ends with its value.

pub mod postgres;
