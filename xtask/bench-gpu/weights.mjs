// Weights for a network that is packed without them: how long a step takes does not depend on them.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";

/** The bits of a number of 16 bits for a value below 1, whose last bits are cut off. */
function halfBits(value) {
  const exponent = Math.max(-14, Math.floor(Math.log2(Math.abs(value) || 2 ** -24)));
  const units = Math.trunc(Math.abs(value) / 2 ** (exponent - 10));
  return (value < 0 ? 0x8000 : 0) | ((exponent + 14) * 1024 + units);
}

const ONE = 0x3c00;

/** Values as a network begins with: weights of variance 1/inputs, scales of 1, biases of 0. */
function fill(values, shape, name, next) {
  if (shape.length === 1) return values.fill(name.endsWith("weight") ? ONE : 0);
  // Of a convolution [outputs, inputs, height, width], of a linear layer [inputs, outputs].
  const inputs = shape.length === 4 ? shape[1] * shape[2] * shape[3] : shape[0];
  for (let at = 0; at < values.length; at += 1) values[at] = halfBits(next() / Math.sqrt(Math.max(inputs, 4)));
}

/**
 * Writes `model.safetensors` of a bundle's folder that has `tensors.json` in its place: the file's header, as it is in the
 * trained model, with all tensors in 16 bits.
 */
export function writeWeights(folder) {
  const file = `${folder}/model.safetensors`;
  if (existsSync(file)) return;
  const header = readFileSync(`${folder}/tensors.json`);
  const tensors = Object.entries(JSON.parse(header)).filter(([name]) => name !== "__metadata__");
  const bytes = Math.max(...tensors.map(([, { data_offsets: [, end] }]) => end));
  const data = new Uint16Array(bytes / 2);
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state / 2 ** 32 - 0.5) * Math.sqrt(12);
  };
  for (const [name, { dtype, shape, data_offsets: [from, to] }] of tensors) {
    if (dtype !== "F16") throw new Error(`${name} is in ${dtype}`);
    fill(data.subarray(from / 2, to / 2), shape, name, next);
  }
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const whole = Buffer.concat([length, header, Buffer.from(data.buffer)]);
  writeFileSync(file, whole);
  const config = JSON.parse(readFileSync(`${folder}/config.json`, "utf8"));
  config.weights = [{ file: "model.safetensors", bytes: whole.length, sha256: createHash("sha256").update(whole).digest("hex") }];
  writeFileSync(`${folder}/config.json`, JSON.stringify(config));
}
