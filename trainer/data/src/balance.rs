//! How the images of a data set are spread over its classes.

use super::error::counted;

/// The most classes that are listed one by one.
const MOST_LISTED: usize = 40;

/// Of more, the smallest and the largest that are.
const SMALLEST_AND_LARGEST: usize = 5;

/// The number of images and of classes, the balance between them, and a line a class; of very many classes only the
/// smallest and the largest.
pub fn lines(classes: &[String], counts: &[usize]) -> Vec<String> {
    let total: usize = counts.iter().sum();
    let mut lines = vec![heading(total, classes, counts, "class", "classes")];
    lines.extend(listed(classes, counts, total));
    lines
}

/// The same of attributes, of which each of so many images may have several.
pub fn of_attributes(classes: &[String], counts: &[usize], images: usize) -> Vec<String> {
    let mut lines = vec![heading(images, classes, counts, "attribute", "attributes")];
    lines.extend(listed(classes, counts, images));
    lines
}

/// The range of the numbers of all images.
pub fn of_numbers(numbers: &[Option<f64>]) -> String {
    let given = || numbers.iter().flatten().copied();
    let (min, max) = (
        given().fold(f64::MAX, f64::min),
        given().fold(f64::MIN, f64::max),
    );
    match given().count() {
        0 => "no image has a number".to_owned(),
        count => format!(
            "{} with a number, from {min} to {max}",
            counted(count, "image")
        ),
    }
}

/// The number of images and of classes, and the balance between them.
fn heading(
    images: usize,
    classes: &[String],
    counts: &[usize],
    one: &str,
    several: &str,
) -> String {
    let sizes = match (counts.iter().min(), counts.iter().max()) {
        (Some(least), Some(most)) if least == most => format!("{most} each"),
        (Some(least), Some(most)) => format!("{least} to {most} each"),
        _ => String::new(),
    };
    let classes = match classes.len() {
        1 => format!("1 {one}"),
        n => format!("{n} {several}"),
    };
    format!("{} of {classes}, {sizes}:", counted(images, "image"))
}

/// A line a class, of very many only the smallest and the largest; shares are of `total`.
fn listed(classes: &[String], counts: &[usize], total: usize) -> Vec<String> {
    let line = |class: usize| {
        let share = 100.0 * counts[class] as f64 / total.max(1) as f64;
        format!("  {:8}  {share:5.1} %  {}", counts[class], classes[class])
    };
    let mut by_size: Vec<usize> = (0..classes.len()).collect();
    by_size.sort_by_key(|&class| counts[class]);
    let mut lines = Vec::new();
    if classes.len() <= MOST_LISTED {
        lines.extend((0..classes.len()).map(line));
    } else {
        let (few, many) = (
            &by_size[..SMALLEST_AND_LARGEST],
            &by_size[by_size.len() - SMALLEST_AND_LARGEST..],
        );
        lines.extend(few.iter().map(|&class| line(class)));
        lines.push(format!(
            "         …           {} more classes",
            classes.len() - 2 * SMALLEST_AND_LARGEST
        ));
        lines.extend(many.iter().map(|&class| line(class)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_class_with_its_share() {
        let classes = ["cat".to_owned(), "dog".to_owned()];
        assert_eq!(
            lines(&classes, &[1, 3]),
            [
                "4 images of 2 classes, 1 to 3 each:",
                "         1   25.0 %  cat",
                "         3   75.0 %  dog",
            ]
        );
        assert_eq!(
            lines(&classes, &[2, 2])[0],
            "4 images of 2 classes, 2 each:"
        );
    }

    #[test]
    fn shares_of_attributes_are_of_images() {
        let attributes = ["hat".to_owned(), "smiling".to_owned()];
        let expected = [
            "4 images of 2 attributes, 1 to 3 each:",
            "         1   25.0 %  hat",
            "         3   75.0 %  smiling",
        ];
        assert_eq!(of_attributes(&attributes, &[1, 3], 4), expected);
        let range = of_numbers(&[Some(3.5), None, Some(-1.0)]);
        assert_eq!(range, "2 images with a number, from -1 to 3.5");
        assert_eq!(of_numbers(&[None]), "no image has a number");
    }

    #[test]
    fn of_very_many_classes_the_extremes_are_listed() {
        let classes: Vec<String> = (0..1000).map(|class| format!("c{class}")).collect();
        let counts: Vec<usize> = (1..=1000).collect();
        let lines = lines(&classes, &counts);
        assert_eq!(lines.len(), 12);
        assert!(
            lines[1].ends_with(" c0") && lines[11].ends_with(" c999"),
            "{lines:?}"
        );
        assert!(lines[6].contains("990 more classes"), "{lines:?}");
    }
}
