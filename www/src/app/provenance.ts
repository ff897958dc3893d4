import type { ModelConfig } from "freeguide";
import { byId } from "./dom.js";

function count(value: number): string {
  const units: [number, string][] = [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ];
  for (const [size, unit] of units) if (value >= size) return `${(value / size).toFixed(value < 10 * size ? 1 : 0)} ${unit}`;
  return String(value);
}

/** Names the model, what it was trained on, whose work that is and under which licence it may be used. */
export function showProvenance({ name, image, classes, provenance }: ModelConfig): void {
  const { parameters, dataset, license, attribution, steps, p_uncond } = provenance;
  const parts = [
    `${name}: ${image.size} × ${image.size} pixels, ${classes.length} ${classes.length === 1 ? "class" : "classes"}` +
      (parameters ? `, ${count(parameters)} weights` : ""),
    dataset ? `trained on ${dataset}${steps ? ` for ${count(steps)} steps` : ""}` : "",
    p_uncond === undefined ? "" : `class left out with probability ${p_uncond}`,
    license ? `licence: ${license}` : "",
  ].filter(Boolean);
  byId("provenance").textContent = `${parts.join("; ").replace(/\.$/, "")}.${attribution ? ` ${attribution}` : ""}`;
}
