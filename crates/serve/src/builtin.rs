//! The checkpoint that the build put into this binary: `models/default`, by the feature `builtin-model`.

include!(concat!(env!("OUT_DIR"), "/builtin.rs"));
