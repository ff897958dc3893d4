import type { ModelConfig, Sampler } from "freeguide";

/** What a sheet of pictures is drawn with. Lives in the address, so that a link reproduces it. */
export interface Settings {
  /** Class names; null is the unconditional model. Picture k takes entry k modulo their number. */
  classes: (string | null)[];
  /** Guidance strength w. */
  guidance: number;
  steps: number;
  sampler: Sampler;
  seed: number;
  /** Pictures on the sheet: 1, 4, 9 or 16. */
  count: number;
  view: View;
}

/** `sheet`: one strength of guidance. `sweep`: the same seeds at several. */
export type View = "sheet" | "sweep";

export const COUNTS = [1, 4, 9, 16];
/** The strengths that a sweep shows: no class, the conditional model, and on. */
export const SWEEP = [-1, 0, 1, 2, 4, 8];
/** Most seeds that a sweep shows. */
export const SWEEP_ROWS = 4;
export const GUIDANCE_MIN = -1;
export const GUIDANCE_MAX = 8;
export const MOST_STEPS = 1000;

const NO_CLASS = "none";

/** What a model is shown with when the address says nothing: every class once, as far as the sheet goes. */
export function defaultSettings(config: ModelConfig): Settings {
  const { sampler, steps, guidance } = config.sampling;
  return {
    classes: config.classes.slice(0, 9),
    guidance,
    steps,
    sampler,
    seed: 7,
    count: config.image.size > 64 ? 4 : 9,
    view: "sheet",
  };
}

/** A seed: digits that make an integer up to 2⁵³ − 1, or undefined. */
export function parseSeed(text: string): number | undefined {
  const seed = Number(text);
  return /^\d+$/.test(text.trim()) && Number.isSafeInteger(seed) ? seed : undefined;
}

/** A seed that people can read out: six digits. */
export function randomSeed(): number {
  const [value] = crypto.getRandomValues(new Uint32Array(1));
  return (value ?? 0) % 1_000_000;
}

function within(text: string | null, least: number, most: number, otherwise: number): number {
  const value = text === null || text.trim() === "" ? NaN : Number(text);
  return Number.isFinite(value) ? Math.min(most, Math.max(least, value)) : otherwise;
}

function findClass(text: string, config: ModelConfig): string | null | undefined {
  if (text === NO_CLASS) return null;
  if (config.classes.includes(text)) return text;
  return /^\d+$/.test(text) ? config.classes[Number(text)] : undefined;
}

/** The settings that an address asks for, and what of it this model does not know. */
export function readSettings(query: URLSearchParams, config: ModelConfig): { settings: Settings; unknown: string[] } {
  const settings = defaultSettings(config);
  const unknown: string[] = [];
  const classes: (string | null)[] = [];
  for (const text of query.getAll("class")) {
    const found = findClass(text, config);
    if (found === undefined) unknown.push(`class “${text}”`);
    else if (!classes.includes(found)) classes.push(found);
  }
  if (classes.length > 0) settings.classes = classes;
  settings.guidance = within(query.get("w"), GUIDANCE_MIN, 100, settings.guidance);
  settings.steps = Math.round(within(query.get("steps"), 1, MOST_STEPS, settings.steps));
  const sampler = query.get("sampler");
  if (sampler === "ddim" || sampler === "ancestral") settings.sampler = sampler;
  else if (sampler !== null) unknown.push(`sampler “${sampler}”`);
  const seed = query.get("seed");
  if (seed !== null) {
    const parsed = parseSeed(seed);
    if (parsed === undefined) unknown.push(`seed “${seed}”`);
    else settings.seed = parsed;
  }
  const count = Number(query.get("n"));
  if (COUNTS.includes(count)) settings.count = count;
  if (query.get("view") === "sweep") settings.view = "sweep";
  return { settings, unknown };
}

/** The address's query for `settings`; what else the address says (model, device) is kept. */
export function writeSettings(settings: Settings, before: URLSearchParams): URLSearchParams {
  const query = new URLSearchParams(before);
  query.delete("class");
  for (const name of settings.classes) query.append("class", name ?? NO_CLASS);
  query.set("w", String(settings.guidance));
  query.set("steps", String(settings.steps));
  query.set("sampler", settings.sampler);
  query.set("seed", String(settings.seed));
  query.set("n", String(settings.count));
  if (settings.view === "sweep") query.set("view", "sweep");
  else query.delete("view");
  return query;
}

/** Guidance as people write it: no trailing zeros, a real minus sign. */
export function showNumber(value: number, digits = 2): string {
  return String(Number(value.toFixed(digits))).replace("-", "−");
}
