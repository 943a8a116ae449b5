//! GPIO lines: the level of each, and how often it changed, through the kernel's character device (v2, since 5.10).
//!
//! ```text
//! node_gpio_line_value{chip="gpiochip0",line="17",name="door"} 1
//! node_gpio_line_edges_total{chip="gpiochip0",edge="rising",line="17",name="door"} 4
//! ```
//!
//! The one lane that blocks: a thread of its own calls [`GpioLane::wait`], which sleeps in `poll(2)` until an edge or
//! the timeout, and [`GpioLane::collect`] when it is time to tell. Edges are counted by the kernel's sequence numbers,
//! so those that fell out of its buffer (1,024 a line) are counted too, as dropped. Levels say *active*, so
//! `active_low` is applied. How events are read and counted is in `edges`; nothing there needs hardware.
//!
//! It does not write to any line, and holds each line it watches, so that no other program can take it.

mod edges;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gpiocdev_uapi::v2;
use model::{Batch, MetricKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::{CollectError, Troubles};
use crate::host::{Host, Names};
use crate::number::{Decimal, unsigned};

pub use edges::{Edge, EdgeCounts};

/// The most lines one lane watches.
pub const LINES_MAX: usize = 64;

/// How many events the kernel is asked to keep for a line; it keeps no more than this.
const EVENTS_KEPT: u32 = 1_024;

/// Which edges of a line are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Edges {
    /// None: only the level is told.
    None,
    /// From inactive to active.
    Rising,
    /// From active to inactive.
    Falling,
    /// Both.
    #[default]
    Both,
}

/// What pulls a line that nothing drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bias {
    /// As the board left it.
    #[default]
    AsIs,
    /// Nothing.
    Disabled,
    /// Up.
    PullUp,
    /// Down.
    PullDown,
}

/// How a line is found on its chip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineId {
    /// By its number.
    Offset(u32),
    /// By the name that the device tree gave it, such as `GPIO17`.
    Name(String),
}

/// One line to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpioLine {
    /// The chip's file, such as `gpiochip0` or `/dev/gpiochip0`; `None`: the first chip that has a line of that name.
    pub chip: Option<String>,
    /// Which line.
    pub line: LineId,
    /// What it is called in the label `name`.
    pub name: String,
    /// Which edges are counted.
    pub edges: Edges,
    /// What pulls it.
    pub bias: Bias,
    /// Whether a low voltage means active.
    pub active_low: bool,
    /// For how long a new level must last to count, in milliseconds; 0: not at all.
    pub debounce_ms: u32,
}

/// The lines being watched.
pub struct GpioLane {
    lines: Vec<Watched>,
    buf: Vec<u8>,
}

struct Watched {
    /// The chip's file name.
    chip: String,
    path: PathBuf,
    offset: Decimal,
    name: String,
    edges: Edges,
    request: File,
    counts: EdgeCounts,
}

impl GpioLane {
    /// Takes hold of every line.
    ///
    /// # Errors
    /// `Absent` where a chip or a line is not there, `Io` where the kernel refuses (a line in use says busy),
    /// `Malformed` when there are more than [`LINES_MAX`].
    pub fn open(host: &Host, lines: &[GpioLine]) -> Result<GpioLane, CollectError> {
        if lines.len() > LINES_MAX {
            return Err(CollectError::malformed(&host.dev, 0, "at most 64 lines"));
        }
        let lines = lines.iter().map(|line| watch(host, line)).collect::<Result<_, _>>()?;
        Ok(GpioLane { lines, buf: vec![0; edges::EVENT_BYTES * 64] })
    }

