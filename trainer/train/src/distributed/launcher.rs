//! Whether a launcher started this process together with others.

use std::env;

/// Whether this process is one of several that a launcher started: Open MPI's mpirun, MPICH's Hydra or another that speaks
/// PMI, or Slurm's srun with PMIx. A single one needs no MPI. What Slurm says of a job alone means nothing, since every
/// batch script hears it.
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
