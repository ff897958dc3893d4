// Where the bytes of a WebAssembly file are: `node wasm-sizes.mjs NAME=FILE=SHIPPED …`, FILE with the names of its
// functions, SHIPPED the same as it is sent, prints docs/results/wasm-size.md. Started by `cargo xtask wasm --sizes`.
import { readFileSync } from "node:fs";
import { brotliCompressSync, constants } from "node:zlib";

const ROWS = 16;
const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_SIZE_HINT } = constants;
const brotli = (bytes) =>
  brotliCompressSync(bytes, { params: { [BROTLI_PARAM_QUALITY]: 11, [BROTLI_PARAM_SIZE_HINT]: bytes.length } }).length;

/** The functions of a module, each with its name and its bytes, and the bytes of its sections, by number. */
function functionsOf(wasm) {
  let at = 8;
  const number = () => {
    for (let value = 0, place = 1; ; place *= 128) {
      const byte = wasm[at++];
      value += (byte & 127) * place;
      if (byte < 128) return value;
    }
  };
  const skip = () => {
    const bytes = number();
    at += bytes;
  };
  const text = () => {
    const bytes = number();
    at += bytes;
    return wasm.toString("utf8", at - bytes, at);
  };
  const limits = () => {
    const flags = number();
    number();
    if (flags & 1) number();
  };
  const bodies = [];
  const names = new Map();
  const sections = new Map();
  let imported = 0;
  while (at < wasm.length) {
    const id = wasm[at++];
    const bytes = number();
    const end = at + bytes;
    sections.set(id, (sections.get(id) ?? 0) + (id === 0 ? 0 : bytes));
    if (id === 2) {
      for (let left = number(); left > 0; left -= 1) {
        skip();
        skip();
        const kind = wasm[at++];
        if (kind === 0) imported += 1;
        if (kind === 0) number();
        else if (kind === 3) at += 2;
        else {
          if (kind === 1) at += 1;
          limits();
        }
      }
    } else if (id === 10) {
      for (let left = number(); left > 0; left -= 1) {
        const length = number();
        bodies.push(wasm.subarray(at, at + length));
        at += length;
      }
    } else if (id === 0 && text() === "name") {
      while (at < end) {
        const kind = wasm[at++];
        const length = number();
        const next = at + length;
        if (kind === 1) for (let left = number(); left > 0; left -= 1) names.set(number(), text());
        at = next;
      }
    }
    at = end;
  }
  return { functions: bodies.map((body, index) => ({ name: names.get(imported + index) ?? "", body })), sections };
}

/** Rust's own crates: what they are instantiated for says more. */
const standard = new Set(["core", "alloc", "std", "compiler_builtins", "hashbrown"]);

/** The crate of a function by its demangled name: the first that is named and is none of Rust's own. */
function crateOf(name) {
  const crates = [...name.matchAll(/(?<![\w:])([a-z]\w*)(?:\[[0-9a-f]+\])?::/g)].map(([, crate]) => crate);
  return crates.find((crate) => !standard.has(crate)) ?? (crates.length > 0 ? "std" : "exports and glue");
}

const kilobytes = (bytes) => Math.round(bytes / 1000).toLocaleString("en");
const row = (cells) => `| ${cells.join(" | ")} |`;

function describe(argument) {
  const [name, file, shipped] = argument.split("=");
  const { functions, sections } = functionsOf(readFileSync(file));
  const crates = new Map();
  for (const { name, body } of functions) {
    const crate = crateOf(name);
    if (!crates.has(crate)) crates.set(crate, []);
    crates.get(crate).push(body);
  }
  const bytes = (bodies) => bodies.reduce((sum, { length }) => sum + length, 0);
  const all = bytes(functions.map(({ body }) => body));
  const sorted = [...crates].sort(([, a], [, b]) => bytes(b) - bytes(a));
  const rest = sorted.slice(ROWS);
  const shown = [...sorted.slice(0, ROWS), [`${rest.length} more`, rest.flatMap(([, bodies]) => bodies)]];
  const sent = readFileSync(shipped);
  return [
    `## ${name}: ${kilobytes(sent.length)} kB, ${kilobytes(brotli(sent))} kB in brotli`,
    "",
    row(["crate", "functions", "kB", "% of the code", "kB in brotli, alone"]),
    row(["---", "---:", "---:", "---:", "---:"]),
    ...shown.map(([crate, bodies]) =>
      row([crate, bodies.length, kilobytes(bytes(bodies)), ((100 * bytes(bodies)) / all).toFixed(1), kilobytes(brotli(Buffer.concat(bodies)))]),
    ),
    row(["**code**", functions.length, kilobytes(all), "100", ""]),
    row(["constants, including strings", "", kilobytes(sections.get(11) ?? 0), "", ""]),
    "",
  ].join("\n");
}

console.log(`# Size of the runtime by crate

\`cargo xtask wasm --sizes\` builds both files with function names and adds up the functions of each crate. A function counts for the
first crate in its name that is not one of Rust's own, so a \`Vec\` of a type counts for the type's crate. Brotli runs at level 11, as
static hosts keep files. “Alone” is the size of a crate's functions when they are compressed without the others; these sizes add up to
more than the file.

${process.argv.slice(2).map(describe).join("\n")}
## What was done to reduce it

- \`[profile.wasm]\` optimises only the code that computes for speed, and everything else for size. In the WebGPU file, nothing of this
  library is optimised for speed: there it only writes each shader once. Optimising it for size made the file 11 % smaller (2,139 to
  1,912 kB in brotli) and no step slower.
- Without burn's \`fusion\`, the file would be another 19 % smaller (1,550 kB in brotli), but a guided step would start 177 kernels instead
  of 138. It is kept for this reason.
- Most of the rest is burn: every operation for every type, and its matrix products (\`cubek\`), of which a step needs two. Every backend
  contains all of them, and no feature removes any. They include reading the results of autotuning (\`ciborium\`, \`serde\`) and a parser for
  the kernel language (\`pliron\`, \`combine\`).
- Of wgpu, the file already contains only the part for browsers: no native backend, no validation and no translation of shaders.`);
