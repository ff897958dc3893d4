//! Weights in the order in which kernels read them.

use burn::nn::Linear;
use burn::tensor::Tensor;
use burn_cubecl::cubecl::server::Handle;

use super::weights::{CopySizesLaunch, THREADS, copy_matrix};
use super::{Gpu, buffer, handle, launch};

/// A matrix of parameters on the device: a row for each number that is read, a column for each that is computed.
#[derive(Debug, Clone)]
pub(crate) struct Matrix {
    values: Handle,
    pub(super) rows: usize,
    pub(super) columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl Matrix {
    /// Of a convolution's weight, `[outputs, inputs, kernel, kernel]`.
    pub(crate) fn convolution(weight: Tensor<4>) -> Self {
        let [columns, inputs, height, width] = weight.dims();
        let rows = inputs * height * width;
        Self {
            values: handle(weight),
            rows,
            columns,
            row_stride: 1,
            column_stride: rows,
        }
    }

    /// Of a linear layer's weight, `[inputs, outputs]`, or of an embedding's.
    pub(crate) fn linear(weight: Tensor<2>) -> Self {
        let [rows, columns] = weight.dims();
        Self {
            values: handle(weight),
            rows,
            columns,
            row_stride: columns,
            column_stride: 1,
        }
    }

    /// One row, such as a bias.
    pub(crate) fn row(values: Tensor<1>) -> Self {
        let [columns] = values.dims();
        Self::linear(values.reshape([1, columns]))
    }

    /// The weight of a linear layer and its bias, 0 where it has none.
    pub(crate) fn layer(layer: &Linear) -> [Self; 2] {
        let weight = layer.weight.val();
        let bias = match &layer.bias {
            Some(bias) => Self::row(bias.val()),
            None => Self::linear(weight.clone().narrow(0, 0, 1).zeros_like()),
        };
        [Self::linear(weight), bias]
    }
}

/// Where matrices are put together.
pub(super) struct Packed<'a> {
    gpu: &'a Gpu,
    pub values: Handle,
    /// Columns of all that is written.
    width: usize,
    /// Rows that are written.
    rows: usize,
}

impl<'a> Packed<'a> {
    /// Room for so many rows and columns.
    pub fn new(gpu: &'a Gpu, rows: usize, width: usize) -> Self {
        Self {
            gpu,
            values: gpu.values(rows * width),
            width,
            rows: 0,
        }
    }

    /// Zeros in so many rows and columns.
    pub fn zeros(gpu: &'a Gpu, rows: usize, width: usize) -> Self {
        let bytes = vec![0; rows * width * gpu.value_bytes()];
        Self {
            gpu,
            values: gpu.client.create_from_slice(&bytes),
            width,
            rows: 0,
        }
    }

    /// Appends the rows of a matrix, filled up with zeros.
    pub fn append(&mut self, matrix: &Matrix) {
        self.put(matrix, self.rows, 0, self.width);
        self.rows += matrix.rows;
    }

    /// Writes a matrix from a row and a column on, so many columns of it, of which those that it has not are zeros.
    pub fn put(&self, matrix: &Matrix, row: usize, column: usize, columns: usize) {
        self.copy(matrix, row * self.width + column, columns, 0.0);
    }

    /// Adds a row to what is there from a row and a column on.
    pub fn add(&self, matrix: &Matrix, row: usize, column: usize) {
        self.copy(matrix, row * self.width + column, matrix.columns, 1.0);
    }

    fn copy(&self, matrix: &Matrix, to: usize, columns: usize, keep: f32) {
        let gpu = self.gpu;
        launch!(
            gpu,
            copy_matrix,
            (matrix.rows * columns).div_ceil(THREADS),
            THREADS,
            buffer(&matrix.values),
            buffer(&self.values),
            CopySizesLaunch::new(
                matrix.rows,
                matrix.columns,
                columns,
                matrix.row_stride,
                matrix.column_stride,
                self.width,
                to,
                keep,
            ),
        );
    }
}
