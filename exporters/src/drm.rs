//! `node_drm_*`: memory and load of AMD's graphics cards.
//!
//! ```text
//! card0/device/uevent               DRIVER=amdgpu     <- /sys/class/drm, kernel 5.15
//! card0/device/gpu_busy_percent     4
//! card0/device/mem_info_gtt_total   8573157376
//! ```
//!
//! As with the peer, cards of other makers tell nothing, because their drivers have no such files.

use model::Batch;

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Names, Reader};
use crate::number;
use crate::sheet::{Head, Sheet, gauge};
use crate::single::{Words, unsigned};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "drm",
    default_on: false,
    make: |_| Ok(Box::new(Drm::default())),
    flags: &[],
    doc: "Memory and load of AMD's graphics cards from `/sys/class/drm`.",
};

const DIR: &str = "class/drm";
const DRIVER: &str = "DRIVER=amdgpu";

const WORDS: [&str; 3] = ["mem_info_vram_vendor", "power_dpm_force_performance_level", "unique_id"];
static FACTS: Head = gauge(
    "node_drm_card_info",
    "Card information",
    &["card", "memory_vendor", "power_performance_level", "unique_id", "vendor"],
);

const CARD: &[&str] = &["card"];
const GTT_SIZE: &str = "The size of the graphics translation table (GTT) block in bytes.";
const GTT_USED: &str = "The used amount of the graphics translation table (GTT) block in bytes.";
static NUMBERS: [(&str, Head); 7] = [
    ("gpu_busy_percent", gauge("node_drm_gpu_busy_percent", "How busy the GPU is as a percentage.", CARD)),
    ("mem_info_gtt_total", gauge("node_drm_memory_gtt_size_bytes", GTT_SIZE, CARD)),
    ("mem_info_gtt_used", gauge("node_drm_memory_gtt_used_bytes", GTT_USED, CARD)),
    (
        "mem_info_vis_vram_total",
        gauge("node_drm_memory_vis_vram_size_bytes", "The size of visible VRAM in bytes.", CARD),
    ),
    (
        "mem_info_vis_vram_used",
        gauge("node_drm_memory_vis_vram_used_bytes", "The used amount of visible VRAM in bytes.", CARD),
    ),
    ("mem_info_vram_total", gauge("node_drm_memory_vram_size_bytes", "The size of VRAM in bytes.", CARD)),
    ("mem_info_vram_used", gauge("node_drm_memory_vram_used_bytes", "The used amount of VRAM in bytes.", CARD)),
];

/// Reads `/sys/class/drm`.
#[derive(Default)]
struct Drm {
    cards: Names,
    file: Reader,
    words: Words,
    sheet: Sheet,
}

impl Collector for Drm {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        if !self.cards.list_if_there(&host.sysfs, &[DIR])? {
            return Ok(());
        }
        let mut troubles = Troubles::default();
        let is_card = |name: &&str| name.strip_prefix("card").is_some_and(|rest| number::unsigned(rest).is_some());
        for card in self.cards.iter().filter(is_card) {
            let path = |file| [DIR, "/", card, "/device/", file];
            let driver = troubles.note(self.file.word(&host.sysfs, &path("uevent"))).flatten();
            if driver.is_none_or(|text| text.lines().all(|line| line != DRIVER)) {
                continue;
            }
            self.words.clear();
            for file in WORDS {
                troubles.note(self.words.read(&mut self.file, &host.sysfs, &path(file)));
            }
            let words = &self.words;
            self.sheet.put(&FACTS, &[card, words.get(0), words.get(1), words.get(2), "amd"], 1.0);
            for (file, head) in &NUMBERS {
                let value = troubles.note(unsigned(&mut self.file, &host.sysfs, &path(file)));
                self.sheet.put_some(head, &[card], value.flatten());
            }
        }
        self.sheet.tell(out);
        troubles.finish()
    }
}
