//! Which part of a sweep a process does.

use super::work::Shard;

/// The variables in which launchers say which of their processes this is, and of how many: Open MPI, MPICH and its
/// kin, Slurm.
const LAUNCHERS: [(&str, &str); 3] = [
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
];

/// `1/4` is the first of four parts; `auto` is the part of this process among those that `mpirun` or `srun` started.
///
/// # Errors
///
/// What would do.
pub fn shard(text: &str) -> Result<Shard, String> {
    parse(text, |name| std::env::var(name).ok())
}

fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Shard, String> {
    if text == "auto" {
        let number = |name| variable(name).and_then(|value| value.parse().ok());
        let ranks = LAUNCHERS
            .iter()
            .find_map(|(rank, size)| number(rank).zip(number(size)));
        return match ranks {
            Some((index, count)) if index < count => Ok(Shard { index, count }),
            _ => {
                Err("auto is for processes that mpirun or srun starts, and this is none".to_owned())
            }
        };
    }
    text.split_once('/')
        .and_then(|(part, count)| Some((part.parse::<usize>().ok()?, count.parse::<usize>().ok()?)))
        .filter(|(part, count)| (1..=*count).contains(part))
        .map(|(part, count)| Shard {
            index: part - 1,
            count,
        })
        .ok_or_else(|| "a part is written I/N, from 1/N to N/N, such as 1/4".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_from_1_and_ranks_from_0() {
        let none = |_: &str| None;
        assert_eq!(parse("1/1", none), Ok(Shard::WHOLE));
        assert_eq!(parse("3/4", none), Ok(Shard { index: 2, count: 4 }));
        for bad in ["0/4", "5/4", "1", "a/b", "1/0", "auto"] {
            assert!(parse(bad, none).is_err(), "{bad}");
        }
        let slurm = |name: &str| match name {
            "SLURM_PROCID" => Some("2".to_owned()),
            "SLURM_NTASKS" => Some("3".to_owned()),
            _ => None,
        };
        assert_eq!(parse("auto", slurm), Ok(Shard { index: 2, count: 3 }));
    }
}
