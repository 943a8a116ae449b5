//! Runs the upstream parsers' own tables and corpora through ours.