    /// Waits for an edge at most that long, counts every edge there is, and returns how many (dropped ones too).
    ///
    /// # Errors
    /// `Io`, for example when a chip was taken away: open the lane anew then.
    pub fn wait(&mut self, timeout: Duration) -> Result<u64, CollectError> {
        let mut ready = [false; LINES_MAX];
        {
            let fd = |line: usize| PollFd::new(&self.lines[line].request, PollFlags::IN);
            let mut fds: [Option<PollFd<'_>>; LINES_MAX] =
                std::array::from_fn(|i| (i < self.lines.len()).then(|| fd(i)));
            let mut fds: Vec<PollFd<'_>> = fds.iter_mut().map_while(Option::take).collect();
            let timeout = Timespec { tv_sec: timeout.as_secs() as _, tv_nsec: timeout.subsec_nanos() as _ };
            match poll(&mut fds, Some(&timeout)) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => return Ok(0),
                Err(error) => return Err(CollectError::Io { path: "poll".into(), source: error.into() }),
            }
            fds.iter().zip(&mut ready).for_each(|(fd, ready)| *ready = !fd.revents().is_empty());
        }
        let mut counted = 0;
        for (line, _) in self.lines.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            counted += line.read(&mut self.buf)?;
        }
        Ok(counted)
    }

    /// Adds the level and the counters of every line.
    ///
    /// # Errors
    /// The first line whose level could not be read; the others are told.
    pub fn collect(&mut self, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        let help = "Level of the line, 1 is active; active-low is applied.";
        out.family("node_gpio_line_value", help, MetricKind::Gauge);
        for line in &self.lines {
            if let Some(is_active) = troubles.note(line.level()) {
                out.add(&line.labels(None), f64::from(u8::from(is_active)));
            }
        }
        out.family("node_gpio_line_edges_total", "Edges seen on the line.", MetricKind::Counter);
        for line in &self.lines {
            for (edge, label) in [(Edge::Rising, "rising"), (Edge::Falling, "falling")] {
                if line.counts_edge(edge) {
                    out.add(&line.labels(Some(label)), line.counts.of(edge) as f64);
                }
            }
        }
        let help = "Edges that the kernel saw and had no room to keep.";
        out.family("node_gpio_line_events_dropped_total", help, MetricKind::Counter);
        for line in self.lines.iter().filter(|line| line.edges != Edges::None) {
            out.add(&line.labels(None), line.counts.dropped() as f64);
        }
        troubles.finish()
    }
}

impl Watched {
    fn labels<'a>(&'a self, edge: Option<&'a str>) -> [(&'a str, &'a str); 4] {
        // An unused place repeats a label, which changes nothing.
        let last = edge.map_or(("name", self.name.as_str()), |edge| ("edge", edge));
        [("chip", &self.chip), ("line", self.offset.as_str()), ("name", &self.name), last]
    }

    fn counts_edge(&self, edge: Edge) -> bool {
        matches!((self.edges, edge), (Edges::Both, _) | (Edges::Rising, Edge::Rising) | (Edges::Falling, Edge::Falling))
    }

    fn level(&self) -> Result<bool, CollectError> {
        let mut values = v2::LineValues { bits: 0, mask: 1 };
        v2::get_line_values(&self.request, &mut values).map_err(|error| failed(&self.path, error))?;
        Ok(values.get(0).unwrap_or(false))
    }

    /// Counts what is there to read; one read takes all that the buffer holds, so this never blocks.
    fn read(&mut self, buf: &mut [u8]) -> Result<u64, CollectError> {
        let before = self.counts.seen();
        match (&self.request).read(buf) {
            Ok(bytes) => edges::events(&buf[..bytes]).for_each(|event| self.counts.count(event)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(source) => return Err(CollectError::Io { path: self.path.clone(), source }),
        }
        Ok(self.counts.seen() - before)
    }
}

fn watch(host: &Host, line: &GpioLine) -> Result<Watched, CollectError> {
    let (chip, path, file, offset) = find(host, line)?;
    let mut flags = v2::LineFlags::INPUT;
    flags |= match line.edges {
        Edges::None => v2::LineFlags::empty(),
        Edges::Rising => v2::LineFlags::EDGE_RISING,
        Edges::Falling => v2::LineFlags::EDGE_FALLING,
        Edges::Both => v2::LineFlags::EDGE_RISING | v2::LineFlags::EDGE_FALLING,
    };
    flags |= match line.bias {
        Bias::AsIs => v2::LineFlags::empty(),
        Bias::Disabled => v2::LineFlags::BIAS_DISABLED,
        Bias::PullUp => v2::LineFlags::BIAS_PULL_UP,
        Bias::PullDown => v2::LineFlags::BIAS_PULL_DOWN,
    };
    flags.set(v2::LineFlags::ACTIVE_LOW, line.active_low);
    let mut config = v2::LineConfig { flags, ..Default::default() };
    if line.debounce_ms > 0 {
        config.num_attrs = 1;
        let attribute = config.attr_mut(0);
        attribute.attr.set_debounce_period_us(line.debounce_ms.saturating_mul(1_000));
        attribute.mask = 1;
    }
    let request = v2::LineRequest {
        offsets: v2::Offsets::from_slice(&[offset]),
        consumer: "narthex".into(),
        config,
        num_lines: 1,
        event_buffer_size: if line.edges == Edges::None { 0 } else { EVENTS_KEPT },
        ..Default::default()
    };
    let request = v2::get_line(&file, request).map_err(|error| failed(&path, error))?;
    let (offset, edges, name) = (Decimal::new(offset.into()), line.edges, line.name.clone());
    Ok(Watched { chip, path, offset, name, edges, request, counts: EdgeCounts::default() })
}

