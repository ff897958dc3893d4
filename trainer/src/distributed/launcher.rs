//! Whether a launcher started this process together with others.

/// What launchers tell the processes that they start: Open MPI's mpirun, MPICH's Hydra and other users of PMI, and
/// Slurm's srun with PMIx. Slurm's own variables say nothing, since every batch script has them.
const VARIABLES: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"];

/// Whether this process is one of a launcher's.
pub fn is_launched() -> bool {
    VARIABLES
        .iter()
        .any(|variable| std::env::var_os(variable).is_some())
}
