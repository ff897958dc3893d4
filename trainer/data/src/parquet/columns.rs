//! Which columns hold the images and the labels.

use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::schema::types::ColumnDescriptor;

use super::features::Features;
use super::file::ParquetFile;
use crate::{DataError, DataRecipe};

/// Names of a column of labels, where nothing else tells.
const USUAL_LABELS: [&str; 7] = [
    "label",
    "labels",
    "class",
    "cls",
    "target",
    "attributes",
    "tags",
];

/// The columns that are read, as numbers of leaves of the schema.
#[derive(Debug, Clone)]
pub struct Columns {
    /// Bytes.
    pub image: usize,
    /// Its name.
    pub image_name: String,
    /// Texts beside the bytes: the files that images came from.
    pub path: Option<usize>,
    /// Integers or names, or lists of them.
    pub label: usize,
    /// Its name.
    pub label_name: String,
    /// Numbers, where the recipe names their column.
    pub number: Option<usize>,
}

/// A leaf of the schema that could serve.
struct Leaf {
    number: usize,
    /// That of the top column: `image` of `image.bytes`.
    name: String,
}

impl Columns {
    /// The columns that the recipe names, or else those that there is no doubt about.
    pub fn choose(
        file: &ParquetFile,
        features: &Features,
        recipe: &DataRecipe,
    ) -> Result<Self, DataError> {
        let images = leaves(file, is_image);
        let labels = labels(file, features, recipe);
        let image = pick(
            file,
            "images",
            "data.image_column",
            images,
            recipe.image_column.as_deref(),
            &features.of_type("Image"),
            &[],
        )?;
        let label = pick(
            file,
            "labels",
            "data.label_column",
            labels,
            recipe.label_column.as_deref(),
            &features.of_type("ClassLabel"),
            &USUAL_LABELS,
        )?;
        let path = leaves(file, |column| {
            matches!(column.path().parts(), [_, inner] if inner == "path") && is_text(column)
        });
        let path = path.into_iter().find(|leaf| leaf.name == image.name);
        let number = match &recipe.number_column {
            Some(wanted) => Some(pick(
                file,
                "numbers",
                "data.number_column",
                leaves(file, is_number),
                Some(wanted),
                &[],
                &[],
            )?),
            None => None,
        };
        Ok(Self {
            number: number.map(|leaf| leaf.number),
            image: image.number,
            path: path.map(|leaf| leaf.number),
            image_name: image.name,
            label: label.number,
            label_name: label.name,
        })
    }

    /// Whether another file of the set has the same columns in the same places.
    pub fn check(&self, first: &ParquetFile, file: &ParquetFile) -> Result<(), DataError> {
        let others = self.path.into_iter().chain(self.number);
        for number in [self.image, self.label].into_iter().chain(others) {
            let (one, other) = (first.column(number), file.column(number));
            let same = one.zip(other).is_some_and(|(one, other)| {
                one.path() == other.path() && one.physical_type() == other.physical_type()
            });
            if !same {
                return Err(DataError::Mixed {
                    one: first.path.clone(),
                    other: file.path.clone(),
                    reason: "they have other columns".into(),
                });
            }
        }
        Ok(())
    }
}

/// The columns that could hold labels. Lists are among them only where they are asked for, or where one has the type or
/// a name of labels and no other column has: many a list says where something is in an image.
fn labels(file: &ParquetFile, features: &Features, recipe: &DataRecipe) -> Vec<Leaf> {
    let (plain, lists) = (leaves(file, is_label), lists(file));
    let typed = features.of_type("ClassLabel");
    let has = |leaves: &[Leaf]| {
        leaves.iter().any(|leaf| match &recipe.label_column {
            Some(wanted) => leaf.name == *wanted,
            None => typed.contains(&&*leaf.name) || USUAL_LABELS.contains(&&*leaf.name),
        })
    };
    match !has(&plain) && has(&lists) {
        true => lists,
        false => plain,
    }
}

/// Lists of integers or of texts.
fn lists(file: &ParquetFile) -> Vec<Leaf> {
    let columns = file.columns().iter().enumerate();
    columns
        .filter(|(_, column)| {
            let kind = column.physical_type();
            let parts = column.path().parts();
            // The levels of a list: its name, `list` and `element`, or the name alone.
            column.max_rep_level() == 1
                && (parts.len() == 1 || parts.len() == 3)
                && (matches!(kind, Type::INT32 | Type::INT64)
                    || kind == Type::BYTE_ARRAY && is_text(column))
        })
        .map(|(number, column)| Leaf {
            number,
            name: column.path().parts()[0].clone(),
        })
        .collect()
}

fn is_number(column: &ColumnDescriptor) -> bool {
    let kinds = [Type::INT32, Type::INT64, Type::FLOAT, Type::DOUBLE];
    column.path().parts().len() == 1 && kinds.contains(&column.physical_type())
}

fn leaves(file: &ParquetFile, fits: fn(&ColumnDescriptor) -> bool) -> Vec<Leaf> {
    let columns = file.columns().iter().enumerate();
    columns
        .filter(|(_, column)| column.max_rep_level() == 0 && fits(column))
        .map(|(number, column)| Leaf {
            number,
            name: column.path().parts()[0].clone(),
        })
        .collect()
}

/// Bytes that are no text, alone or as the `bytes` of a struct.
fn is_image(column: &ColumnDescriptor) -> bool {
    let place = match column.path().parts() {
        [_] => true,
        [_, inner] => inner == "bytes",
        _ => false,
    };
    place && column.physical_type() == Type::BYTE_ARRAY && !is_text(column)
}

fn is_label(column: &ColumnDescriptor) -> bool {
    let kind = column.physical_type();
    column.path().parts().len() == 1
        && (matches!(kind, Type::INT32 | Type::INT64)
            || kind == Type::BYTE_ARRAY && is_text(column))
}

fn is_text(column: &ColumnDescriptor) -> bool {
    let text = [
        ConvertedType::UTF8,
        ConvertedType::ENUM,
        ConvertedType::JSON,
    ];
    matches!(
        column.logical_type_ref(),
        Some(LogicalType::String | LogicalType::Enum | LogicalType::Json)
    ) || text.contains(&column.converted_type())
}

/// One of some leaves: that which was asked for, or the only one of the right type, or of a usual name, or at all.
fn pick(
    file: &ParquetFile,
    what: &str,
    option: &str,
    mut leaves: Vec<Leaf>,
    wanted: Option<&str>,
    typed: &[&str],
    usual: &[&str],
) -> Result<Leaf, DataError> {
    let all: Vec<String> = leaves.iter().map(|leaf| leaf.name.clone()).collect();
    let error = |reason: String| DataError::Columns {
        path: file.path.clone(),
        reason,
    };
    let list = || match all.len() {
        0 => "no column could hold them".to_owned(),
        _ => format!("columns that could hold them: {}", all.join(", ")),
    };
    if let Some(wanted) = wanted {
        let place = all.iter().position(|name| name == wanted);
        return match place {
            Some(place) => Ok(leaves.swap_remove(place)),
            None => Err(error(format!(
                "{option} is \"{wanted}\", which is no column of {what}; {}",
                list()
            ))),
        };
    }
    for names in [typed, usual] {
        let mut places = (0..all.len()).filter(|&place| names.contains(&all[place].as_str()));
        if let (Some(place), None) = (places.next(), places.next()) {
            return Ok(leaves.swap_remove(place));
        }
    }
    match leaves.len() {
        1 => Ok(leaves.swap_remove(0)),
        _ => Err(error(format!(
            "which column holds the {what} is not clear: {}; --set {option}=NAME names it",
            list()
        ))),
    }
}
