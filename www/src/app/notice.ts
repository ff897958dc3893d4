import { byId } from "./dom.js";

/** Announces a message to screen readers. */
export function say(words: string): void {
  byId("status").textContent = words;
}

let timer: number | undefined;

/** Shows a message for a few seconds, and announces it. */
export function toast(words: string): void {
  const box = byId("toast");
  box.textContent = words;
  box.hidden = false;
  window.clearTimeout(timer);
  timer = window.setTimeout(() => (box.hidden = true), 3500);
  say(words);
}

/** Shows an error that does not stop the page. */
export function complain(error: unknown): void {
  toast(error instanceof Error ? error.message : String(error));
}

/** A duration for people. */
export function time(milliseconds: number): string {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;
}
