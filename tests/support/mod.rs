//! The fakes, once.
