//! A description of the machine, for the results of measurements.

use std::fs;
use std::thread;

use crate::sh::sh;

/// The processor's name, the number of cores that this program may use, and the kernel of the operating system.
pub fn describe() -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let kernel = sh("uname")
        .args("-sm")
        .read()
        .unwrap_or_else(|_| std::env::consts::OS.to_owned());
    format!("{}, {cores} cores, {kernel}", processor())
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        info.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value.trim().to_owned())
    };
    match field("model name") {
        // In a virtual machine, the name may be the maker's only; family and model give the generation.
        Some(name) => match (field("cpu family"), field("model")) {
            (Some(family), Some(model)) => format!("{name} (family {family}, model {model})"),
            _ => name,
        },
        None => sh("sysctl")
            .args("-n machdep.cpu.brand_string")
            .read()
            .unwrap_or_else(|_| std::env::consts::ARCH.to_owned()),
    }
}
