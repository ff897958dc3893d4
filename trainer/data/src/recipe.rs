//! The `[data]` section of a recipe.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    DataError, Transform,
    resample::Filter,
    transform::{Crop, LARGEST},
};

/// The `[data]` section of a recipe: which images of a data set are taken, how every one is brought to one form, and
/// how much of it stays in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRecipe {
    /// Width and height of the images that the model learns, in pixels: 1 … 2048.
    pub size: u32,
    /// 3 for colour (RGB), 1 for grey.
    #[serde(default = "default_channels")]
    pub channels: u32,
    /// The filter for resizing: `"lanczos"` (default), `"area"` or `"nearest"`.
    #[serde(default)]
    pub resize: Filter,
    /// How an image that is not square becomes square: `"center"` (default), `"stretch"` or `"pad"`.
    #[serde(default)]
    pub crop: Crop,
    /// The colour behind transparent pixels and around padded images, as `[red, green, blue]` of 0 … 255. Default white.
    #[serde(default = "default_background")]
    pub background: [u8; 3],
    /// Whether training shows every image mirrored left to right half of the time. Leave it off (the default) where
    /// mirrored pictures are wrong, as with text and flags.
    #[serde(default)]
    pub flip: bool,
    /// Which part of a set that comes in parts: `"train"` (default), `"validation"`, `"test"` or what else stands between
    /// delimiters in the names of files, as in `mnist_train.parquet` and `set-val-000000.tar`. Class folders have no parts.
    #[serde(default = "default_split")]
    pub split: String,
    /// How the data lie on disk: `"auto"` (default), which finds out, or `"flat"`: images in one folder, with the class
    /// before the first underscore of each name, as openai/guided-diffusion has them.
    #[serde(default, skip_serializing_if = "Layout::is_auto")]
    pub layout: Layout,
    /// Where the image lies in a record: the column of a Parquet file, or the extension (`"jpg"`, `"input.png"`) in a tar
    /// shard. Left out, it is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_column: Option<String>,
    /// Where the label lies: the column of a Parquet file, the extension (`"txt"`) or the key of the `.json` in a tar
    /// shard, `"fine"` or `"coarse"` in CIFAR-100. Left out, it is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_column: Option<String>,
    /// Where the number of an image lies, such as its age: the column of a Parquet file, the key in the `.json` of a tar shard
    /// or in `metadata.jsonl`, or an array of a NumPy archive. Left out, images have no number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_column: Option<String>,
    /// The most memory that decoded images may take, in MiB (default 2048). A larger set is streamed: read and decoded
    /// again every epoch, ahead of the device. 0 streams any set.
    #[serde(default = "default_memory")]
    pub memory: u64,
    /// Threads that decode images of a streamed set; 0 (default) is half of the machine's.
    #[serde(default)]
    pub workers: usize,
    /// Other names for classes than those in the data, old to new, such as `{ n01443537 = "goldfish" }` for ImageNet's
    /// folders; where no class is called so, a key may be a class's id. The rest keep theirs, and their order stays.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub class_names: BTreeMap<String, String>,
}

/// How data lie on disk, where that is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// It is found out.
    #[default]
    Auto,
    /// Images in one folder, with the class before the first underscore of each name.
    Flat,
}

impl Layout {
    fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

fn default_channels() -> u32 {
    3
}

fn default_background() -> [u8; 3] {
    [255; 3]
}

fn default_split() -> String {
    "train".into()
}

fn default_memory() -> u64 {
    2048
}

impl DataRecipe {
    /// A section of which only the size is given.
    pub fn new(size: u32) -> Self {
        Self {
            size,
            channels: default_channels(),
            resize: Filter::default(),
            crop: Crop::default(),
            background: default_background(),
            flip: false,
            split: default_split(),
            layout: Layout::default(),
            image_column: None,
            label_column: None,
            number_column: None,
            memory: default_memory(),
            workers: 0,
            class_names: BTreeMap::new(),
        }
    }

    /// How an image is brought to the form that the network takes.
    pub fn transform(&self) -> Transform {
        Transform {
            size: self.size,
            channels: self.channels,
            resize: self.resize,
            crop: self.crop,
            background: self.background,
        }
    }

    /// Says what is wrong with the settings, if something is.
    pub fn validate(&self) -> Result<(), DataError> {
        let bad = |what: String| Err(DataError::Setting(what));
        if !(1..=LARGEST).contains(&self.size) {
            return bad(format!("size is {}; it must be 1 … {LARGEST}", self.size));
        }
        if self.channels != 1 && self.channels != 3 {
            return bad(format!("channels is {}; it must be 1 or 3", self.channels));
        }
        if let Some((class, _)) = self.class_names.iter().find(|(_, name)| name.is_empty()) {
            return bad(format!("class_names leaves \"{class}\" without a name"));
        }
        if self.workers > 1024 {
            return bad(format!("workers is {}; it must be 0 … 1024", self.workers));
        }
        Ok(())
    }

    /// The most bytes of decoded images that stay in memory.
    pub fn memory_bytes(&self) -> u64 {
        self.memory.saturating_mul(1 << 20)
    }

    /// Whether training sees the same images as with `other`, in the same order: what differs, if something does, is
    /// where they are kept and who decodes them.
    pub fn same_images(&self, other: &Self) -> bool {
        let same = Self {
            memory: other.memory,
            workers: other.workers,
            ..self.clone()
        };
        same == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_has_defaults_and_refuses_unknown_fields() {
        let section: DataRecipe = toml::from_str("size = 16").unwrap();
        assert_eq!(section, DataRecipe::new(16));
        let text = "size = 8\nchannels = 1\nresize = \"area\"\ncrop = \"pad\"\nbackground = [0, 1, 2]\nflip = true\n\
                    split = \"test\"\nimage_column = \"img\"\nlabel_column = \"fine\"\nmemory = 0\nworkers = 3\nclass_names = { n1 = \"cat\" }";
        let full: DataRecipe = toml::from_str(text).unwrap();
        assert_eq!(
            (full.resize, full.crop, full.background, full.flip),
            (Filter::Area, Crop::Pad, [0, 1, 2], true)
        );
        assert_eq!(full.class_names["n1"], "cat");
        assert_eq!(
            toml::from_str::<DataRecipe>(&toml::to_string(&full).unwrap()).unwrap(),
            full
        );
        for bad in [
            "",
            "size = 8\nfilp = true",
            "size = 8\nresize = \"cubic\"",
            "size = -1",
        ] {
            assert!(toml::from_str::<DataRecipe>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn settings_without_meaning_are_refused() {
        assert!(DataRecipe::new(1).validate().is_ok());
        for bad in [
            DataRecipe::new(0),
            DataRecipe::new(2049),
            DataRecipe {
                channels: 4,
                ..DataRecipe::new(8)
            },
            DataRecipe {
                class_names: [("n1".into(), String::new())].into(),
                ..DataRecipe::new(8)
            },
        ] {
            assert!(matches!(bad.validate(), Err(DataError::Setting(_))));
        }
    }

    #[test]
    fn memory_and_workers_do_not_change_what_is_seen() {
        let one = DataRecipe::new(8);
        let other = DataRecipe {
            memory: 0,
            workers: 7,
            ..one.clone()
        };
        assert!(one.same_images(&other));
        let larger = DataRecipe {
            size: 9,
            ..other.clone()
        };
        assert!(!one.same_images(&larger));
    }
}
