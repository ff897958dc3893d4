//! Arrays by name, of which one is the images and one the labels: NumPy's archives, and pickled dictionaries.

use std::path::{Path, PathBuf};

use super::npy::Integer;
use super::{Arrays, Block, Form};
use crate::error::counted;
use crate::labels::of_places;
use crate::parts::{self, Part};
use crate::positioned::Positioned;
use crate::{Attributes, Beside, DataError, DataRecipe, Warning, names_file, recognise};

/// An array somewhere in a file.
pub struct Array {
    /// What it is called.
    pub name: String,
    /// What its numbers are, as NumPy writes it.
    pub descr: String,
    /// Its sizes.
    pub dims: Vec<u64>,
    /// Where its numbers are.
    pub numbers: Numbers,
}

/// Where numbers are.
pub enum Numbers {
    /// In a file, from this byte on.
    Stored(Positioned, u64),
    /// In memory, where a list held them.
    Listed(Vec<u32>),
    /// Packed in a member of an archive, which is unpacked when it is wanted.
    Packed(Box<dyn Fn() -> Result<(Positioned, u64), DataError> + Send + Sync>),
}

/// The arrays of one file.
pub struct Table {
    /// Its path.
    pub path: PathBuf,
    /// Its arrays.
    pub arrays: Vec<Array>,
}

/// The images and labels of one file.
struct Labelled {
    block: Block,
    labels: Vec<u32>,
    /// How many attributes there are and which each image has, where it has a row of flags.
    attributes: Option<(usize, Vec<Vec<u32>>)>,
    /// The number of each image.
    numbers: Vec<Option<f64>>,
    /// Whether it is downsampled ImageNet, whose labels begin at 1.
    imagenet: bool,
}

/// A data set of such files.
pub fn open(
    dir: &Path,
    part: &Part,
    tables: Vec<Table>,
    noun: &str,
    names: Option<Vec<String>>,
    recipe: &DataRecipe,
    report: &mut dyn FnMut(Warning),
) -> Result<Arrays, DataError> {
    let names = match names {
        None => names_file::beside(tables.first().map_or(dir, |table| &table.path))?,
        names => names,
    };
    let count = tables.len();
    let (mut blocks, mut labels) = (Vec::new(), Vec::new());
    let mut imagenet = true;
    let mut attributes: Option<Attributes> = None;
    let mut count_of = 0;
    let mut numbers = recipe.number_column.as_ref().map(|_| Vec::new());
    let mut note = String::new();
    for table in tables {
        let (table, part) = table.of_split(&recipe.split)?;
        note = part;
        let labelled = table.labelled(recipe)?;
        imagenet &= labelled.imagenet;
        if let Some((flags, of_file)) = labelled.attributes {
            if !blocks.is_empty() && count_of != flags {
                return Err(DataError::Mixed {
                    one: dir.into(),
                    other: labelled.block.path,
                    reason: "their images have other attributes".into(),
                });
            }
            count_of = flags;
            let all = attributes.get_or_insert_default();
            of_file.into_iter().for_each(|ids| all.push(ids));
        }
        if let Some(numbers) = &mut numbers {
            numbers.extend(labelled.numbers);
        }
        blocks.push(labelled.block);
        match labels.is_empty() {
            true => labels = labelled.labels,
            false => labels.extend(labelled.labels),
        }
    }
    if imagenet && !labels.contains(&0) {
        labels.iter_mut().for_each(|label| *label -= 1);
    }
    let name_of = |index: usize| format!("image {index} of {}", dir.display());
    let mixed = attributes
        .as_ref()
        .is_some_and(|all| all.len() != labels.len());
    let names = match names {
        None if attributes.is_some() => Some((0..count_of).map(|id| id.to_string()).collect()),
        names => names,
    };
    let shown = match &attributes {
        _ if mixed => return Err(mixed_labels(dir)),
        Some(attributes) => attributes.all(),
        None => &labels,
    };
    let classes = of_places(shown, names, &name_of)?;
    recognise::report_classes_without_images(&classes, shown, report);
    let files = match noun.split_once(" of ") {
        Some((noun, of)) if count > 1 => format!("{count} {noun}es of {of}"),
        _ => counted(count, noun),
    };
    let description = format!("{files}{}{note}", part.note());
    let beside = Beside {
        attributes,
        numbers,
    };
    Ok(Arrays::new(description, blocks, classes, labels).beside(beside))
}

/// Files of which some have classes and some rows of flags.
fn mixed_labels(dir: &Path) -> DataError {
    DataError::Columns {
        path: dir.into(),
        reason: "some of its files have one label for each image, and others have several".into(),
    }
}

