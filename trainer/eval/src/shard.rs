//! The part of a sweep that a process does.

use super::work::Shard;

/// The environment variables in which launchers give the rank and the number of processes: Open MPI, MPICH and its
/// derivatives, Slurm.
const LAUNCHERS: [(&str, &str); 3] = [
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
];

/// Parses a part: `1/4` is the first of four; `auto` is the rank of this process under `mpirun` or `srun`.
///
/// # Errors
///
/// If the text is not a part. The error says what is expected.
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
            _ => Err("auto only works in processes started by mpirun or srun".to_owned()),
        };
    }
    text.split_once('/')
        .and_then(|(part, count)| Some((part.parse::<usize>().ok()?, count.parse::<usize>().ok()?)))
        .filter(|(part, count)| (1..=*count).contains(part))
        .map(|(part, count)| Shard {
            index: part - 1,
            count,
        })
        .ok_or_else(|| "expected I/N with I from 1 to N, such as 1/4".to_owned())
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
