import { byId } from "./dom.js";

/** Says something to those who listen to the page instead of looking at it. */
export function say(words: string): void {
  byId("status").textContent = words;
}

let timer: number | undefined;

/** Says something to everybody, for a few seconds. */
export function toast(words: string): void {
  const box = byId("toast");
  box.textContent = words;
  box.hidden = false;
  window.clearTimeout(timer);
  timer = window.setTimeout(() => (box.hidden = true), 3500);
  say(words);
}

/** Says what went wrong with something small. */
export function complain(error: unknown): void {
  toast(error instanceof Error ? error.message : String(error));
}

/** A duration for people. */
export function time(milliseconds: number): string {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;
}