impl Table {
    /// The arrays of a part, where their names say parts: `train_images`, `x_test`.
    fn of_split(mut self, split: &str) -> Result<(Self, String), DataError> {
        let named = |array: &Array| parts::part_of(&array.name).is_some();
        if !self.arrays.iter().any(named) {
            return Ok((self, String::new()));
        }
        let names = self.arrays.iter().map(|array| array.name.clone());
        let names: Vec<String> = names.collect();
        self.arrays.retain(|array| parts::is_of(&array.name, split));
        match self.arrays.is_empty() {
            false => Ok((self, format!(" of the part \"{split}\""))),
            true => Err(DataError::NoSplit {
                path: self.path,
                split: split.into(),
                found: names,
            }),
        }
    }

    fn labelled(mut self, recipe: &DataRecipe) -> Result<Labelled, DataError> {
        let path = self.path.clone();
        let columns = |reason: String| DataError::Columns {
            path: path.clone(),
            reason,
        };
        let image = self.pick_images(recipe).map_err(columns)?;
        let image = self.arrays.swap_remove(image);
        let (form, planes) =
            form(&image).ok_or_else(|| columns(format!("{} is no array of images", image.name)))?;
        let label = self.pick_labels(recipe, image.dims[0]).map_err(columns)?;
        let label = self.arrays.swap_remove(label);
        let imagenet = planes && image.name == "data" && label.name == "labels";
        let count = usize::try_from(image.dims[0]).unwrap_or(usize::MAX);
        let (labels, attributes) = match label.dims[..] {
            [_, flags] if flags > 1 => {
                let attributes = label.flags(&path)?;
                (
                    vec![0; attributes.len()],
                    Some((flags as usize, attributes)),
                )
            }
            _ => (label.labels(&path)?, None),
        };
        let numbers = match &recipe.number_column {
            Some(wanted) => self.numbers(wanted, count)?,
            None => Vec::new(),
        };
        let (file, offset) = image.numbers.open(&path)?;
        let block = Block {
            path,
            noun: "image",
            file,
            offset,
            stride: form.bytes() as u64,
            count: image.dims[0] as usize,
            form,
        };
        let end = block.stride.checked_mul(image.dims[0]);
        let end = end.and_then(|bytes| bytes.checked_add(offset));
        match end {
            Some(end) if end <= block.file.len() && block.count > 0 => Ok(Labelled {
                block,
                labels,
                attributes,
                numbers,
                imagenet,
            }),
            _ => Err(DataError::Torn {
                path: block.path,
                reason: format!("the numbers of {} are missing", image.name),
            }),
        }
    }

    /// The one array of images, or the one that was asked for.
    fn pick_images(&self, recipe: &DataRecipe) -> Result<usize, String> {
        let fits = |array: &Array| form(array).is_some();
        self.pick(
            "images",
            "data.image_column",
            recipe.image_column.as_deref(),
            &fits,
            &[],
        )
    }

    /// The one array of a label for each of `count` images, or the one that was asked for. A row of flags for each image
    /// counts by its name, or where nothing else could be the labels.
    fn pick_labels(&self, recipe: &DataRecipe, count: u64) -> Result<usize, String> {
        let one = |array: &Array| array.is_labels(count);
        let any = |array: &Array| array.is_labels(count) || array.is_flags(count);
        let usual = ["fine_labels", "labels", "label", "targets", "y", "arr_1"];
        let wanted = recipe.label_column.as_deref();
        let named = |array: &&Array| any(array) && usual.contains(&plain(&array.name));
        let only_flags = !self.arrays.iter().any(one);
        let all = wanted.is_some() || only_flags || self.arrays.iter().any(|a| named(&a));
        let fits: &dyn Fn(&Array) -> bool = if all { &any } else { &one };
        self.pick("labels", "data.label_column", wanted, fits, &usual)
    }

    /// The numbers of `count` images in the array of this name.
    fn numbers(&mut self, wanted: &str, count: usize) -> Result<Vec<Option<f64>>, DataError> {
        let path = self.path.clone();
        let fits = |array: &Array| {
            let one = matches!(array.dims[..], [n] | [n, 1] if n == count as u64);
            one && (Integer::of(&array.descr).is_some() || float(&array.descr).is_some())
        };
        let option = "data.number_column";
        let picked = self.pick("numbers", option, Some(wanted), &fits, &[]);
        let picked = picked.map_err(|reason| DataError::Columns {
            path: path.clone(),
            reason,
        })?;
        self.arrays.swap_remove(picked).numbers_of(&path, count)
    }

