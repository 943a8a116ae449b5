//! `node_udp_queues`: memory that UDP sockets hold for what waits to be sent or read.
//!
//! ```text
//!   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref ...
//!    0: 00000000:0016 00000000:0000 0A 00000015:00000000 00:00000000 00000000     0        0 2740 1 ...
//! ```
//!
//! The sums over all sockets are told, for IPv4 and IPv6; a kernel without one of them lacks its file. A line that
//! is odd is left out of the sums and reported.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Reader};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "udp_queues",
    default_on: true,
    make: |_| Ok(Box::new(UdpQueues::default())),
    flags: &[],
    doc: "Memory that UDP sockets hold for what waits to be sent or read, from `/proc/net/udp` and `udp6`.",
};

const FILES: [(&str, &str); 2] = [("net/udp", "v4"), ("net/udp6", "v6")];

/// Reads `/proc/net/udp` and `/proc/net/udp6`.
#[derive(Default)]
struct UdpQueues {
    files: [Reader; FILES.len()],
}

impl Collector for UdpQueues {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let help = "Number of allocated memory in the kernel for UDP datagrams in bytes.";
        out.family("node_udp_queues", help, MetricKind::Gauge);
        let mut troubles = Troubles::default();
        let mut is_there = false;
        for (file, (path, ip)) in self.files.iter_mut().zip(FILES) {
            let Some(found) = troubles.note(file.kept_text_if_there(&host.procfs, path)) else { continue };
            let Some(text) = found else { continue };
            is_there = true;
            let (sums, bad_line) = parse(text);
            for (queue, sum) in ["tx", "rx"].into_iter().zip(sums) {
                out.add(&[("ip", ip), ("queue", queue)], sum as f64);
            }
            if let Some(line) = bad_line {
                troubles.note::<()>(Err(file.malformed(line, "a socket with its queues, such as 00000000:00000000")));
            }
        }
        match troubles.finish() {
            Ok(()) if !is_there => Err(CollectError::absent("UDP")),
            result => result,
        }
    }
}

/// Sums what waits to be sent and to be read; returns the first odd line too.
fn parse(text: &str) -> ([u64; 2], Option<usize>) {
    let mut sums = [0u64; 2];
    let mut bad = None;
    for (at, line) in text.lines().enumerate().skip(1) {
        let queues = line.split_ascii_whitespace().nth(4).and_then(|queues| queues.split_once(':'));
        let hexadecimal = |text| u32::from_str_radix(text, 16).ok();
        match queues.and_then(|(sent, read)| Some([hexadecimal(sent)?, hexadecimal(read)?])) {
            Some(queues) => sums.iter_mut().zip(queues).for_each(|(sum, bytes)| *sum += u64::from(bytes)),
            None => {
                bad.get_or_insert(at + 1);
            }
        }
    }
    (sums, bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_summed_and_odd_lines_blamed() {
        let line = "  0: 00000000:0016 00000000:0000 0A 00000015:0000000a 00:00000000 00000000 0 0 2740\n";
        assert_eq!(parse(&["head\n", line, "x\n", line].concat()), ([42, 20], Some(3)));
        assert_eq!(parse(""), ([0, 0], None));
    }
}
