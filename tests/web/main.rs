//! What the agent answers over HTTP: `answers` asks without a socket, `page` looks at the page with a browser.

mod answers;
mod page;
mod peer;
mod world;
