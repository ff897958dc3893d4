import { byId } from "./dom.js";

const KEY = "freeguide-theme";

function stored(theme: string | null): void {
  try {
    if (theme === null) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

/** The button that switches between light and dark. Until it is used, the system decides. */
export function setUpTheme(onChange: () => void): void {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = byId<HTMLButtonElement>("theme");
  const show = (): void => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
    button.setAttribute("aria-label", dark ? "Switch to light" : "Switch to dark");
    button.title = dark ? "Light" : "Dark";
    onChange();
  };
  button.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
    const next = dark ? "light" : "dark";
    // If the choice equals the system's, the system decides again.
    if ((next === "dark") === system.matches) {
      delete root.dataset.theme;
      stored(null);
    } else {
      root.dataset.theme = next;
      stored(next);
    }
    show();
  });
  system.addEventListener("change", show);
  show();
}
