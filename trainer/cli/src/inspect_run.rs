//! `freeguide inspect` of a run folder.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use freeguide_native::output::print_line;
use freeguide_train::{RunFolder, summaries};

/// Prints how a run was made, how far it is and which averages can be exported.
pub fn inspect_run(path: &Path, json: bool) -> Result<ExitCode> {
    let folder = RunFolder::new(path);
    let (recipe, info) = (folder.recipe()?, folder.info()?);
    let checkpoints = summaries(&folder.checkpoints(), &recipe)?;
    if json {
        print_line(serde_json::json!({
            "recipe": recipe,
            "run": info,
            "checkpoints": checkpoints,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    print_line(format_args!(
        "{}: a training of {} steps of {} images, {} parameters",
        recipe.name, recipe.train.steps, recipe.train.batch, info.parameters
    ))?;
    print_line(format_args!(
        "data: {} images of {} classes from {}, fingerprint {}",
        info.class_counts.iter().sum::<usize>(),
        info.classes.len(),
        info.data.display(),
        info.data_fingerprint
    ))?;
    if let Some(init) = &info.init {
        print_line(format_args!(
            "fine-tuned from {} ({})",
            init.name,
            init.model.display()
        ))?;
    }
    for start in &info.starts {
        let commit = match start.commit.get(..12) {
            Some(commit) => format!(" ({commit})"),
            None => String::new(),
        };
        print_line(format_args!(
            "started at step {} by freeguide {}{commit} on {}: {}",
            start.step,
            start.freeguide,
            start.device,
            start.command.join(" ")
        ))?;
    }
    for checkpoint in checkpoints {
        let averages: Vec<_> = checkpoint.averages.iter().map(f64::to_string).collect();
        match checkpoint.damage {
            None => print_line(format_args!(
                "checkpoint of step {}: intact, {} bytes, averages with decay {}",
                checkpoint.step,
                checkpoint.bytes,
                averages.join(", ")
            ))?,
            Some(damage) => print_line(format_args!(
                "checkpoint of step {}: damaged: {damage}",
                checkpoint.step
            ))?,
        }
    }
    Ok(ExitCode::SUCCESS)
}
