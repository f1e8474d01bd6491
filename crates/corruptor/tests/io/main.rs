//! Black-box tests of files: documents, corpora, pairs, and the program.
#![cfg(feature = "cli")]

mod bad_input;
mod corpus;
mod documents;
mod extract;
mod fit;
mod generate;
mod golden;
mod helpers;
mod import;
mod inspect;
mod killed;
mod packages;
mod pairs;
mod program;
mod rates;
mod resolved;
mod resume;
mod score;
mod sources;
mod stand_in;
mod store;
