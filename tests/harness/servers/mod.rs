//! Real servers from Debian packages, each a private instance on a free port of 127.0.0.1 that ends with its value.

pub mod postgres;
//! Private instances of real servers, on free ports of 127.0.0.1, which end with the test that started them.

pub mod redis;
//! Real servers from Debian packages, started privately for the tests.

pub mod meilisearch;
pub mod rabbitmq;
//! Private instances of real servers, on free ports of 127.0.0.1, which end with the test that started them.

pub mod web;
