/**
 * How long steps took, by model and adapter, from one visit to the next: in the Cache API, which workers have too, else for
 * as long as this thread lives.
 */
import { version } from "./built.js";
import type { StepTimes } from "./choice.js";
import type { Adapter } from "./gpu.js";

const NAME = "freeguide-devices-v1";
const here = new Map<string, StepTimes>();

/** Under what the times of a model on an adapter are kept: another version of this package measures anew. */
export function timesKey({ info }: Pick<Adapter, "info">, configJson: string): string {
  const { weights } = JSON.parse(configJson) as { weights: { sha256: string }[] };
  const adapter = [info?.vendor, info?.architecture, info?.device, info?.description].map((word) => word ?? "");
  return [version, ...adapter, ...weights.map(({ sha256 }) => sha256)].join(" ");
}

function addressOf(key: string): string {
  return `https://devices.freeguide.invalid/${encodeURIComponent(key)}`;
}

/** What was measured; nothing where nothing was, or it cannot be read. */
export async function recallTimes(key: string): Promise<StepTimes> {
  try {
    const found = await (await globalThis.caches?.open(NAME))?.match(addressOf(key));
    if (found) return (await found.json()) as StepTimes;
  } catch {
    // It is measured again.
  }
  return here.get(key) ?? {};
}

/** Keeps what was measured. */
export async function rememberTimes(key: string, times: StepTimes): Promise<void> {
  here.set(key, times);
  try {
    await (await globalThis.caches?.open(NAME))?.put(addressOf(key), new Response(JSON.stringify(times)));
  } catch {
    // The next visit measures again.
  }
}
