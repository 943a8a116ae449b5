//! `gpio`: lines that are watched: their level, and how often it changed.
//!
//! ```text
//! gpio: [{chip: gpiochip0, line: 17, name: door, edges: both, bias: pull_up, active_low: true, debounce: 10ms}]
//! ```
//! A line is named once and belongs to one entry. Whether chip and line exist shows at run time: hardware may come
//! later.

use exporters::gpio::{Bias, Edges};
use model::duration::DisplayMs;
use model::limits::LABEL_BYTES_MAX;
use yaml::{Errors, Map, Node};

use super::limits::GPIO_LINES_MAX;
use super::raw::{At, at, items, or, within};

/// The longest time the kernel waits for a line to settle, in milliseconds.
const DEBOUNCE_MS_MAX: u64 = 60_000;

/// A line that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpioLine {
    /// The chip's device, such as `gpiochip0`, without `/dev/`.
    pub chip: String,
    /// The line's number on the chip.
    pub line: u32,
    /// The `name` label.
    pub name: String,
    /// Which changes are counted.
    pub edges: Edges,
    /// What holds the line when nothing drives it.
    pub bias: Bias,
    /// Whether a low voltage is the active level.
    pub active_low: bool,
    /// How long a level must stay to count, in milliseconds; 0 counts everything.
    pub debounce_ms: u64,
}

#[derive(Debug)]
pub(super) struct RawGpioLine {
    node: Node,
    chip: Option<At<String>>,
    line: Option<At<u64>>,
    name: Option<At<String>>,
    edges: Option<&'static str>,
    bias: Option<&'static str>,
    active_low: Option<bool>,
    debounce: Option<At<u64>>,
}

impl RawGpioLine {
    pub fn read_all(root: &mut Map, errors: &mut Errors) -> Vec<RawGpioLine> {
        items(root, "gpio", GPIO_LINES_MAX, errors).into_iter().map(|node| RawGpioLine::read(node, errors)).collect()
    }

    fn read(node: Node, errors: &mut Errors) -> RawGpioLine {
        let mut map = node.map(errors);
        map.need("chip", errors);
        map.need("line", errors);
        map.need("name", errors);
        let raw = RawGpioLine {
            chip: at(&mut map, "chip", errors, Node::str),
            line: at(&mut map, "line", errors, Node::u64),
            name: at(&mut map, "name", errors, Node::str),
            edges: map.word("edges", &["both", "rising", "falling", "none"], errors),
            bias: map.word("bias", &["as_is", "disabled", "pull_up", "pull_down"], errors),
            active_low: map.bool("active_low", errors),
            debounce: at(&mut map, "debounce", errors, Node::duration_ms),
            node,
        };
        map.finish(errors);
        raw
    }
}

/// Believes the lines; one whose required keys are missing or wrong is left out, which has been said.
pub(super) fn believe(raw: Vec<RawGpioLine>, errors: &mut Errors) -> Vec<GpioLine> {
    let mut lines: Vec<GpioLine> = Vec::new();
    for raw in raw {
        let node = raw.node.clone();
        let Some(line) = believe_one(raw, errors) else { continue };
        if lines.iter().any(|other| other.name == line.name) {
            node.complain(["the name ", &line.name, " is given twice"].concat(), "", errors);
        }
        if lines.iter().any(|other| (&other.chip, other.line) == (&line.chip, line.line)) {
            node.complain(
                ["line ", &line.line.to_string(), " of ", &line.chip, " is given twice"].concat(),
                "",
                errors,
            );
        }
        lines.push(line);
    }
    lines
}

fn believe_one(raw: RawGpioLine, errors: &mut Errors) -> Option<GpioLine> {
    let (chip, name) = (raw.chip?, raw.name?);
    let device = chip.value.strip_prefix("/dev/").unwrap_or(&chip.value);
    if device.is_empty() || device.contains('/') {
        chip.complain(["\"", &chip.value, "\" is no chip"].concat(), "a device such as gpiochip0", errors);
    }
    if name.value.is_empty() || name.value.len() > LABEL_BYTES_MAX {
        name.complain("this name is no label value", "a short text", errors);
    }
    Some(GpioLine {
        chip: device.to_owned(),
        line: within(Some(raw.line?), 0..=u64::from(u32::MAX), 0, |n| n, errors) as u32,
        edges: match raw.edges {
            Some("none") => Edges::None,
            Some("rising") => Edges::Rising,
            Some("falling") => Edges::Falling,
            _ => Edges::Both,
        },
        bias: match raw.bias {
            Some("disabled") => Bias::Disabled,
            Some("pull_up") => Bias::PullUp,
            Some("pull_down") => Bias::PullDown,
            _ => Bias::AsIs,
        },
        active_low: raw.active_low.unwrap_or(false),
        debounce_ms: within(raw.debounce, 0..=DEBOUNCE_MS_MAX, 0, DisplayMs, errors),
        name: or(Some(name), String::new()),
    })
}
