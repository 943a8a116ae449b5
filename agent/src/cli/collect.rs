//! `narthex collect`: one exposition on standard output, with node_exporter's flags.
//!
//! What is missing on this machine is silent, what is broken is said on standard error; neither changes the exit
//! status, as a scrape would not fail either.

use exporters::{COLLECTORS, Settings};

use super::args::{Arguments, Next};
use super::{Failure, chain, help};
use crate::os::clock::monotonic_ns;

/// Runs the command.
///
/// # Errors
/// Wrong usage for an unknown flag or a bad value.
pub fn main(mut arguments: Arguments) -> Result<(), Failure> {
    let mut settings = Settings::default();
    while let Some(next) = arguments.next()? {
        match next {
            Next::Flag(flag) if flag == "help" || flag == "h" => return print_help(),
            Next::Flag(flag) => set(&mut settings, &flag, &mut arguments)?,
            Next::Operand(word) => return Err(Failure::Usage(format!("collect takes flags only, not '{word}'"))),
        }
    }
    let mut lane = exporters::lane(&settings).map_err(|errors| Failure::Usage(errors.to_string()))?;
    let mut text = String::new();
    exposition::write_text(lane.collect(&mut monotonic_ns), &mut text);
    for failure in lane.failures().iter().filter(|failure| !failure.error.is_absent()) {
        eprintln!("narthex: collector {}: {}", failure.collector, chain(&failure.error));
    }
    help::print(&text)
}

fn set(settings: &mut Settings, flag: &str, arguments: &mut Arguments) -> Result<(), Failure> {
    let value = match exporters::flag_use(flag) {
        Some(found) if found.takes_value => Some(arguments.value()?),
        _ => arguments.optional_value()?,
    };
    settings.set(flag, value.as_deref()).map(drop).map_err(|error| Failure::Usage(error.to_string()))
}

fn print_help() -> Result<(), Failure> {
    let mut text = String::from(help::COLLECT);
    for collector in COLLECTORS {
        let state = if collector.default_on { "on" } else { "off" };
        text.push_str(&format!("  {:<14} {state:<4} {}\n", collector.name, collector.doc));
        for flag in collector.flags {
            text.push_str(&format!("      --{} (default {:?})\n", flag.name, flag.default));
        }
    }
    help::print(&text)
}