    fn pick(
        &self,
        what: &str,
        option: &str,
        wanted: Option<&str>,
        fits: &dyn Fn(&Array) -> bool,
        usual: &[&str],
    ) -> Result<usize, String> {
        let all = || {
            let arrays = self.arrays.iter();
            let arrays: Vec<String> = arrays.map(Array::describe).collect();
            arrays.join(", ")
        };
        let places = 0..self.arrays.len();
        let fitting: Vec<usize> = places.filter(|&at| fits(&self.arrays[at])).collect();
        if let Some(wanted) = wanted {
            let named = |&&at: &&usize| {
                let name = &self.arrays[at].name;
                name == wanted || [wanted, &format!("{wanted}_labels")].contains(&plain(name))
            };
            let found = fitting.iter().find(named).copied();
            return found.ok_or_else(|| {
                format!(
                    "{option} is \"{wanted}\", which is no array of {what}; it holds {}",
                    all()
                )
            });
        }
        for name in usual {
            let named = |&&at: &&usize| plain(&self.arrays[at].name) == *name;
            if let Some(&at) = fitting.iter().find(named) {
                return Ok(at);
            }
        }
        match fitting[..] {
            [at] => Ok(at),
            [] => Err(format!("it holds no array of {what}, but {}", all())),
            _ => Err(format!(
                "which array holds the {what} is not clear: {}; --set {option}=NAME names it",
                all()
            )),
        }
    }
}

/// A name without the part that it says: `labels` of `train_labels`, `y` of `y_test`.
fn plain(name: &str) -> &str {
    let (before, after) = match name.split_once('_') {
        Some(both) => both,
        None => return name,
    };
    match (parts::part_of(before), parts::part_of(after)) {
        (Some(_), None) => after,
        (None, Some(_)) => before,
        _ => name,
    }
}

/// The form of an array's images, and whether they are rows of planes: `[N, H, W]`, `[N, H, W, C]`, or `[N, 3·S²]`, the
/// red, the green and the blue plane of a square as CIFAR and downsampled ImageNet have them.
fn form(array: &Array) -> Option<(Form, bool)> {
    if array.descr != "|u1" {
        return None;
    }
    let (height, width, channels, planes) = match array.dims[..] {
        [_, height, width] => (height, width, 1, false),
        [_, height, width, channels @ (1 | 3 | 4)] => (height, width, channels, false),
        [_, 3, height, width] => (height, width, 3, true),
        [_, row] => {
            let side = (row / 3).isqrt();
            (side > 1 && 3 * side * side == row).then_some((side, side, 3, true))?
        }
        _ => return None,
    };
    let most = u64::from(u16::MAX);
    ((1..=most).contains(&height) && (1..=most).contains(&width)).then_some((
        Form {
            width: width as usize,
            height: height as usize,
            channels: channels as usize,
            planes,
        },
        array.dims.len() == 2,
    ))
}

impl Array {
    /// `labels (|u1, 12×1)`, for people.
    fn describe(&self) -> String {
        let dims: Vec<String> = self.dims.iter().map(u64::to_string).collect();
        format!("{} ({}, {})", self.name, self.descr, dims.join("×"))
    }

    fn is_labels(&self, count: u64) -> bool {
        let one = matches!(self.dims[..], [n] | [n, 1] if n == count);
        one && (matches!(self.numbers, Numbers::Listed(_)) || Integer::of(&self.descr).is_some())
    }

    /// Whether it has a row of flags for each of so many images.
    fn is_flags(&self, count: u64) -> bool {
        let rows = matches!(self.dims[..], [n, flags] if n == count && (2..=4096).contains(&flags));
        rows && matches!(&*self.descr, "|u1" | "|i1" | "|b1")
    }

    /// Which flags of each row are set.
    fn flags(self, path: &Path) -> Result<Vec<Vec<u32>>, DataError> {
        let (rows, flags) = (self.dims[0], self.dims[1] as usize);
        let (name, count) = (self.name, usize::try_from(rows).unwrap_or(usize::MAX));
        let (file, mut at) = self.numbers.open(path)?;
        let mut all = Vec::new();
        for row in 0..count {
            let read = file.read_at(at, flags).map_err(|source| DataError::Io {
                path: path.into(),
                source,
            })?;
            if let Some(other) = read.iter().find(|&&flag| flag > 1) {
                return Err(DataError::Columns {
                    path: path.into(),
                    reason: format!(
                        "{name} has {other} for image {row}, where 0 or 1 says whether it has an attribute"
                    ),
                });
            }
            let set = (0..).zip(&read).filter(|(_, flag)| **flag == 1);
            all.push(set.map(|(id, _)| id).collect());
            at += flags as u64;
        }
        Ok(all)
    }

