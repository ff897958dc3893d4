//! Names as wrappers of models leave them: `module.` of data parallelism, `_orig_mod.` of `torch.compile`, and weights one
//! level down in a dictionary of what a training keeps.

use std::collections::BTreeSet;
use std::io::{Read, Seek};

use super::Weights;

/// What wrappers put before the names of all weights; of several copies of them, the first of these is taken.
const WRAPPERS: [&str; 12] = [
    "ema",
    "ema_model",
    "model_ema",
    "ema_state_dict",
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "_orig_mod",
    "network",
    "net",
    "unet",
];

/// What lies beside them in a checkpoint and is no weight of the model.
const BESIDE: [&str; 5] = ["optimizer", "opt", "optim", "scaler", "lr_scheduler"];

/// The part of a name before its first dot, and the rest.
fn first(name: &str) -> Option<(&str, &str)> {
    name.split_once('.').filter(|(_, rest)| !rest.is_empty())
}

impl<R: Read + Seek> Weights<R> {
    /// These weights without what wrappers put before the names of all of them, as often as there is something. Where a
    /// file holds several copies of a model, averaged weights are kept and the others left out, and so is what belongs to
    /// an optimiser.
    pub fn unwrapped(mut self) -> Self {
        while let Some(wrapper) = self.wrapper() {
            for file in &mut self.files {
                let entries = std::mem::take(&mut file.entries);
                file.entries = entries
                    .into_iter()
                    .filter_map(|(name, entry)| match first(&name) {
                        Some((before, rest)) if before == wrapper => Some((rest.into(), entry)),
                        _ => None,
                    })
                    .collect();
            }
            self.prefix.push_str(wrapper);
            self.prefix.push('.');
        }
        self
    }

    /// What was taken off, such as `ema.module.`; empty where there was nothing.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The wrapper to take off, where every name begins with one or is of what lies beside.
    fn wrapper(&self) -> Option<&'static str> {
        let firsts: Option<BTreeSet<&str>> = self
            .names()
            .map(|name| first(name).map(|(before, _)| before))
            .collect();
        let firsts = firsts?;
        let known = |name: &&str| WRAPPERS.contains(name) || BESIDE.contains(name);
        if !firsts.iter().all(known) {
            return None;
        }
        WRAPPERS.into_iter().find(|name| firsts.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn unwrapped(names: &[&str]) -> (String, Vec<String>) {
        let headers = names.iter().enumerate().map(|(at, name)| {
            let (start, end) = (4 * at, 4 * at + 4);
            format!(r#""{name}":{{"dtype":"F32","shape":[1],"data_offsets":[{start},{end}]}}"#)
        });
        let header = format!("{{{}}}", headers.collect::<Vec<_>>().join(","));
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        file.resize(file.len() + 4 * names.len(), 0);
        let weights = Weights::read(Cursor::new(file)).unwrap().unwrapped();
        (
            weights.prefix().to_owned(),
            weights.names().map(str::to_owned).collect(),
        )
    }

    #[test]
    fn one_common_wrapper_is_taken_off() {
        for (wrapper, expected) in [
            ("module.", "module."),
            ("_orig_mod.module.", "_orig_mod.module."),
            ("state_dict.model.", "state_dict.model."),
            ("", ""),
        ] {
            let names = ["out.weight", "time_embed.0.bias"].map(|name| format!("{wrapper}{name}"));
            let (taken, names) = unwrapped(&names.each_ref().map(|name| name.as_str()));
            assert_eq!(
                (taken.as_str(), &names[..]),
                (
                    expected,
                    &["out.weight".to_owned(), "time_embed.0.bias".to_owned()][..]
                )
            );
        }
    }

    #[test]
    fn averaged_weights_are_taken_of_several() {
        let (taken, names) = unwrapped(&["ema.out.bias", "model.out.bias", "optimizer.state.0"]);
        assert_eq!(
            (taken.as_str(), &names[..]),
            ("ema.", &["out.bias".to_owned()][..])
        );
    }

    #[test]
    fn names_that_only_some_tensors_begin_with_stay() {
        let names = ["model.out.bias", "scale"];
        assert_eq!(unwrapped(&names).0, "");
        assert_eq!(unwrapped(&["net"]).0, "");
    }
}
