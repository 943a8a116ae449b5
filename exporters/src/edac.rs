//! `node_edac_*`: errors that memory with parity corrected or could not.
//!
//! ```text
//! mc0/ce_count, mc0/ue_count                   <- /sys/devices/system/edac/mc, kernel 6.1
//! mc0/csrow0/ce_count, mc0/csrow0/ch0_ce_count, mc0/csrow0/ch0_dimm_label
//! ```
//!
//! Channels are told since node_exporter 1.12, which makes `mc0_csrow0_channel0` of the label that the kernel gives
//! when the firmware names no DIMM (`mc#0csrow#0channel#0`). What the kernel does not count is not told.

use model::Batch;

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Names, Reader};
use crate::number;
use crate::sheet::{Head, Sheet, counter};
use crate::single::{Words, unsigned};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "edac",
    default_on: true,
    make: |_| Ok(Box::new(Edac::default())),
    flags: &[],
    doc: "Corrected and uncorrected errors of memory from `/sys/devices/system/edac`.",
};

const DIR: &str = "devices/system/edac/mc";

const ROW: &[&str] = &["controller", "csrow"];
const CHANNEL: &[&str] = &["controller", "csrow", "channel", "dimm_label"];
static CORRECTED: Head =
    counter("node_edac_correctable_errors_total", "Total correctable memory errors.", &["controller"]);
static UNCORRECTED: Head =
    counter("node_edac_uncorrectable_errors_total", "Total uncorrectable memory errors.", &["controller"]);
static ROW_CORRECTED: Head =
    counter("node_edac_csrow_correctable_errors_total", "Total correctable memory errors for this csrow.", ROW);
static ROW_UNCORRECTED: Head =
    counter("node_edac_csrow_uncorrectable_errors_total", "Total uncorrectable memory errors for this csrow.", ROW);
static CHANNEL_CORRECTED: Head =
    counter("node_edac_channel_correctable_errors_total", "Total correctable memory errors for this channel.", CHANNEL);
static CHANNEL_UNCORRECTED: Head = counter(
    "node_edac_channel_uncorrectable_errors_total",
    "Total uncorrectable memory errors for this channel.",
    CHANNEL,
);

/// Reads `/sys/devices/system/edac`.
#[derive(Default)]
struct Edac {
    controllers: Names,
    rows: Names,
    files: Names,
    file: Reader,
    words: Words,
    label: String,
    sheet: Sheet,
}

impl Collector for Edac {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        if !self.controllers.list_if_there(&host.sysfs, &[DIR])? {
            return Ok(());
        }
        let mut troubles = Troubles::default();
        let Edac { controllers, rows, files, file, words, label, sheet } = self;
        for name in controllers.iter() {
            let Some(controller) = numbered(name, "mc") else { continue };
            let mut count =
                |file_name| troubles.note(unsigned(file, &host.sysfs, &[DIR, "/", name, "/", file_name])).flatten();
            sheet.put_some(&CORRECTED, &[controller], count("ce_count"));
            sheet.put_some(&ROW_CORRECTED, &[controller, "unknown"], count("ce_noinfo_count"));
            sheet.put_some(&UNCORRECTED, &[controller], count("ue_count"));
            sheet.put_some(&ROW_UNCORRECTED, &[controller, "unknown"], count("ue_noinfo_count"));
            if troubles.note(rows.list_if_there(&host.sysfs, &[DIR, "/", name])) != Some(true) {
                continue;
            }
            for row_name in rows.iter() {
                let Some(row) = numbered(row_name, "csrow") else { continue };
                let path = |file_name| [DIR, "/", name, "/", row_name, "/", file_name];
                for (file_name, head) in [("ce_count", &ROW_CORRECTED), ("ue_count", &ROW_UNCORRECTED)] {
                    let count = troubles.note(unsigned(file, &host.sysfs, &path(file_name))).flatten();
                    sheet.put_some(head, &[controller, row], count);
                }
                troubles.note(files.list_if_there(&host.sysfs, &[DIR, "/", name, "/", row_name]));
                for file_name in files.iter() {
                    let Some((channel, head)) = channel_file(file_name) else { continue };
                    let count = troubles.note(unsigned(file, &host.sysfs, &path(file_name))).flatten();
                    words.clear();
                    let path = [DIR, "/", name, "/", row_name, "/ch", channel, "_dimm_label"];
                    troubles.note(words.read(file, &host.sysfs, &path));
                    plain_label(words.get(0), label);
                    sheet.put_some(head, &[controller, row, channel, label], count);
                }
            }
        }
        sheet.tell(out);
        troubles.finish()
    }
}

/// Returns what follows a prefix when it is a number.
fn numbered<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    name.strip_prefix(prefix).filter(|number| number::unsigned(number).is_some())
}

/// Returns the channel that a file counts for, and its family.
fn channel_file(name: &str) -> Option<(&str, &'static Head)> {
    let (channel, kind) = name.strip_prefix("ch")?.split_once('_')?;
    number::unsigned(channel)?;
    match kind {
        "ce_count" => Some((channel, &CHANNEL_CORRECTED)),
        "ue_count" => Some((channel, &CHANNEL_UNCORRECTED)),
        _ => None,
    }
}

/// Writes the label of a DIMM: the kernel's own with its three parts apart, any other as it is.
fn plain_label(text: &str, out: &mut String) {
    out.clear();
    let parts = text.split_once("csrow").and_then(|(mc, rest)| Some((mc, rest.split_once("channel")?)));
    let number = |text: &str| number::unsigned(text.trim_start_matches('#')).is_some();
    match parts {
        Some((mc, (row, channel))) if number(mc.trim_start_matches("mc")) && number(row) && number(channel) => {
            let parts = [mc, "_csrow", row, "_channel", channel];
            parts.iter().for_each(|part| out.extend(part.chars().filter(|c| *c != '#')));
        }
        _ => out.push_str(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_own_label_comes_in_three_parts() {
        let check = |text, expected| {
            let mut out = String::new();
            plain_label(text, &mut out);
            assert_eq!(out, expected);
        };
        check("mc#0csrow#1channel#2", "mc0_csrow1_channel2");
        check("mc0csrow1channel2", "mc0_csrow1_channel2");
        check("CPU_SrcID#0_MC#0_Chan#1_DIMM#0", "CPU_SrcID#0_MC#0_Chan#1_DIMM#0");
        check("mccsrowchannel", "mccsrowchannel");
    }

    #[test]
    fn channels_are_numbered() {
        assert_eq!(channel_file("ch1_ce_count").map(|found| found.0), Some("1"));
        for other in ["ch_ce_count", "chx_ue_count", "ch0_dimm_label", "ce_count", "ch0"] {
            assert!(channel_file(other).is_none(), "{other}");
        }
        assert_eq!((numbered("mc0", "mc"), numbered("max_location", "mc")), (Some("0"), None));
    }
}
