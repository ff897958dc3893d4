import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { decodePng } from "./png.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const fromRoot = (path) => resolve(root, path);

/** The built site. */
export const site = fromRoot(process.env.FREEGUIDE_SITE ?? process.env.SITE ?? "dist/site");
/** The JavaScript package as it is published: dist/ and wasm/. */
export const packageFolder = fromRoot("runtime-web/js");
/** The native command. */
export const freeguide = fromRoot(process.env.FREEGUIDE ?? "target/release/freeguide");
/** A bundle that ships, of the smallest pictures: its name and its folder. */
export function shipped() {
  const index = join(site, "models/index.json");
  const { models } = JSON.parse(readFileSync(index, "utf8"));
  if (models.length === 0) throw new Error(`${index} lists no model: the page's tests need one that ships`);
  return { name: models[0].folder, folder: join(site, "models", models[0].folder) };
}

/** An address of the page, for that bundle unless it names another. */
export function forShipped(address) {
  const { pathname, search, hash } = new URL(address, "http://page/");
  const query = new URLSearchParams(search);
  if (!query.has("model")) query.set("model", shipped().name);
  return `${pathname.slice(1)}?${query}${hash}`;
}

/**
 * The largest difference of a channel, of 255, between the same picture from two devices: both compute in 32-bit floats,
 * in another order, and a value beside a rounding edge may fall to either side of it.
 */
export const TOLERANCE = 2;

/** Pictures of the native command: decoded RGBA pixels and the settings that the files carry. */
export async function drawNatively({ model, classes, guidance, steps, sampler = "ddim", seed, count, first = 0, toward, more = [] }) {
  const folder = await mkdtemp(join(tmpdir(), "freeguide-"));
  try {
    const options = { model, guidance, steps, sampler, seed, count, "first-image": first, device: "cpu" };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
    if (toward !== undefined) args.push("--toward", toward);
    args.push(...more);
    for (const name of classes) args.push("--class", String(name ?? "none"));
    await promisify(execFile)(freeguide, ["sample", ...args, "--out", `${folder}/`]);
    const files = (await readdir(folder)).filter((name) => name.endsWith(".png")).sort();
    return await Promise.all(files.map(async (name) => decodePng(await readFile(join(folder, name)))));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The largest difference of a channel between two pictures' pixels. */
export function difference(a, b) {
  if (a.length !== b.length) throw new Error(`pictures of ${a.length} and ${b.length} bytes`);
  let most = 0;
  for (let at = 0; at < a.length; at += 1) most = Math.max(most, Math.abs(a[at] - b[at]));
  return most;
}
