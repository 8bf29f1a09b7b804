//! The memory of programs, as Linux reports it. On other systems, the functions return `None`.

/// Returns how many bytes of memory a program uses now, or `None` without `/proc`.
pub fn resident(process: u32) -> Option<u64> {
    read(&process.to_string(), "VmRSS:")
}

/// Returns the largest number of bytes of memory that this program has used so far, or `None` without `/proc`.
pub fn peak() -> Option<u64> {
    read("self", "VmHWM:")
}

fn read(process: &str, key: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(key))?;
    value.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}
