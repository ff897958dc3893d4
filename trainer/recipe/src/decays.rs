//! The averages of the weights that a training keeps.

use serde::{Deserialize, Serialize};

/// The largest number of averages. Each takes as much memory and disk space as the weights.
const MOST: usize = 8;

/// The decays of the averages that a training keeps: a number or a list of numbers in a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Decays {
    /// One average.
    One(f64),
    /// Several averages, of which the first is the default.
    Several(Vec<f64>),
}

impl Decays {
    /// All decays, in the order of the recipe.
    pub fn all(&self) -> &[f64] {
        match self {
            Self::One(decay) => std::slice::from_ref(decay),
            Self::Several(decays) => decays,
        }
    }

    /// The decay of the default average.
    pub fn first(&self) -> f64 {
        self.all().first().copied().unwrap_or_default()
    }

    /// Whether the decays are valid: at least one, all different, in [0, 1).
    pub fn are_valid(&self) -> bool {
        let all = self.all();
        let different = (1..all.len()).all(|i| !all[..i].contains(&all[i]));
        (1..=MOST).contains(&all.len()) && different && all.iter().all(|d| (0.0..1.0).contains(d))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decays_are_a_number_or_a_list() {
        #[derive(Deserialize, Serialize)]
        struct Holder {
            decay: Decays,
        }
        let read = |text: &str| toml::from_str::<Holder>(text).map(|holder| holder.decay);
        assert_eq!(read("decay = 0.5").unwrap().all(), [0.5]);
        let two = read("decay = [0.999, 0.9999]").unwrap();
        assert_eq!((two.all(), two.first()), (&[0.999, 0.9999][..], 0.999));
        let written = toml::to_string(&Holder { decay: two.clone() }).unwrap();
        assert_eq!(read(&written).unwrap(), two);
        assert!(two.are_valid() && Decays::One(0.0).are_valid());
        for bad in ["[]", "1.0", "[0.9, 1.0]", "[0.9, 0.9]", "-0.1", "nan"] {
            let decays = read(&format!("decay = {bad}")).unwrap();
            assert!(!decays.are_valid(), "{bad}");
        }
    }
}
