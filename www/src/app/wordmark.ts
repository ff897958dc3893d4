/** The name in pixels, which emerges from noise while the model loads. */

const ROWS = 9;
// Letters on a grid nine rows high: two for ascenders, five, two for descenders.
const LETTERS: Record<string, string[]> = {
  f: [".##", "#..", "###", "#..", "#..", "#..", "#..", "...", "..."],
  r: ["...", "...", "#.#", "##.", "#..", "#..", "#..", "...", "..."],
  e: ["....", "....", ".##.", "#..#", "####", "#...", ".###", "....", "...."],
  g: ["....", "....", ".###", "#..#", "#..#", "#..#", ".###", "...#", "###."],
  u: ["....", "....", "#..#", "#..#", "#..#", "#..#", ".###", "....", "...."],
  i: ["#", ".", "#", "#", "#", "#", "#", ".", "."],
  d: ["...#", "...#", ".###", "#..#", "#..#", "#..#", ".###", "....", "...."],
};

interface Cell {
  /** 0: empty, 1: ink, 2: accent. */
  ink: 0 | 1 | 2;
  /** When this cell settles during the load, from 0 to 1. */
  late: number;
}

function grid(margin: number): { cells: Cell[][]; columns: number } {
  const rows: string[] = Array.from({ length: ROWS }, () => "");
  [..."freeguide"].forEach((letter, at) => {
    const shape = LETTERS[letter] ?? [];
    for (let row = 0; row < ROWS; row += 1) {
      const marked = (shape[row] ?? "").replaceAll("#", at < 4 ? "1" : "2");
      rows[row] += (at > 0 ? "." : "") + marked;
    }
  });
  const side = ".".repeat(margin);
  const full = rows.map((row) => side + row + side);
  const empty = ".".repeat(full[0]?.length ?? 0);
  const all = [...Array.from({ length: margin }, () => empty), ...full, ...Array.from({ length: margin }, () => empty)];
  const cells = all.map((row) =>
    [...row].map((mark): Cell => ({ ink: mark === "1" ? 1 : mark === "2" ? 2 : 0, late: Math.random() })),
  );
  return { cells, columns: empty.length };
}

function colour(style: CSSStyleDeclaration, name: string): [number, number, number] {
  const hex = style.getPropertyValue(name).trim().replace("#", "");
  return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)) as [number, number, number];
}

/** Draws the name into `canvas`, one canvas pixel a cell. `progress` 0 is noise, 1 the name. */
export class Wordmark {
  readonly #canvas: HTMLCanvasElement;
  readonly #cells: Cell[][];

  constructor(canvas: HTMLCanvasElement, margin = 0) {
    this.#canvas = canvas;
    const { cells, columns } = grid(margin);
    this.#cells = cells;
    canvas.width = columns;
    canvas.height = cells.length;
  }

  draw(progress: number): void {
    const style = getComputedStyle(document.documentElement);
    const paper = colour(style, "--paper");
    const inks = [paper, colour(style, "--ink"), colour(style, "--accent")] as const;
    const noise = [paper, inks[1], inks[2], colour(style, "--second"), colour(style, "--faint")];
    const context = this.#canvas.getContext("2d");
    if (!context) return;
    const { width, height } = this.#canvas;
    const image = context.createImageData(width, height);
    this.#cells.forEach((row, y) =>
      row.forEach(({ ink, late }, x) => {
        // Each cell settles within a fifth of the load.
        const settled = progress >= 1 ? 1 : Math.min(1, Math.max(0, (progress - late * 0.8) / 0.2));
        const from = noise[Math.floor(Math.random() * noise.length)] ?? paper;
        const to = inks[ink];
        const at = (y * width + x) * 4;
        for (let channel = 0; channel < 3; channel += 1) {
          const start = (paper[channel] ?? 0) * 0.45 + (from[channel] ?? 0) * 0.55;
          image.data[at + channel] = start + ((to[channel] ?? 0) - start) * settled;
        }
        image.data[at + 3] = ink === 0 ? 255 * (1 - settled) : 255;
      }),
    );
    context.putImageData(image, 0, 0);
  }
}
