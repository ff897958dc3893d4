import type { DrawOptions, LogSnrRange, ModelConfig, Sampler } from "freeguide";

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
  /** The seed that `between` leads to. */
  toward: number;
  policy: PolicyName;
  /** Of `cfg`: how much of the conditional estimate's contrast is restored, from 0 to 1. */
  rescale: number;
  /** The λ, in nats, that are guided; all where there is none. */
  interval: LogSnrRange | undefined;
}

/** What is made of the two estimates. */
export type PolicyName = "cfg" | "apg" | "cfg++";

/** The policies there are: their names, and what they do in a few words. */
export const POLICIES: ReadonlyMap<PolicyName, { readonly name: string; readonly words: string }> = new Map([
  ["cfg", { name: "the paper’s mix", words: "(1 + w) of the estimate with the class, less w of the one without (Ho & Salimans 2022)." }],
  ["apg", { name: "projected (APG)", words: "Only what guidance adds across the estimate, not along it: less glare at a high w (Sadat et al. 2024)." }],
  ["cfg++", { name: "CFG++", words: "Noises again with the estimate without a class. Made for w from −1 to 0 (Chung et al. 2024)." }],
]);

/**
 * `sheet`: one seed, one strength of guidance. `sweep`: the same seeds at several strengths. `seeds`: the first picture of
 * neighbouring seeds. `between`: from the first picture of one seed to that of another.
 */
export type View = "sheet" | "sweep" | "seeds" | "between";

const VIEWS: readonly string[] = ["sheet", "sweep", "seeds", "between"] satisfies View[];

/** `text` as a view; `sheet` where it is none. */
export function viewOf(text: string | null): View {
  return text !== null && VIEWS.includes(text) ? (text as View) : "sheet";
}

/** The samplers there are: their names, and what they are in a few words. */
export const SAMPLERS: ReadonlyMap<Sampler, { readonly name: string; readonly words: string }> = new Map([
  ["ddim", { name: "DDIM", words: "Deterministic: the seed alone decides" }],
  ["ancestral", { name: "ancestral", words: "Fresh noise at every step: Algorithm 2 of the paper" }],
  ["dpm++2m", { name: "DPM-Solver++", words: "DPM-Solver++(2M), of second order: as good with half the steps" }],
  ["heun", { name: "Heun", words: "Second order with two evaluations a step" }],
]);

export const COUNTS = [1, 4, 9, 16];
/** The strengths that a sweep shows: no class, the conditional model, and on. */
export const SWEEP = [-1, 0, 1, 2, 4, 8];
/** Most seeds that a sweep shows. */
export const SWEEP_ROWS = 4;
export const GUIDANCE_MIN = -1;
export const GUIDANCE_MAX = 8;
export const MOST_STEPS = 1000;

/** Beyond every model's λ, in nats. */
export const FARTHEST = 40;

const NO_CLASS = "none";

/** What of a model its settings depend on. */
export interface Drawable {
  readonly classes: readonly string[];
  readonly sampling: Pick<ModelConfig["sampling"], "sampler" | "steps" | "guidance">;
  readonly image: { readonly size: number };
  readonly null_class?: boolean;
}

/** Whether a model has the two estimates that guidance is made of: it needs classes and, beside them, none. */
export function canBeGuided({ classes, null_class }: Pick<Drawable, "classes" | "null_class">): boolean {
  return null_class !== false && classes.length > 0;
}

/** The most pictures of the sheet that a visitor sees first. */
const FIRST_SHEET = 9;

/** At most `count` of a list, at equal distances from its beginning to its end. */
function spread<T>(list: readonly T[], count: number): T[] {
  const length = Math.min(list.length, count);
  const places = new Set(Array.from({ length }, (_, at) => Math.floor((at * list.length) / length)));
  return list.filter((_, at) => places.has(at));
}

