import type { Model } from "freeguide";
import { byId } from "./dom.js";

/** One part of the page: the content of a tab. */
export interface Part {
  /** The part is shown. */
  show?(): void;
  /** The part is hidden: it stops drawing. */
  hide?(): void;
  /** A model was opened, or closed. Called only on parts that need a model, and only after they were first shown. */
  model?(model: Model | undefined): void;
  /** The guidance rail was moved; `settled` when it is released. */
  guidance?(settled: boolean): void;
  /** The colour theme has changed: canvases have to be painted again. */
  theme?(): void;
  /** Enter, Escape and R, if no field uses them. */
  draw?(): void;
  stop?(): void;
  roll?(): void;
}

/** A tab: its name in the address, and how its part is made when it is first shown. */
export interface Tab {
  readonly name: string;
  readonly title: string;
  readonly needsModel: boolean;
  make(root: HTMLElement): Promise<Part>;
}

/** Shows one part at a time, the one that the address's fragment names. */
export class Parts {
  readonly #tabs: readonly Tab[];
  readonly #made = new Map<string, Promise<Part>>();
  readonly #onShow: (tab: Tab) => void;
  #shown: { tab: Tab; part: Part | undefined } | undefined;

  constructor(tabs: readonly Tab[], onShow: (tab: Tab) => void) {
    this.#tabs = tabs;
    this.#onShow = onShow;
    window.addEventListener("hashchange", () => void this.#follow());
  }

  /** The part that is shown, if it is ready. */
  get current(): Part | undefined {
    return this.#shown?.part;
  }

  async start(): Promise<void> {
    await this.#follow();
  }

  async #follow(): Promise<void> {
    const name = location.hash.slice(1);
    const tab = this.#tabs.find((candidate) => candidate.name === name) ?? this.#tabs[0];
    if (!tab || tab === this.#shown?.tab) return;
    this.#shown?.part?.hide?.();
    this.#shown = { tab, part: undefined };
    document.title = tab.title;
    const root = byId(`part-${tab.name}`);
    for (const { name: other } of this.#tabs) byId(`part-${other}`).hidden = other !== tab.name;
    for (const link of byId("parts").querySelectorAll("a")) {
      if (link.hash === `#${tab.name}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    let making = this.#made.get(tab.name);
    if (!making) {
      making = tab.make(root);
      this.#made.set(tab.name, making);
    }
    const part = await making;
    // The visitor may have changed the tab meanwhile.
    if (this.#shown.tab !== tab) return;
    this.#shown.part = part;
    placeFixtures(root);
    part.show?.();
    this.#onShow(tab);
  }
}

/** Moves the elements that parts share (the rail, the progress of a load, errors) to their places in this part. */
function placeFixtures(root: HTMLElement): void {
  for (const name of ["loading", "problem", "rail"]) {
    (root.querySelector(`[data-place~="${name}"]`) ?? byId("fixtures")).append(byId(name));
  }
}
