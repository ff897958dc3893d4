import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { encodePng } from "./png.mjs";

const SIZE = 8;

/** What there is to learn: red discs and blue bars, no two alike. */
const classes = {
  disc: (n) => (x, y) => Math.hypot(x - 3.5 + (n % 3) - 1, y - 3.5) < 2.2 + n / 6 && [220, 40, 30 + 20 * n],
  bar: (n) => (x) => Math.abs(x - 1 - n) < 1.5 && [20 + 20 * n, 60, 230],
};

async function draw(folder) {
  for (const [name, make] of Object.entries(classes)) {
    await mkdir(join(folder, name), { recursive: true });
    for (let n = 0; n < 6; n += 1) {
      const shape = make(n);
      const pixels = new Uint8Array(SIZE * SIZE * 3);
      for (let at = 0; at < SIZE * SIZE; at += 1) {
        pixels.set(shape(at % SIZE, Math.floor(at / SIZE)) || [255, 255, 255], at * 3);
      }
      await writeFile(join(folder, name, `${n}.png`), encodePng(pixels, SIZE, SIZE));
    }
  }
}

/**
 * A tiny bundle, made by the native command: trained on drawings and exported, in a folder that `remove` deletes; `half` is
 * the same with weights in 16 bits. Where TINY_MODEL names a bundle, that one. `options` are more of `train`.
 */
export async function tinyModel(freeguide, ...options) {
  if (process.env.TINY_MODEL) return { folder: process.env.TINY_MODEL, half: process.env.TINY_MODEL, remove: async () => {} };
  const place = await mkdtemp(join(tmpdir(), "freeguide-tiny-"));
  const remove = () => rm(place, { recursive: true });
  const [data, run, folder, half] = ["data", "run", "model", "half"].map((name) => join(place, name));
  const recipe = fileURLToPath(new URL("tiny.toml", import.meta.url));
  const command = (...args) => promisify(execFile)(freeguide, args);
  try {
    await draw(data);
    await command("train", "--recipe", recipe, "--data", data, "--out", run, "--device", "cpu", "--quiet", ...options);
    await command("export", "--run", run, "--out", folder);
    await command("export", "--run", run, "--out", half, "--dtype", "f16");
  } catch (error) {
    await remove();
    throw error;
  }
  return { folder, half, remove };
}