/** What a model is shown with when the address says nothing: every class once, or as many as the sheet has pictures. */
export function defaultSettings(config: Drawable): Settings {
  const { sampler, steps, guidance } = config.sampling;
  return {
    classes: config.classes.length > 0 ? spread(config.classes, FIRST_SHEET) : [null],
    guidance: canBeGuided(config) ? guidance : 0,
    steps,
    sampler,
    seed: 2,
    count: config.image.size > 64 ? 4 : FIRST_SHEET,
    view: "sheet",
    toward: 8,
    policy: "cfg",
    rescale: 0,
    interval: undefined,
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

function findClass(text: string, config: Drawable): string | null | undefined {
  if (text === NO_CLASS) return config.null_class === false ? undefined : null;
  if (config.classes.includes(text)) return text;
  return /^\d+$/.test(text) ? config.classes[Number(text)] : undefined;
}

/** The range of λ between two texts; an empty one is no limit. Undefined where it is no range or there is none. */
export function intervalOf(from: string | null, until: string | null): LogSnrRange | undefined {
  const min = within(from, -FARTHEST, FARTHEST, -FARTHEST);
  const max = within(until, -FARTHEST, FARTHEST, FARTHEST);
  return min < max && (min > -FARTHEST || max < FARTHEST) ? { min, max } : undefined;
}

/** The settings that an address asks for, and what of it this model does not know. */
export function readSettings(query: URLSearchParams, config: Drawable): { settings: Settings; unknown: string[] } {
  const settings = defaultSettings(config);
  const unknown: string[] = [];
  const classes: (string | null)[] = [];
  for (const text of query.getAll("class")) {
    const found = findClass(text, config);
    if (found === undefined) unknown.push(`class “${text}”`);
    else if (!classes.includes(found)) classes.push(found);
  }
  if (classes.length > 0) settings.classes = classes;
  if (canBeGuided(config)) settings.guidance = within(query.get("w"), GUIDANCE_MIN, 100, settings.guidance);
  settings.steps = Math.round(within(query.get("steps"), 1, MOST_STEPS, settings.steps));
  const sampler = query.get("sampler");
  if (sampler !== null && SAMPLERS.has(sampler as Sampler)) settings.sampler = sampler as Sampler;
  else if (sampler !== null) unknown.push(`sampler “${sampler}”`);
  const seed = query.get("seed");
  if (seed !== null) {
    const parsed = parseSeed(seed);
    if (parsed === undefined) unknown.push(`seed “${seed}”`);
    else settings.seed = parsed;
  }
  const count = Number(query.get("n"));
  if (COUNTS.includes(count)) settings.count = count;
  settings.view = viewOf(query.get("view"));
  const policy = query.get("policy") as PolicyName | null;
  if (policy !== null && POLICIES.has(policy)) settings.policy = policy;
  else if (policy !== null) unknown.push(`policy “${policy}”`);
  settings.rescale = within(query.get("rescale"), 0, 1, 0);
  settings.interval = intervalOf(query.get("from"), query.get("until"));
  settings.toward = parseSeed(query.get("toward") ?? "") ?? settings.toward;
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
  const optional: [string, string | undefined][] = [
    ["policy", settings.policy === "cfg" ? undefined : settings.policy],
    ["rescale", settings.policy === "cfg" && settings.rescale > 0 ? String(settings.rescale) : undefined],
    ["from", settings.interval && settings.interval.min > -FARTHEST ? String(settings.interval.min) : undefined],
    ["until", settings.interval && settings.interval.max < FARTHEST ? String(settings.interval.max) : undefined],
  ];
  for (const [name, value] of optional) {
    if (value === undefined) query.delete(name);
    else query.set(name, value);
  }
  if (settings.view !== "sheet") query.set("view", settings.view);
  else query.delete("view");
  if (settings.view === "between") query.set("toward", String(settings.toward));
  else query.delete("toward");
  return query;
}

/** Guidance as people write it: no trailing zeros, a real minus sign. */
export function showNumber(value: number, digits = 2): string {
  return String(Number(value.toFixed(digits))).replace("-", "−");
}

/** How the pictures of `settings` are drawn, classes and guidance apart. */
export function steering({ steps, sampler, policy, rescale, interval }: Settings): Pick<
  DrawOptions,
  "steps" | "sampler" | "guidancePolicy" | "guidanceInterval"
> {
  return {
    steps,
    sampler,
    // Named even where it is the usual one: a model may have another of its own.
    guidancePolicy: policy === "cfg" ? { kind: "cfg", rescale } : policy,
    ...(interval && { guidanceInterval: interval }),
  };
}
