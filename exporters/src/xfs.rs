//! `node_xfs_*`: what each XFS file system did.
//!
//! ```text
//! extent_alloc 1 872 0 0        <- /sys/fs/xfs/sda1/stats/stats, kernel 6.1
//! blk_map 61 29 1 1 1 91 0
//! ```
//!
//! A file system that is odd is blamed, the others are told.

use model::Batch;

use crate::collector::{Collector, CollectorInfo};
use crate::columns::{Column, column, put_columns};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Names, Reader};
use crate::sheet::{Sheet, counter};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "xfs",
    default_on: true,
    make: |_| Ok(Box::new(Xfs::default())),
    flags: &[],
    doc: "What each XFS file system did, from `/sys/fs/xfs`.",
};

const DIR: &str = "fs/xfs";

/// Reads `/sys/fs/xfs`.
#[derive(Default)]
struct Xfs {
    names: Names,
    file: Reader,
    sheet: Sheet,
}

impl Collector for Xfs {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        if !self.names.list_if_there(&host.sysfs, &[DIR])? {
            return Ok(());
        }
        let mut troubles = Troubles::default();
        // `stats` lies beside the file systems and holds their sum.
        for device in self.names.iter().filter(|name| *name != "stats") {
            let text = self.file.text_if_there(&host.sysfs, &[DIR, "/", device, "/stats/stats"]);
            let Some(Some(text)) = troubles.note(text) else { continue };
            let bad = put_columns(text, &COLUMNS, &[device], &mut self.sheet);
            troubles.note(Troubles::of_line(&self.file, bad, "a word and numbers"));
        }
        self.sheet.tell(out);
        troubles.finish()
    }
}

