//! The estimate of a run's memory against what the CPU backend takes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::Device;
use freeguide::network::UNetConfig;
use freeguide::noise_level::LogSnrRange;
use freeguide::prediction::Target;
use freeguide::sampler::Run;
use freeguide::settings::Plan;

/// Counts what is allocated.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes on to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn the_estimate_is_enough_and_not_far_above() {
    let cases = [
        // Attention at a high resolution, and none but in the middle.
        (32, 1, vec![1, 2], vec![16]),
        (64, 1, vec![1, 1, 2], vec![]),
        (64, 2, vec![1, 2], vec![16]),
    ];
    for (size, patch, channel_multipliers, attention_resolutions) in cases {
        let config = UNetConfig {
            base_channels: 32,
            channel_multipliers,
            residual_blocks: 2,
            attention_resolutions,
            head_channels: 32,
            norm_groups: 8,
            patch,
            input_skip: patch > 1,
            ..UNetConfig::tiny()
        };
        let device = Device::flex();
        let network = config.init(size, 3, 2, &device);
        let evaluate = |images: usize, guidance: f64| {
            let plan = Plan::new(vec![Some(0); images], 2).with_guidance(guidance);
            let shape = [3, size, size];
            let mut run = Run::new(
                &network,
                plan,
                Target::V,
                LogSnrRange::PAPER,
                shape,
                &device,
            );
            run.advance();
        };
        // One row, after which there are the weights, what is kept of them, and memory for a row.
        evaluate(1, 0.0);
        let before = NOW.load(Ordering::Relaxed);
        let peaks = [2, 6].map(|images| {
            PEAK.store(NOW.load(Ordering::Relaxed), Ordering::Relaxed);
            evaluate(images, 1.0);
            PEAK.load(Ordering::Relaxed) - before
        });
        // Three rows more. Of twelve rows, threads hold a few at a time.
        let row = peaks[0] as f64 / 3.0;
        let estimate = config.row_bytes(size) as f64;
        assert!(
            (0.9..4.0).contains(&(estimate / row)),
            "{size}: {estimate} bytes for {row}"
        );
        let whole = peaks[1] as f64 / 11.0;
        assert!(estimate > 0.9 * whole, "{size}: {estimate} for {whole}");
    }
}
