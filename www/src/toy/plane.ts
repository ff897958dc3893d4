import type { ToyClass } from "freeguide/toy";
import { make, svg } from "../app/dom.js";

/** The square that is shown: from −EXTENT to EXTENT in both directions. */
export const EXTENT = 1.5;
/** Cells along one side of the density. */
export const CELLS = 72;
const SIZE = 600;
const NAMES = ["A", "B", "C"];
const NUDGE = 0.05;
const NARROWEST = 0.06;
const WIDEST = 0.6;

interface Handle {
  readonly group: SVGElement;
  readonly ring: SVGElement;
  readonly dot: SVGElement;
  readonly name: SVGElement;
}

const toScreen = (value: number, flip = false): number => ((flip ? -value : value) / EXTENT + 1) * 0.5 * SIZE;
const clamp = (value: number, least: number, most: number): number => Math.min(most, Math.max(least, value));

/** The plane: a density as a picture, points, and the classes as handles that can be dragged. */
export class Plane {
  readonly element: HTMLElement;
  readonly #density = make("canvas", { width: CELLS, height: CELLS, className: "density", role: "img" });
  readonly #points = make("canvas", { width: SIZE, height: SIZE, className: "points", "aria-hidden": "true" });
  readonly #svg = svg("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, class: "handles" });
  readonly #handles: Handle[];
  readonly #onMove: (settled: boolean) => void;
  classes: ToyClass[];
  chosen: number | null = 0;