    /// Its numbers; none of what is not finite.
    fn numbers_of(self, path: &Path, count: usize) -> Result<Vec<Option<f64>>, DataError> {
        let descr = self.descr.clone();
        let bytes = match (Integer::of(&descr), float(&descr)) {
            (Some(integer), _) => integer.bytes,
            (None, Some(bytes)) => bytes,
            (None, None) => return Ok(vec![None; count]),
        };
        let (file, at) = self.numbers.open(path)?;
        let mut numbers = Vec::new();
        for image in 0..count as u64 {
            let read = file.read_at(at + image * bytes as u64, bytes);
            let read = read.map_err(|source| DataError::Io {
                path: path.into(),
                source,
            })?;
            numbers.push(number(&descr, &read).filter(|number| number.is_finite()));
        }
        Ok(numbers)
    }

    /// Its numbers as ids.
    fn labels(self, path: &Path) -> Result<Vec<u32>, DataError> {
        let integer = Integer::of(&self.descr);
        let (file, mut at, integer) = match (self.numbers, integer) {
            (Numbers::Listed(labels), _) => return Ok(labels),
            (numbers, Some(integer)) => {
                let (file, at) = numbers.open(path)?;
                (file, at, integer)
            }
            (_, None) => return Ok(Vec::new()),
        };
        let count = usize::try_from(self.dims[0]).unwrap_or(usize::MAX);
        let torn = || DataError::Torn {
            path: path.into(),
            reason: format!("the numbers of {} are missing", self.name),
        };
        let bytes = count.checked_mul(integer.bytes).ok_or_else(torn)?;
        if at
            .checked_add(bytes as u64)
            .is_none_or(|end| end > file.len())
        {
            return Err(torn());
        }
        let mut labels = Vec::with_capacity(count);
        while labels.len() < count {
            let some = (count - labels.len()).min(2048);
            let read = file.read_at(at, some * integer.bytes);
            let read = read.map_err(|source| DataError::Io {
                path: path.into(),
                source,
            })?;
            for number in read.chunks_exact(integer.bytes) {
                labels.push(integer.id(number).ok_or_else(|| DataError::Columns {
                    path: path.into(),
                    reason: format!(
                        "the label of image {} in {} is no class: it is below 0 or above 2³²",
                        labels.len(),
                        self.name
                    ),
                })?);
            }
            at += read.len() as u64;
        }
        Ok(labels)
    }
}

/// Bytes of one float of a kind, if it is one.
fn float(descr: &str) -> Option<usize> {
    match descr {
        "<f4" => Some(4),
        "<f8" => Some(8),
        _ => None,
    }
}

/// A number of a kind.
fn number(descr: &str, bytes: &[u8]) -> Option<f64> {
    match descr {
        "<f4" => Some(f32::from_le_bytes(bytes.try_into().ok()?).into()),
        "<f8" => Some(f64::from_le_bytes(bytes.try_into().ok()?)),
        _ => Integer::of(descr)?.value(bytes),
    }
}

impl Numbers {
    fn open(self, path: &Path) -> Result<(Positioned, u64), DataError> {
        match self {
            Self::Stored(file, at) => Ok((file, at)),
            Self::Packed(unpack) => unpack(),
            Self::Listed(_) => Err(DataError::Columns {
                path: path.into(),
                reason: "a list is no array of images".into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(name: &str, descr: &str, dims: &[u64]) -> Array {
        Array {
            name: name.into(),
            descr: descr.into(),
            dims: dims.to_vec(),
            numbers: Numbers::Listed(Vec::new()),
        }
    }

    #[test]
    fn images_are_known_by_their_shape() {
        let form = |dims: &[u64]| form(&array("x", "|u1", dims)).map(|(form, _)| form);
        let of = |width, height, channels, planes| Form {
            width,
            height,
            channels,
            planes,
        };
        assert_eq!(form(&[5, 28, 27]), Some(of(27, 28, 1, false)));
        assert_eq!(form(&[5, 28, 27, 3]), Some(of(27, 28, 3, false)));
        assert_eq!(form(&[5, 3, 28, 27]), Some(of(27, 28, 3, true)));
        assert_eq!(form(&[5, 12_288]), Some(of(64, 64, 3, true)));
        for no in [&[5][..], &[5, 3073], &[5, 3], &[5, 28, 28, 2], &[5, 0, 28]] {
            assert_eq!(form(no), None, "{no:?}");
        }
    }

    #[test]
    fn names_say_parts_before_or_behind() {
        for (name, expected) in [
            ("train_labels", "labels"),
            ("y_test", "y"),
            ("fine_labels", "fine_labels"),
            ("data", "data"),
            ("arr_1", "arr_1"),
        ] {
            assert_eq!(plain(name), expected);
        }
    }
}
