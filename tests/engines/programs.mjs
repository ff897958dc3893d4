// The engines, and the same ten lines for all of them.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { command } from "../browser/fresh.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** The bundle that is drawn: one that ships. */
export const modelFolder = join(root, "models/emoji16");

/** What is drawn of it. */
export const request = { classes: ["food-drink"], guidance: 2, steps: 4, seed: 7 };

/** Where a package's file lies; undefined where the package is not installed, as on other systems. */
export function fileOf(name, file) {
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), file);
  } catch {
    return undefined;
  }
}

/** How each engine runs a program. */
const engines = {
  node: [process.execPath],
  deno: [fileOf("@deno/linux-x64-glibc", "deno"), "run", "--quiet", "--allow-read", "--allow-env", "--node-modules-dir=manual"],
  bun: [fileOf("@oven/bun-linux-x64", "bin/bun"), "run"],
};

/** Why a test of an engine does not run, or false. */
export const missing = (engine) => !(engines[engine][0] && existsSync(engines[engine][0])) && `${engine} is not installed`;

/** The file of Bun's program. */
export const bun = engines.bun[0];

/** A program that draws and prints what it drew. It does not dispose of the model, which keeps no process from ending. */
export const program = (entry = "freeguide", options = {}, before = "") => `
  ${before}
  import { loadModel } from ${JSON.stringify(entry)};
  const model = await loadModel(${JSON.stringify(pathToFileURL(modelFolder).href)}, ${JSON.stringify({ device: "cpu", ...options })});
  const [image] = await model.generate(${JSON.stringify(request)});
  console.log(JSON.stringify({ thread: model.device.thread, pixels: [...image.data] }));
`;

/** What a program printed in an engine, which is ended after a minute. */
export async function run(engine, file, cwd = dirname(file)) {
  const [name, ...args] = engines[engine];
  const printed = await command(name, [...args, file], { cwd, timeout: 60_000, killSignal: "SIGKILL" });
  return JSON.parse(printed.trim().split("\n").at(-1));
}
