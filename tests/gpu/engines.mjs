// Starts the engines that draw.mjs runs in.
import { spawn } from "node:child_process";
import { readdirSync, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const program = fileURLToPath(new URL("draw.mjs", import.meta.url));
const packageUrl = pathToFileURL(join(root, "runtime-web/js/dist/index.js")).href;

/** Address of a folder of this repository. */
export const folderUrl = (path) => `${pathToFileURL(join(root, path)).href}/`;

/** The models that ship, by name. */
export const shipped = readdirSync(join(root, "models")).filter((name) => existsSync(join(root, "models", name, "config.json")));

function fromNpm(name, file) {
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), file);
  } catch {
    return undefined; // another system
  }
}

/** How each engine is started, undefined where it is not installed. */
const commands = {
  node: [process.execPath],
  deno: [fromNpm("@deno/linux-x64-glibc", "deno"), "run", "--allow-all", "--quiet"],
  bun: [fromNpm("@oven/bun-linux-x64", "bin/bun"), "run"],
};

/** Whether an engine is here. */
export const isHere = (engine) => commands[engine][0] !== undefined && existsSync(commands[engine][0]);

/**
 * What `draw.mjs` prints in that engine, a line for each run of each model, how it ended, and what it wrote to standard error. It is
 * ended after `seconds`, with the signal that says so.
 */
export function drawIn(engine, told, seconds = 600) {
  const [command, ...args] = commands[engine];
  const child = spawn(command, [...args, program, JSON.stringify({ package: packageUrl, run: {}, options: {}, ...told })]);
  let printed = "";
  let errors = "";
  child.stdout.on("data", (data) => (printed += data));
  child.stderr.on("data", (data) => (errors += data));
  const timer = setTimeout(() => child.kill("SIGKILL"), seconds * 1000);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const lines = printed.split("\n").filter((line) => line.startsWith("{"));
      resolve({ drawn: lines.map((line) => JSON.parse(line)), code, signal, errors });
    });
  });
}

/** The largest difference of a channel between two pictures' pixels. */
export function difference(a, b) {
  if (a.length !== b.length) throw new Error(`pictures of ${a.length} and ${b.length} bytes`);
  return a.reduce((most, value, at) => Math.max(most, Math.abs(value - b[at])), 0);
}
