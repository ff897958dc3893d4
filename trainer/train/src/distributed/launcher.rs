//! Detects whether a launcher started this process together with others.

use std::env;

/// Whether a launcher started several processes, of which this is one: Open MPI's mpirun, MPICH's Hydra or another that
/// uses PMI, or Slurm's srun with PMIx. A single process needs no MPI. Slurm's own job variables mean nothing, because
/// every batch script has them.
pub fn is_launched() -> bool {
    let number = |name: &str| env::var(name).ok()?.parse::<usize>().ok();
    match number("OMPI_COMM_WORLD_SIZE").or_else(|| number("PMI_SIZE")) {
        Some(size) => size > 1,
        None => {
            env::var_os("PMIX_RANK").is_some()
                && number("SLURM_STEP_NUM_TASKS").is_none_or(|size| size > 1)
        }
    }
}