  /** `onMove` is called with every change of a class; `settled` when it is released. */
  constructor(classes: readonly ToyClass[], onMove: (settled: boolean) => void) {
    this.classes = [...classes];
    this.#onMove = onMove;
    this.#handles = classes.map((_, at) => this.#handle(at));
    this.#svg.append(...this.#handles.map(({ group }) => group));
    this.element = make("div", { className: "plane" }, this.#density, this.#points, this.#svg);
    this.place();
  }

  /** Moves the handles to their classes. */
  place(): void {
    this.#handles.forEach(({ group, ring, dot, name }, at) => {
      const spot = this.classes[at];
      if (!spot) return;
      const [x, y] = [toScreen(spot.mean[0]), toScreen(spot.mean[1], true)];
      for (const circle of [ring, dot]) {
        circle.setAttribute("cx", String(x));
        circle.setAttribute("cy", String(y));
      }
      ring.setAttribute("r", String((spot.deviation / EXTENT) * 0.5 * SIZE * 2));
      name.setAttribute("x", String(x));
      name.setAttribute("y", String(y + 5));
      group.classList.toggle("chosen", this.chosen === at);
      group.setAttribute("aria-valuenow", spot.mean[0].toFixed(2));
      group.setAttribute("aria-valuetext", `at ${spot.mean.map((value) => value.toFixed(2)).join(", ")}, deviation ${spot.deviation.toFixed(2)}`);
    });
  }

  /** Paints a density: 0 in the colour of the paper, the largest value in the accent colour. */
  showDensity(values: Float32Array, words: string): void {
    const context = this.#density.getContext("2d");
    if (!context) return;
    const style = getComputedStyle(document.documentElement);
    const [from, to] = [colour(style, "--panel"), colour(style, "--accent")];
    const image = context.createImageData(CELLS, CELLS);
    values.forEach((value, at) => {
      // In eight steps, like the contour lines of a map.
      const share = Math.ceil(Math.sqrt(value) * 8 - 0.15) / 8;
      for (let channel = 0; channel < 3; channel += 1) {
        image.data[at * 4 + channel] = (from[channel] ?? 0) + ((to[channel] ?? 0) - (from[channel] ?? 0)) * 0.78 * share;
      }
      image.data[at * 4 + 3] = 255;
    });
    context.putImageData(image, 0, 0);
    this.#density.setAttribute("aria-label", words);
  }

  showPoints(points: Float32Array): void {
    const context = this.#points.getContext("2d");
    if (!context) return;
    const style = getComputedStyle(document.documentElement);
    context.clearRect(0, 0, SIZE, SIZE);
    context.fillStyle = style.getPropertyValue("--ink");
    for (let at = 0; at + 1 < points.length; at += 2) {
      context.fillRect(toScreen(points[at] ?? 0) - 2.5, toScreen(points[at + 1] ?? 0, true) - 2.5, 5, 5);
    }
  }

  #handle(at: number): Handle {
    const name = NAMES[at] ?? String(at + 1);
    const ring = svg("circle", { class: "ring" });
    const dot = svg("circle", { class: "dot", r: 15 });
    const text = svg("text", {}, name);
    const group = svg("g", {
      class: "handle",
      tabindex: 0,
      role: "slider",
      "aria-label": `Class ${name}: arrow keys move it, plus and minus change its width`,
      "aria-valuemin": -EXTENT,
      "aria-valuemax": EXTENT,
    });
    group.append(ring, dot, text);
    group.addEventListener("pointerdown", (event) => this.#drag(at, event as PointerEvent));
    group.addEventListener("keydown", (event) => this.#key(at, event as KeyboardEvent));
    group.addEventListener(
      "wheel",
      (event) => {
        if (document.activeElement !== group) return;
        event.preventDefault();
        this.#widen(at, (event as WheelEvent).deltaY < 0 ? 1.06 : 1 / 1.06);
      },
      { passive: false },
    );
    return { group, ring, dot, name: text };
  }

  #drag(at: number, down: PointerEvent): void {
    const group = this.#handles[at]?.group;
    const spot = this.classes[at];
    if (!group || !spot) return;
    group.setPointerCapture(down.pointerId);
    const box = this.#svg.getBoundingClientRect();
    const scale = (2 * EXTENT) / box.width;
    // Dragging the ring changes the width, dragging inside it moves the class.
    const away = Math.hypot((down.clientX - box.left) * scale - EXTENT - spot.mean[0], EXTENT - (down.clientY - box.top) * scale - spot.mean[1]);
    const widens = away > Math.max(0.12, spot.deviation * 1.5);
    const move = (event: Event): void => {
      const { clientX, clientY } = event as PointerEvent;
      const x = clamp((clientX - box.left) * scale - EXTENT, -EXTENT, EXTENT);
      const y = clamp(EXTENT - (clientY - box.top) * scale, -EXTENT, EXTENT);
      const now = this.classes[at] ?? spot;
      if (widens) {
        const distance = Math.hypot(x - now.mean[0], y - now.mean[1]);
        this.#set(at, { mean: now.mean, deviation: clamp(distance / 2, NARROWEST, WIDEST) }, false);
      } else {
        this.#set(at, { mean: [x, y], deviation: now.deviation }, false);
      }
    };
    group.addEventListener("pointermove", move);
    const end = (): void => {
      group.removeEventListener("pointermove", move);
      this.#onMove(true);
    };
    group.addEventListener("pointerup", end, { once: true });
    group.addEventListener("pointercancel", end, { once: true });
  }

  #key(at: number, event: KeyboardEvent): void {
    const spot = this.classes[at];
    if (!spot) return;
    const moves: Record<string, [number, number]> = {
      ArrowLeft: [-NUDGE, 0],
      ArrowRight: [NUDGE, 0],
      ArrowUp: [0, NUDGE],
      ArrowDown: [0, -NUDGE],
    };
    const by = moves[event.key];
    if (by) {
      const mean: [number, number] = [clamp(spot.mean[0] + by[0], -EXTENT, EXTENT), clamp(spot.mean[1] + by[1], -EXTENT, EXTENT)];
      this.#set(at, { mean, deviation: spot.deviation }, true);
    } else if (event.key === "+" || event.key === "=") this.#widen(at, 1.1);
    else if (event.key === "-") this.#widen(at, 1 / 1.1);
    else return;
    event.preventDefault();
  }

  #widen(at: number, times: number): void {
    const spot = this.classes[at];
    if (spot) this.#set(at, { mean: spot.mean, deviation: clamp(spot.deviation * times, NARROWEST, WIDEST) }, true);
  }

  #set(at: number, spot: ToyClass, settled: boolean): void {
    this.classes[at] = spot;
    this.place();
    this.#onMove(settled);
  }
}

function colour(style: CSSStyleDeclaration, name: string): number[] {
  const hex = style.getPropertyValue(name).trim().replace("#", "");
  return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
}
