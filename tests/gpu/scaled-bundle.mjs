// tests/fixtures/tiny-model with weights in 16 bits, one layer of them scaled: what follows the layer is a normalisation, so
// that in 32 bits the pictures are the same, while in 16 the layer's values may pass 65,504, the largest number there is.
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const source = fileURLToPath(new URL("../fixtures/tiny-model/", import.meta.url));
const LAYER = "middle.first.conv_in.";

/** The bits of the number of 16 bits that is nearest to `value`, ties to even. */
function halfBits(value) {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size >= 65_520) throw new RangeError(`${value} is no number of 16 bits`);
  const exponent = Math.max(-14, Math.floor(Math.log2(size || 2 ** -24)));
  const units = size / 2 ** (exponent - 10);
  const below = Math.floor(units);
  const rest = units - below;
  const rounded = below + (rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? 1 : 0);
  // A full fraction carries over into the exponent, and the smallest exponent is that of numbers without a leading one.
  return sign | ((exponent + 14) * 1024 + rounded);
}

/** A safetensors file of these values with all tensors in 16 bits, `scale` times as large in the layer. */
function inHalf(file, scale) {
  const headerBytes = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, 8 + headerBytes));
  const out = {};
  const parts = [];
  let offset = 0;
  for (const [name, tensor] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [from, to] = tensor.data_offsets;
    const part = Buffer.alloc((to - from) / 2);
    for (let at = 0; at < to - from; at += 4) {
      const value = file.readFloatLE(8 + headerBytes + from + at);
      part.writeUInt16LE(halfBits(name.startsWith(LAYER) ? value * scale : value), at / 2);
    }
    out[name] = { dtype: "F16", shape: tensor.shape, data_offsets: [offset, (offset += part.length)] };
    parts.push(part);
  }
  const text = Buffer.from(JSON.stringify(out));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...parts]);
}

/** Writes such a bundle into a folder that `remove` deletes. */
export async function scaledBundle(scale) {
  const folder = await mkdtemp(join(tmpdir(), "freeguide-scaled-"));
  const weights = inHalf(await readFile(join(source, "model.safetensors")), scale);
  const config = JSON.parse(await readFile(join(source, "config.json"), "utf8"));
  const sha256 = createHash("sha256").update(weights).digest("hex");
  config.weights = [{ file: "model.safetensors", bytes: weights.length, sha256 }];
  await writeFile(join(folder, "model.safetensors"), weights);
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  return { url: `${pathToFileURL(folder).href}/`, remove: () => rm(folder, { recursive: true }) };
}
