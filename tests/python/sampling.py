"""Sampling in NumPy with freeguide's noise, to draw the pictures that the command draws with other programs' networks."""

import struct
from collections.abc import Callable

import numpy as np

TAG = b"freeguide sample"


def rotate(x: np.ndarray, bits: int) -> np.ndarray:
    return (x << np.uint32(bits)) | (x >> np.uint32(32 - bits))


def chacha12(key: bytes, stream: int, words: int) -> np.ndarray:
    """The first words of a ChaCha stream (Bernstein 2008) of twelve rounds with a counter and a stream of 64 bits each."""
    blocks = -(-words // 16)
    counter = np.arange(blocks, dtype=np.uint64)
    state = np.empty((16, blocks), dtype=np.uint32)
    state[:12] = np.frombuffer(b"expand 32-byte k" + key, dtype="<u4")[:, None]
    state[12], state[13] = counter & 0xFFFFFFFF, counter >> np.uint64(32)
    state[14], state[15] = stream & 0xFFFFFFFF, stream >> 32
    x = state.copy()

    def quarter(a: int, b: int, c: int, d: int):
        for left, right, turned, bits in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)]:
            x[left] += x[right]
            x[turned] = rotate(x[turned] ^ x[left], bits)

    for _ in range(6):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return (x + state).T.ravel()[:words]


def noise(seed: int, image: int, shape: tuple[int, ...]) -> np.ndarray:
    """z_1 of an image: normal numbers by Box & Muller from uniform ones of 53 bits."""
    count = int(np.prod(shape))
    pairs = -(-count // 2)
    words = chacha12(struct.pack("<QQ", seed, 0) + TAG, image, 4 * pairs).astype(np.uint64)
    uniform = ((words[::2] | words[1::2] << np.uint64(32)) >> np.uint64(11)) * 2.0**-53
    radius = np.sqrt(-2 * np.log(1 - uniform[::2]))
    angle = 2 * np.pi * uniform[1::2]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).ravel()[:count].reshape(shape).astype(np.float32)


def levels(low: float, high: float, steps: int) -> np.ndarray:
    """log_snr of every step (Ho & Salimans 2022, section 3.1)."""
    b = np.arctan(np.exp(-high / 2))
    a = np.arctan(np.exp(-low / 2)) - b
    u = 1 - np.arange(steps) / max(steps - 1, 1)
    return np.clip(-2 * np.log(np.tan(a * u + b)), low, high)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def ddim(
    predict: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    z: np.ndarray,
    classes: list[int],
    null: int,
    log_snr: np.ndarray,
    guidance: float,
    target: str = "v",
) -> np.ndarray:
    """The images of a guided DDIM sampling (Song et al. 2020) by a denoiser, clipped to [-1, 1]."""
    z, classes = z.astype(np.float64), np.array(classes)
    for step, level in enumerate(log_snr):
        rows = np.full(len(z), level, dtype=np.float32)
        own, without = (
            predict(z.astype(np.float32), rows, ids.astype(np.int64)).astype(np.float64)
            for ids in [classes, np.full_like(classes, null)]
        )
        output = (1 + guidance) * own - guidance * without
        alpha, sigma = np.sqrt(sigmoid(level)), np.sqrt(sigmoid(-level))
        x = ((z - sigma * output) / alpha if target == "epsilon" else alpha * z - sigma * output).clip(-1, 1)
        if step + 1 < len(log_snr):
            following = log_snr[step + 1]
            z = np.sqrt(sigmoid(following)) * x + np.sqrt(sigmoid(-following)) * (z - alpha * x) / sigma
    return x


def pixels(x: np.ndarray) -> np.ndarray:
    """[images, height, width, channels] in bytes."""
    return np.clip(np.floor((x + 1) * 127.5 + 0.5), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
