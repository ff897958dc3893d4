import { InputError } from "./errors.js";
import { GROUPS, SETTINGS, type DrawOptions, type Setting } from "./settings-table.js";
import type { PictureOptions, RequestSource } from "./source-image.js";

/**
 * What a step shows: the estimate x̃ of the clean image, the noisy latent z, x̃ together with the conditional and the
 * unconditional estimate (`SampleStep.branches`), or nothing before the last step.
 */
export type Preview = "denoised" | "latent" | "branches" | "none";

/** Options of `sample()`. */
export interface SampleOptions extends DrawOptions, PictureOptions {
  /** What the images of a step show, `denoised` if left out. The last step always has the result. */
  preview?: Preview;
  /** Ends the run within one step. */
  signal?: AbortSignal | undefined;
}

/** Options of `generate()`. */
export interface GenerateOptions extends DrawOptions, PictureOptions {
  /** Ends the run within one step. */
  signal?: AbortSignal | undefined;
}

const previews: readonly Preview[] = ["denoised", "latent", "branches", "none"];
/** The names of the settings below a path: of `[]` `guidance`, `grid` …, of `["grid"]` `spacing`, `logSnr` … */
function namesBelow(parent: readonly string[]): string[] {
  const below = SETTINGS.filter(({ path }) => parent.every((name, depth) => path[depth] === name));
  return [...new Set(below.flatMap(({ path }) => path[parent.length] ?? []))];
}

function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  return String(value);
}

function refuse(name: string, value: unknown, allowed: string, detail = name): never {
  throw new InputError(`${name} must be ${allowed}, not ${show(value)}`, { detail });
}

function integer(name: string, value: unknown, least: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < least) {
    refuse(name, value, `an integer from ${least} to 2^53 - 1`);
  }
  return (value as number) + 0; // -0 becomes 0, which is what JSON writes
}

/** Checks a seed: an integer from 0 to 2⁵³ − 1. Throws `InputError`. */
export function checkSeed(seed: unknown): number {
  return integer("seed", seed, 0);
}

/** Refuses unknown names, so that a misspelt option is not silently ignored. */
function checkNames(options: object, known: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw new InputError(`unknown option ${show(name)}; the options are ${known.join(", ")}`, { detail: name });
    }
  }
}

/** The preview of `options`, checked. Throws `InputError`. */
export function checkPreview(value: unknown): Preview {
  if (value === undefined) return "denoised";
  if (!previews.includes(value as Preview)) refuse("preview", value, `one of ${previews.join(", ")}`);
  return value as Preview;
}

/** The value of a setting, checked as far as possible without the model. */
function checked(setting: Setting, value: unknown): unknown {
  const { path, kind, names, min = -Infinity, max = Infinity } = setting;
  const name = path.join(".");
  // Errors name the option, or the group within it.
  const option = path.length > 1 ? path.slice(0, -1).join(".") : name;
  switch (kind) {
    case "integer":
      return integer(name, value, min);
    case "name":
      if (typeof value !== "string" || !names?.includes(value)) refuse(name, value, `one of ${names?.join(", ")}`, option);
      return value;
    case "class":
      if (typeof value !== "string") refuse(name, value, "the name of a class", option);
      return value;
    case "switch":
      if (typeof value !== "boolean") refuse(name, value, "true or false", option);
      return value;
    default:
      if (typeof value !== "number" || !Number.isFinite(value) || value < min || value > max) {
        refuse(name, value, Number.isFinite(max) ? `a number from ${min} to ${max}` : "a finite number", option);
      }
      return value;
  }
}

/** The fields of an option under the runtime's names. */
function renamed(parent: readonly string[], options: object): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const name of namesBelow(parent)) {
    const value = Object.hasOwn(options, name) ? (options as Record<string, unknown>)[name] : undefined;
    if (value === undefined) continue;
    const path = [...parent, name];
    const option = path.join(".");
    const group = GROUPS[option];
    if (group) {
      const alone = typeof value === "string" ? group.shorthand : null;
      out[group.field.at(-1) ?? name] = alone === null ? fieldsOf(path, value) : { [alone]: value };
    } else {
      const setting = SETTINGS.find((candidate) => candidate.path.join(".") === option);
      if (setting) out[setting.field.at(-1) ?? name] = checked(setting, value);
    }
  }
  return out;
}

function fieldsOf(path: readonly string[], value: unknown): Record<string, unknown> {
  const option = path.join(".");
  const names = namesBelow(path);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new InputError(`${option} must be an object with ${names.join(", ")}`, { detail: option });
  }
  const foreign = Object.keys(value).find((name) => !names.includes(name));
  if (foreign !== undefined) throw new InputError(`${option} has no ${foreign}; it has ${names.join(", ")}`, { detail: option });
  return renamed(path, value);
}

/** Checks a mix as far as possible without the model. */
function checkWeights(option: string, mix: object): void {
  const weights: [string, unknown][] = Object.entries(mix);
  for (const [name, weight] of weights) {
    if (typeof weight !== "number" || !(weight >= 0 && weight <= 1)) refuse(`the weight of ${name}`, weight, "a number from 0 to 1", option);
  }
  const sum = weights.reduce((all, [, weight]) => all + Number(weight), 0);
  if (Math.abs(sum - 1) <= 1e-6) return;
  throw new InputError(`the weights of a mix must add up to 1, and these add up to ${Number(sum.toFixed(6))}`, { detail: option });
}

/** The request as the runtime reads it. Throws `InputError`, which names the option and what is allowed. */
export function requestJson(options: DrawOptions & PictureOptions, also: readonly string[] = [], source?: RequestSource): string {
  if (typeof options !== "object" || options === null) refuse("options", options, "an object with `classes`");
  checkNames(options, ["classes", ...namesBelow([]), "image", "mask", ...also]);
  const { classes, guidance, number, ...others } = options;
  if (!Array.isArray(classes) || classes.length === 0) {
    refuse("classes", classes, "a list with one class (id, name or null) for each image");
  }
  classes.forEach((choice: unknown, at: number) => {
    if (choice === null || typeof choice === "string") return;
    if (Array.isArray(choice)) {
      choice.forEach((label: unknown) => {
        if (typeof label !== "string" && (!Number.isSafeInteger(label) || (label as number) < 0)) refuse(`classes[${at}]`, label, "a list of names or ids of attributes");
      });
    } else if (typeof choice === "object") {
      checkWeights(`classes[${at}]`, choice);
    } else if (!Number.isSafeInteger(choice) || (choice as number) < 0) {
      refuse(`classes[${at}]`, choice, "a class id (an integer from 0), a class name, null, several attributes such as [\"smiling\", \"hat\"], or a mix such as { cat: 0.7, dog: 0.3 }");
    }
  });
  for (const [name, given] of Object.entries({ guidance, number })) {
    for (const value of Array.isArray(given) ? (given as readonly unknown[]) : [given]) {
      if (given !== undefined && !Number.isFinite(value)) refuse(name, value, "a finite number, or one for each image");
    }
  }
  // JSON.stringify leaves out what is undefined: the runtime then takes the bundle's own setting.
  return JSON.stringify({ classes, number, guidance, source, ...renamed([], others) });
}
