//! The crawl as a user starts it: what faults lead to, limits, budgets, lists, kills. The site is on loopback.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod bench;
mod limits;
mod lists;
mod place;
mod refusals;
mod secrets;
mod together;
