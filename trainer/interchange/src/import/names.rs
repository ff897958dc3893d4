//! Maps the names of another program's tensors to ours, part by part.

use super::place::{Place, Step};

/// The names of the tensors of a residual block in another program.
pub struct ResidualNames {
    pub norm_in: &'static str,
    pub conv_in: &'static str,
    pub modulation: &'static str,
    pub norm_out: &'static str,
    pub conv_out: &'static str,
    pub skip: &'static str,
}

/// The sources of a network's tensors.
#[derive(Default)]
pub struct Places(pub Vec<Place>);

impl Places {
    /// The weight and the bias of one layer.
    fn layer(&mut self, ours: &str, theirs: &[Vec<String>], weight: &[Step], bias: &[Step]) {
        for (leaf, steps) in [("weight", weight), ("bias", bias)] {
            let named = theirs.iter().map(|names| {
                let names = names.iter().map(|name| format!("{name}.{leaf}"));
                names.collect()
            });
            self.0.push(Place {
                ours: format!("{ours}.{leaf}"),
                theirs: named.collect(),
                steps: steps.to_vec(),
            });
        }
    }

    /// A convolution or a normalisation, which need no change.
    pub fn same(&mut self, ours: &str, theirs: &str) {
        self.layer(ours, &[vec![theirs.to_owned()]], &[], &[]);
    }

    /// A linear layer. `first` is applied to its weights before they are transposed.
    pub fn linear(&mut self, ours: &str, theirs: &str, first: &[Step]) {
        let weight = [first, &[Step::Transpose]].concat();
        self.layer(ours, &[vec![theirs.to_owned()]], &weight, &[]);
    }

    /// The last convolution, of which `channels` channels are the prediction.
    pub fn head(&mut self, ours: &str, theirs: &str, channels: usize) {
        let rows = [Step::Rows(channels)];
        self.layer(ours, &[vec![theirs.to_owned()]], &rows, &rows);
    }

    /// A residual block. It has a skip convolution if its widths differ. The source of a convolution that the network
    /// lacks is never used.
    pub fn residual(&mut self, ours: &str, theirs: &str, names: &ResidualNames) {
        for (our, their) in [
            ("norm_in", names.norm_in),
            ("conv_in", names.conv_in),
            ("norm_out", names.norm_out),
            ("conv_out", names.conv_out),
            ("skip", names.skip),
        ] {
            self.same(&format!("{ours}.{our}"), &format!("{theirs}.{their}"));
        }
        let modulation = format!("{theirs}.{}", names.modulation);
        self.linear(&format!("{ours}.modulation"), &modulation, &[]);
    }

    /// Query, key and value in one layer of 1×1 convolutions; `legacy` means that heads come first.
    pub fn joint_attention(&mut self, ours: &str, theirs: &str, legacy: Option<usize>) {
        self.same(&format!("{ours}.norm"), &format!("{theirs}.norm"));
        let order: Vec<Step> = legacy.map(Step::PartsFirst).into_iter().collect();
        let weight = [&[Step::Flatten], &order[..], &[Step::Transpose]].concat();
        let qkv = [vec![format!("{theirs}.qkv")]];
        self.layer(&format!("{ours}.qkv"), &qkv, &weight, &order);
        let output = format!("{theirs}.proj_out");
        self.linear(&format!("{ours}.output"), &output, &[Step::Flatten]);
    }

    /// Query, key and value in separate layers, with their current and former names.
    pub fn separate_attention(&mut self, ours: &str, theirs: &str) {
        self.same(&format!("{ours}.norm"), &format!("{theirs}.group_norm"));
        let named = |names: [&str; 2]| names.map(|name| format!("{theirs}.{name}")).to_vec();
        let qkv = [["to_q", "query"], ["to_k", "key"], ["to_v", "value"]].map(named);
        self.layer(&format!("{ours}.qkv"), &qkv, &[Step::Transpose], &[]);
        let output = [named(["to_out.0", "proj_attn"])];
        self.layer(&format!("{ours}.output"), &output, &[Step::Transpose], &[]);
    }

    /// Attention pooling, whose layers are convolutions of one number.
    pub fn pool(&mut self, ours: &str, theirs: &str) {
        self.0.push(Place {
            ours: format!("{ours}.position"),
            theirs: vec![vec![format!("{theirs}.positional_embedding")]],
            steps: Vec::new(),
        });
        for (our, their) in [("qkv", "qkv_proj"), ("output", "c_proj")] {
            let (ours, theirs) = (format!("{ours}.{our}"), format!("{theirs}.{their}"));
            self.linear(&ours, &theirs, &[Step::Flatten]);
        }
    }

    /// The embedding of the class.
    pub fn class(&mut self, theirs: &str, classes: ClassRows, width: usize) {
        let (theirs, steps) = match classes {
            ClassRows::None => (Vec::new(), vec![Step::Zeros(width)]),
            ClassRows::Conditional | ClassRows::Zeros => (vec![theirs], vec![Step::ZeroRow]),
            ClassRows::Null(row) => (vec![theirs], vec![Step::RowToEnd(row)]),
        };
        self.0.push(Place {
            ours: "conditioning.class.weight".to_owned(),
            theirs: theirs.iter().map(|name| vec![(*name).to_owned()]).collect(),
            steps,
        });
    }
}

/// The rows of the class embedding in another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassRows {
    /// There is none: the model is unconditional.
    None,
    /// Only classes.
    Conditional,
    /// Only classes, beside which zeros are ∅.
    Zeros,
    /// Classes, of which this one is ∅.
    Null(usize),
}
