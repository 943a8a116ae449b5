//! The shell's outer skin: the only place that reads a clock, opens the data file or talks to the service manager.
//!
//! Everything here is thin on purpose. What is decided with the time, the file or the signal is decided elsewhere,
//! where a test can stand in for this module: `Clock`, `Disk` and `ReadAt` are the seams.

pub mod clock;
pub mod datafile;
pub mod paths;
pub mod process;
pub mod service;
pub mod tailfile;
