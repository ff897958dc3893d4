/** Keys that work everywhere on the page: Enter draws, Escape stops, R rolls a new seed. */
export function setUpKeyboard(act: { draw(): void; stop(): void; roll(): void; blocked(): boolean }): void {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || act.blocked()) return;
    const target = event.target as HTMLElement;
    const hasItsOwnEnter = target.closest("button, a, select, summary") !== null;
    const takesText = target.closest("input:not([type=range], [type=radio], [type=checkbox])") !== null;
    if (event.key === "Escape") {
      act.stop();
    } else if (event.key === "Enter" && !hasItsOwnEnter) {
      // Text fields submit their form themselves, after their change event.
      if (takesText && target.closest("form")) return;
      event.preventDefault();
      act.draw();
    } else if (event.key.toLowerCase() === "r" && !takesText) {
      act.roll();
    }
  });
}
