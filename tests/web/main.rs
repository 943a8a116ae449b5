//! What the agent answers over HTTP: all but `page` ask without a socket, `page` looks at the page with a browser.
//!
//! `peer` asks a real Prometheus the same, `beside` what stands beside the answers, `schema` reads its description of the API, `federate` its own cases,
//! `fuzz` asks nonsense, and `deep` as deep as is accepted. `world` is what they ask about.

mod answers;
mod beside;
mod deep;
mod federate;
mod fuzz;
mod page;
mod peer;
mod schema;
mod world;