static COLUMNS: [Column; 39] = [
    column(
        "extent_alloc",
        0,
        counter(
            "node_xfs_extent_allocation_extents_allocated_total",
            "Number of extents allocated for a filesystem.",
            &["device"],
        ),
    ),
    column(
        "extent_alloc",
        1,
        counter(
            "node_xfs_extent_allocation_blocks_allocated_total",
            "Number of blocks allocated for a filesystem.",
            &["device"],
        ),
    ),
    column(
        "extent_alloc",
        2,
        counter(
            "node_xfs_extent_allocation_extents_freed_total",
            "Number of extents freed for a filesystem.",
            &["device"],
        ),
    ),
    column(
        "extent_alloc",
        3,
        counter(
            "node_xfs_extent_allocation_blocks_freed_total",
            "Number of blocks freed for a filesystem.",
            &["device"],
        ),
    ),
    column(
        "abt",
        0,
        counter(
            "node_xfs_allocation_btree_lookups_total",
            "Number of allocation B-tree lookups for a filesystem.",
            &["device"],
        ),
    ),
    column(
        "abt",
        1,
        counter(
            "node_xfs_allocation_btree_compares_total",
            "Number of allocation B-tree compares for a filesystem.",
            &["device"],
        ),
    ),
    column(
        "abt",
        2,
        counter(
            "node_xfs_allocation_btree_records_inserted_total",
            "Number of allocation B-tree records inserted for a filesystem.",
            &["device"],
        ),
    ),
    column(
        "abt",
        3,
        counter(
            "node_xfs_allocation_btree_records_deleted_total",
            "Number of allocation B-tree records deleted for a filesystem.",
            &["device"],
        ),
    ),
    column(
        "blk_map",
        0,
        counter(
            "node_xfs_block_mapping_reads_total",
            "Number of block map for read operations for a filesystem.",
            &["device"],
        ),
    ),
    column(
        "blk_map",
        1,
        counter(
            "node_xfs_block_mapping_writes_total",
            "Number of block map for write operations for a filesystem.",
            &["device"],
        ),
    ),
    column(
        "blk_map",
        2,
        counter(
            "node_xfs_block_mapping_unmaps_total",
            "Number of block unmaps (deletes) for a filesystem.",
            &["device"],
        ),
    ),
    column(
        "blk_map",
        3,
        counter(
            "node_xfs_block_mapping_extent_list_insertions_total",
            "Number of extent list insertions for a filesystem.",
            &["device"],
        ),
    ),
    column(
        "blk_map",
        4,
        counter(
            "node_xfs_block_mapping_extent_list_deletions_total",
            "Number of extent list deletions for a filesystem.",
            &["device"],
        ),
    ),
    column(
        "blk_map",
        5,
        counter(
            "node_xfs_block_mapping_extent_list_lookups_total",
            "Number of extent list lookups for a filesystem.",
            &["device"],
        ),
    ),
    column(
        "blk_map",
        6,
        counter(
            "node_xfs_block_mapping_extent_list_compares_total",
            "Number of extent list compares for a filesystem.",
            &["device"],
        ),
    ),
    column(
        "bmbt",
        0,
        counter(
            "node_xfs_block_map_btree_lookups_total",
            "Number of block map B-tree lookups for a filesystem.",
            &["device"],
        ),
    ),
    column(
        "bmbt",
        1,
        counter(
            "node_xfs_block_map_btree_compares_total",
            "Number of block map B-tree compares for a filesystem.",
            &["device"],
        ),
    ),
    column(
        "bmbt",
        2,
        counter(
            "node_xfs_block_map_btree_records_inserted_total",
            "Number of block map B-tree records inserted for a filesystem.",
            &["device"],
        ),
    ),
    column(
        "bmbt",
        3,
        counter(
            "node_xfs_block_map_btree_records_deleted_total",
            "Number of block map B-tree records deleted for a filesystem.",
            &["device"],
        ),
    ),
    column(
        "dir",
        0,
        counter(
            "node_xfs_directory_operation_lookup_total",
            "Number of file name directory lookups which miss the operating systems directory name lookup cache.",
            &["device"],
        ),
    ),
    column(
        "dir",
        1,
        counter(
            "node_xfs_directory_operation_create_total",
            "Number of times a new directory entry was created for a filesystem.",
            &["device"],
        ),
    ),
    column(
        "dir",
        2,
        counter(
            "node_xfs_directory_operation_remove_total",
            "Number of times an existing directory entry was created for a filesystem.",
            &["device"],
        ),
    ),
    column(
        "dir",
        3,
        counter(
            "node_xfs_directory_operation_getdents_total",
            "Number of times the directory getdents operation was performed for a filesystem.",
            &["device"],
        ),
    ),
    column(
        "ig",
        0,
        counter(
            "node_xfs_inode_operation_attempts_total",
            "Number of times the OS looked for an XFS inode in the inode cache.",
            &["device"],
        ),
    ),
    column(
        "ig",
        1,
        counter(
            "node_xfs_inode_operation_found_total",
            "Number of times the OS looked for and found an XFS inode in the inode cache.",
            &["device"],
        ),
    ),
    column(
        "ig",
        2,
        counter(
            "node_xfs_inode_operation_recycled_total",
            "Number of times the OS found an XFS inode in the cache, but could not use it as it was being recycled.",
            &["device"],
        ),
    ),
    column(
        "ig",
        3,
        counter(
            "node_xfs_inode_operation_missed_total",
            "Number of times the OS looked for an XFS inode in the cache, but did not find it.",
            &["device"],
        ),
    ),
    column(
        "ig",
        4,
        counter(
            "node_xfs_inode_operation_duplicates_total",
            "Number of times the OS tried to add a missing XFS inode to the inode cache, but found it had already been added by another process.",
            &["device"],
        ),
    ),
    column(
        "ig",
        5,
        counter(
            "node_xfs_inode_operation_reclaims_total",
            "Number of times the OS reclaimed an XFS inode from the inode cache to free memory for another purpose.",
            &["device"],
        ),
    ),
    column(
        "ig",
        6,
        counter(
            "node_xfs_inode_operation_attribute_changes_total",
            "Number of times the OS explicitly changed the attributes of an XFS inode.",
            &["device"],
        ),
    ),
    column(
        "rw",
        0,
        counter(
            "node_xfs_write_calls_total",
            "Number of write(2) system calls made to files in a filesystem.",
            &["device"],
        ),
    ),
    column(
        "rw",
        1,
        counter(
            "node_xfs_read_calls_total",
            "Number of read(2) system calls made to files in a filesystem.",
            &["device"],
        ),
    ),
    column(
        "vnodes",
        0,
        counter("node_xfs_vnode_active_total", "Number of vnodes not on free lists for a filesystem.", &["device"]),
    ),
    column(
        "vnodes",
        1,
        counter("node_xfs_vnode_allocate_total", "Number of times vn_alloc called for a filesystem.", &["device"]),
    ),
    column(
        "vnodes",
        2,
        counter("node_xfs_vnode_get_total", "Number of times vn_get called for a filesystem.", &["device"]),
    ),
    column(
        "vnodes",
        3,
        counter("node_xfs_vnode_hold_total", "Number of times vn_hold called for a filesystem.", &["device"]),
    ),
    column(
        "vnodes",
        4,
        counter("node_xfs_vnode_release_total", "Number of times vn_rele called for a filesystem.", &["device"]),
    ),
    column(
        "vnodes",
        5,
        counter("node_xfs_vnode_reclaim_total", "Number of times vn_reclaim called for a filesystem.", &["device"]),
    ),
    column(
        "vnodes",
        6,
        counter("node_xfs_vnode_remove_total", "Number of times vn_remove called for a filesystem.", &["device"]),
    ),
];
