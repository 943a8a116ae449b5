//! What board this is, in words, for the page.
//!
//! A device tree names the model (`Raspberry Pi 4 Model B Rev 1.4`), DMI names a PC; a machine with neither is called
//! by its host name.

use crate::cli::VERSION;
use crate::config::Paths;
use crate::os::paths::host_name;
use crate::web::Status;

/// Returns a status with everything that does not change while we run.
pub fn this_board(paths: &Paths) -> Status {
    let system = rustix::system::uname();
    let kernel = format!(
        "{} {} {}",
        system.sysname().to_string_lossy(),
        system.release().to_string_lossy(),
        system.machine().to_string_lossy()
    );
    Status { board: board(paths), host: host_name(), kernel, version: VERSION, ..Status::default() }
}

fn board(paths: &Paths) -> String {
    let model = paths.procfs.join("device-tree/model");
    let dmi = ["sys_vendor", "product_name"].map(|name| paths.sysfs.join("class/dmi/id").join(name));
    let read = |path| {
        let text = std::fs::read(path).unwrap_or_default();
        String::from_utf8_lossy(&text).trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned()
    };
    match read(&model) {
        model if !model.is_empty() => model,
        _ => dmi.iter().map(read).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" "),
    }
}