/// Finds the chip and the line's number on it.
fn find(host: &Host, line: &GpioLine) -> Result<(String, PathBuf, File, u32), CollectError> {
    let mut names = Names::default();
    let chips: Vec<String> = match &line.chip {
        Some(chip) => vec![chip.strip_prefix("/dev/").unwrap_or(chip).to_owned()],
        None => {
            names.list(&host.dev, &[])?;
            let is_chip = |name: &&str| name.strip_prefix("gpiochip").is_some_and(|n| unsigned(n).is_some());
            names.iter().filter(is_chip).map(str::to_owned).collect()
        }
    };
    for chip in chips {
        let path = host.dev.join(&chip);
        let file = match File::options().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(source) if source.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(CollectError::Io { path, source }),
        };
        let lines = v2::get_chip_info(&file).map_err(|error| failed(&path, error))?.num_lines;
        let found = match &line.line {
            LineId::Offset(offset) => (*offset < lines).then_some(*offset),
            LineId::Name(name) => offset_of(&file, &path, lines, name)?,
        };
        if let Some(offset) = found {
            return Ok((chip, path, file, offset));
        }
    }
    let chip = line.chip.as_deref().unwrap_or("any gpiochip");
    Err(CollectError::Absent { what: format!("GPIO line {} ({:?} of {chip})", line.name, line.line).into() })
}

fn offset_of(file: &File, path: &Path, lines: u32, name: &str) -> Result<Option<u32>, CollectError> {
    for offset in 0..lines {
        let info = v2::get_line_info(file, offset).map_err(|error| failed(path, error))?;
        if info.name.as_os_str() == name {
            return Ok(Some(offset));
        }
    }
    Ok(None)
}

fn failed(path: &Path, error: v2::Error) -> CollectError {
    let source = match error {
        v2::Error::Os(code) => io::Error::from_raw_os_error(code.0),
        v2::Error::UnderRead(_) => io::ErrorKind::UnexpectedEof.into(),
    };
    CollectError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(chip: Option<&str>) -> GpioLine {
        GpioLine {
            chip: chip.map(str::to_owned),
            line: LineId::Offset(0),
            name: "door".to_owned(),
            edges: Edges::Both,
            bias: Bias::AsIs,
            active_low: false,
            debounce_ms: 0,
        }
    }

    fn open(dev: &str, lines: &[GpioLine]) -> CollectError {
        let host = Host { dev: dev.into(), ..Host::default() };
        GpioLane::open(&host, lines).err().expect("no such hardware")
    }

    #[test]
    fn a_board_without_the_chip_says_absent() {
        let dev = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
        assert!(open(dev, &[line(Some("gpiochip0"))]).is_absent());
        assert!(open(dev, &[line(None)]).is_absent());
    }

    #[test]
    fn what_is_no_chip_is_an_error() {
        assert!(matches!(open("/dev", &[line(Some("null"))]), CollectError::Io { .. }));
        assert!(matches!(open("/dev", &vec![line(None); LINES_MAX + 1]), CollectError::Malformed { .. }));
    }

    #[test]
    fn without_lines_waiting_is_only_waiting() {
        let mut lane = GpioLane::open(&Host::default(), &[]).expect("nothing to open");
        assert_eq!(lane.wait(Duration::ZERO).expect("nothing to fail"), 0);
        let mut out = Batch::new();
        lane.collect(&mut out).expect("nothing to fail");
        assert!(out.rows().is_empty());
    }
}
