//! Vectors of one length, a row an image.

/// Features or class probabilities, one row per image. f32 takes half the memory of f64 and has more digits than any
/// network gives.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rows {
    width: usize,
    values: Vec<f32>,
}

impl Rows {
    /// Contiguous rows of `width` values each.
    ///
    /// # Panics
    ///
    /// If `values` is not a whole number of rows.
    pub fn new(width: usize, values: Vec<f32>) -> Self {
        assert!(
            width > 0 && values.len().is_multiple_of(width),
            "whole rows of {width}, not {} values",
            values.len()
        );
        Self { width, values }
    }

    /// No rows, with capacity for `count`.
    pub fn with_capacity(width: usize, count: usize) -> Self {
        Self::new(width, Vec::with_capacity(width * count))
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The length of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// One row.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    /// All values, row after row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Appends the rows of `other`.
    ///
    /// # Panics
    ///
    /// If they have another length.
    pub fn append(&mut self, other: &Self) {
        assert_eq!(self.width, other.width, "rows of one length");
        self.values.extend_from_slice(&other.values);
    }

    /// The first `count` rows.
    pub fn truncate(&mut self, count: usize) {
        self.values.truncate(count * self.width);
    }

    /// The rows at `indices`, in that order.
    pub fn select(&self, indices: &[usize]) -> Self {
        let mut values = Vec::with_capacity(indices.len() * self.width);
        for &index in indices {
            values.extend_from_slice(self.row(index));
        }
        Self::new(self.width, values)
    }
}
