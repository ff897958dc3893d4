//! Time and memory of a running program.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::sh::{Sh, sh};

/// The cost of running a program.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Seconds from its start to its end.
    pub seconds: f64,
    /// Seconds of processor time over all threads.
    pub cpu_seconds: f64,
    /// Peak memory in bytes.
    pub peak_memory: u64,
}

impl Cost {
    /// The shorter times of two runs, and the larger memory.
    pub fn best(self, other: Self) -> Self {
        Self {
            seconds: self.seconds.min(other.seconds),
            cpu_seconds: self.cpu_seconds.min(other.cpu_seconds),
            peak_memory: self.peak_memory.max(other.peak_memory),
        }
    }
}

/// Runs a program and measures it.
///
/// Processor time and memory come from Linux' /proc, read while the program runs; the last reading is at most 20 ms
/// old. On other systems they are 0.
pub fn measure(program: Sh) -> Result<Cost> {
    let ticks = sh("getconf").args("CLK_TCK").read().ok();
    let ticks: f64 = ticks.and_then(|t| t.parse().ok()).unwrap_or(100.0);
    let start = Instant::now();
    let mut running = program.piped()?;
    let id = running.child.id();
    // Read and discard the output, so that the program never waits for a full pipe.
    let pipe = running.child.stdout.take();
    let reader = std::thread::spawn(move || {
        pipe.map(|mut pipe| std::io::copy(&mut pipe, &mut std::io::sink()))
    });
    let (mut cpu, mut memory) = (0.0, 0);
    while running.child.try_wait()?.is_none() {
        cpu = processor_ticks(id).unwrap_or(cpu);
        memory = peak_memory(id).unwrap_or(memory);
        std::thread::sleep(Duration::from_millis(20));
    }
    let seconds = start.elapsed().as_secs_f64();
    running.wait()?;
    let _ = reader.join();
    Ok(Cost {
        seconds,
        cpu_seconds: cpu / ticks,
        peak_memory: memory,
    })
}

/// User and system time, fields 14 and 15 of `stat`. The name in field 2 may contain anything; it ends at the last `)`.
fn processor_ticks(id: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |i: usize| fields.get(i)?.parse::<f64>().ok();
    Some(field(11)? + field(12)?)
}

fn peak_memory(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
