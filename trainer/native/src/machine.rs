//! What this machine is, and what it has left.

use sysinfo::{
    CGroupLimits, CpuRefreshKind, MemoryRefreshKind, ProcessRefreshKind, ProcessesToUpdate,
    RefreshKind, System, get_current_pid,
};

/// The processor's name and the number of threads, such as `AMD EPYC 9B45, 2 threads`.
pub fn description() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let kind = RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing());
    let system = System::new_with_specifics(kind);
    let brand = system.cpus().first().map(|cpu| cpu.brand().trim());
    let processor = brand
        .filter(|name| !name.is_empty())
        .unwrap_or(std::env::consts::ARCH);
    format!("{processor}, {threads} threads")
}

/// Bytes that this process can still allocate: what the system estimates, and no more than the limit of the container
/// (control group) that the process runs in. None where the system does not say.
pub fn available_memory() -> Option<u64> {
    let kind = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let mut system = System::new_with_specifics(kind);
    let available = Some(system.available_memory()).filter(|&bytes| bytes > 0)?;
    Some(within(available, limits(&mut system)))
}

/// Bytes of memory that this process holds now (its resident set).
pub fn process_memory() -> Option<u64> {
    let id = get_current_pid().ok()?;
    let mut system = System::new();
    let kind = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[id]), false, kind);
    Some(system.process(id)?.memory())
}

/// The limits of this process's control group, or of the root that a container sees.
fn limits(system: &mut System) -> Option<CGroupLimits> {
    let own = get_current_pid().ok().and_then(|id| {
        let update = ProcessesToUpdate::Some(&[id]);
        system.refresh_processes_specifics(update, false, ProcessRefreshKind::nothing());
        system.process(id)?.cgroup_limits()
    });
    own.or_else(|| system.cgroup_limits())
}

/// What is left within a group's limit. Files that its processes have read count towards the limit but are dropped when
/// memory is needed, so only what they have allocated (the resident set) is taken off.
fn within(available: u64, limits: Option<CGroupLimits>) -> u64 {
    limits.map_or(available, |limits| {
        available.min(limits.total_memory.saturating_sub(limits.rss))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_has_no_more_than_its_limit() {
        let limits = |total_memory, rss| CGroupLimits {
            total_memory,
            free_memory: 0,
            free_swap: 0,
            rss,
        };
        assert_eq!(within(16 << 30, None), 16 << 30);
        assert_eq!(within(16 << 30, Some(limits(2 << 30, 1 << 30))), 1 << 30);
        assert_eq!(within(1 << 30, Some(limits(64 << 30, 0))), 1 << 30);
        assert_eq!(within(1 << 30, Some(limits(1 << 20, 2 << 20))), 0);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_says_what_is_left() {
        assert!(available_memory().is_some_and(|bytes| bytes > 1 << 20));
        assert!(process_memory().is_some_and(|bytes| bytes > 1 << 16));
    }

    #[test]
    fn the_machine_has_a_name() {
        let text = description();
        assert!(text.ends_with(" threads") && text.len() > 11, "{text}");
    }
}
