//! Estimating a channel from pairs, by expectation–maximization (Dempster, Laird and Rubin 1977).
//!
//! The expectation step is [`Likelihood::expect`](crate::Likelihood::expect), the same dynamic program that scores; the
//! maximization step has closed forms, but for one root. `docs/fitting.md` has the mathematics.

mod maximize;
mod recipe;
mod run;
mod summary;
mod symbols;
#[cfg(test)]
mod tests;

pub use run::{Fit, FitOptions, fit_pairs};
