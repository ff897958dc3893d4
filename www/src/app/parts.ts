import type { Model } from "freeguide";
import { byId } from "./dom.js";

/** One part of the laboratory: what is behind one of the tabs. */
export interface Part {
  /** It is being looked at. */
  show?(): void;
  /** It is not looked at any more: whatever it draws stops. */
  hide?(): void;
  /** A model was opened, or closed. Only parts that need one hear of it, and only once they were shown. */
  model?(model: Model | undefined): void;
  /** The rail was moved; `settled` once it is let go. */
  guidance?(settled: boolean): void;
  /** A change of the device's theme or the page's: what is painted has to be painted again. */
  theme?(): void;
  /** Enter, Escape and R where no field takes them. */
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

  /** The part that is shown, once it was made. */
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
    // The visitor may have gone on meanwhile.
    if (this.#shown.tab !== tab) return;
    this.#shown.part = part;
    placeFixtures(root);
    part.show?.();
    this.#onShow(tab);
  }
}

/** Brings what several parts share (the rail, the load's progress, the problem) to where this part has a place for it. */
function placeFixtures(root: HTMLElement): void {
  for (const name of ["loading", "problem", "rail"]) {
    (root.querySelector(`[data-place~="${name}"]`) ?? byId("fixtures")).append(byId(name));
  }
}
