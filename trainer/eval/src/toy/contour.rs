//! Contour lines by marching squares (Lorensen & Cline 1987, in two dimensions).

use std::collections::HashMap;

/// A function at the points of a square grid: `values[row * side + column]`.
pub struct Grid {
    /// The number of points along each side.
    pub side: usize,
    /// The values, row by row.
    pub values: Vec<f64>,
}

/// A point in units of grid points: (column, row).
pub type Point = (f64, f64);

/// An edge of the grid: from a point to the next one in its row (`false`) or in its column (`true`).
type Edge = (usize, usize, bool);

impl Grid {
    /// The value at a point; outside there is nothing, so that every contour closes.
    fn at(&self, column: isize, row: isize) -> f64 {
        let inside = |k: isize| (0..self.side as isize).contains(&k);
        match inside(column) && inside(row) {
            true => self.values[row as usize * self.side + column as usize],
            false => f64::NEG_INFINITY,
        }
    }

    /// The closed contours around the regions above `level`. The region is on the same side of every line, so the
    /// outline of a hole has the opposite orientation.
    pub fn contours(&self, level: f64) -> Vec<Vec<Point>> {
        // A contour enters a cell through one edge and leaves it through another.
        let mut next: HashMap<Edge, Edge> = HashMap::new();
        for row in 0..=self.side {
            for column in 0..=self.side {
                for (from, to) in self.cell(column, row, level) {
                    next.insert(from, to);
                }
            }
        }
        let mut starts: Vec<Edge> = next.keys().copied().collect();
        starts.sort_unstable();
        let mut lines = Vec::new();
        for start in starts {
            let (mut line, mut edge) = (Vec::new(), start);
            while let Some(to) = next.remove(&edge) {
                line.push(self.crossing(edge, level));
                edge = to;
            }
            if line.len() > 2 {
                lines.push(line);
            }
        }
        lines
    }

    /// The segments in the cell whose last corner is (column, row), with the region on their left.
    fn cell(&self, column: usize, row: usize, level: f64) -> Vec<(Edge, Edge)> {
        let (x, y) = (column as isize, row as isize);
        let above = |dx, dy| self.at(x - 1 + dx, y - 1 + dy) > level;
        let corners = [above(0, 0), above(1, 0), above(1, 1), above(0, 1)];
        // Coordinates are shifted by one, so that the border has indices too.
        let edges = [
            (column, row, false),
            (column + 1, row, true),
            (column, row + 1, false),
            (column, row, true),
        ];
        // Side k is between corners k and k + 1. In this order, a segment starts where the region ends.
        let leaves = (0..4).filter(|&k| corners[k] && !corners[(k + 1) % 4]);
        leaves
            .filter_map(|k| {
                // Go back along the corners of the region to the side where it begins.
                let begins = (1..4).map(|d| (k + 4 - d) % 4);
                let enters = begins
                    .clone()
                    .find(|&j| !corners[j] && corners[(j + 1) % 4])?;
                Some((edges[k], edges[enters]))
            })
            .collect()
    }

    /// The point on an edge where the level is crossed, by linear interpolation.
    fn crossing(&self, (column, row, down): Edge, level: f64) -> Point {
        let (x, y) = (column as isize - 1, row as isize - 1);
        let (dx, dy) = if down { (0, 1) } else { (1, 0) };
        let (a, b) = (self.at(x, y), self.at(x + dx, y + dy));
        // At the border, the line stays on it.
        let t = match (a.is_finite(), b.is_finite()) {
            (true, true) => (level - a) / (b - a),
            (true, false) => 0.0,
            _ => 1.0,
        };
        (x as f64 + t * dx as f64, y as f64 + t * dy as f64)
    }
}

/// Twice the signed area within a line. The sign distinguishes outlines from holes.
#[cfg(test)]
fn double_area(line: &[Point]) -> f64 {
    let next = line.iter().cycle().skip(1);
    line.iter()
        .zip(next)
        .map(|(a, b)| a.0 * b.1 - b.0 * a.1)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(side: usize, f: impl Fn(f64, f64) -> f64) -> Grid {
        let values = (0..side * side).map(|i| f((i % side) as f64, (i / side) as f64));
        Grid {
            side,
            values: values.collect(),
        }
    }

    #[test]
    fn a_cone_has_a_circle_of_the_right_area() {
        let cone = grid(41, |x, y| -(x - 20.0).hypot(y - 20.0));
        let lines = cone.contours(-10.0);
        assert_eq!(lines.len(), 1);
        let area = double_area(&lines[0]).abs() / 2.0;
        assert!(
            (area / (std::f64::consts::PI * 100.0) - 1.0).abs() < 0.01,
            "{area}"
        );
        let on_circle = |p: &Point| ((p.0 - 20.0).hypot(p.1 - 20.0) - 10.0).abs() < 0.05;
        assert!(lines[0].iter().all(on_circle));
    }

    #[test]
    fn a_ring_has_an_outline_and_a_hole_that_runs_the_other_way() {
        let ring = grid(41, |x, y| -((x - 20.0).hypot(y - 20.0) - 10.0).abs());
        let mut areas: Vec<f64> = ring.contours(-3.0).iter().map(|l| double_area(l)).collect();
        areas.sort_by(f64::total_cmp);
        assert_eq!(areas.len(), 2);
        assert!(areas[0] < 0.0 && areas[1] > 0.0, "{areas:?}");
    }

    #[test]
    fn two_hills_have_two_lines_and_a_plain_that_fills_the_grid_has_its_border() {
        let hill = |x: f64, y: f64, cx: f64| (-((x - cx).powi(2) + (y - 10.0).powi(2)) / 4.0).exp();
        let hills = grid(21, |x, y| hill(x, y, 5.0) + hill(x, y, 15.0));
        assert_eq!(hills.contours(0.5).len(), 2);
        let border = grid(5, |_, _| 1.0).contours(0.0);
        assert_eq!(border.len(), 1);
        assert!((double_area(&border[0]).abs() / 2.0 - 16.0).abs() < 1e-9);
    }
}
