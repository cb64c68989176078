//! Private instances of real servers, on free ports of 127.0.0.1, which end with the test that started them.

pub mod meilisearch;
pub mod postgres;
pub mod rabbitmq;
pub mod redis;
pub mod web;
