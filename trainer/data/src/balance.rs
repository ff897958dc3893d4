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
    let line = |class: usize| {
        let share = 100.0 * counts[class] as f64 / total.max(1) as f64;
        format!("  {:8}  {share:5.1} %  {}", counts[class], classes[class])
    };
    let mut by_size: Vec<usize> = (0..classes.len()).collect();
    by_size.sort_by_key(|&class| counts[class]);
    let sizes = match (by_size.first(), by_size.last()) {
        (Some(&least), Some(&most)) if counts[least] == counts[most] => {
            format!("{} each", counts[most])
        }
        (Some(&least), Some(&most)) => format!("{} to {} each", counts[least], counts[most]),
        _ => String::new(),
    };
    let classes_in_words = match classes.len() {
        1 => "1 class".to_owned(),
        n => format!("{n} classes"),
    };
    let mut lines = vec![format!(
        "{} of {classes_in_words}, {sizes}:",
        counted(total, "image")
    )];
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
