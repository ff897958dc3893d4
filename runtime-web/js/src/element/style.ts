/** The style of `<freeguide-sampler>`. Pages may change the custom properties in `:host` and the parts. */
export const STYLE = `
:host {
  --_ink: var(--freeguide-ink, #1c1a17);
  --_soft: var(--freeguide-soft, #625c51);
  --_paper: var(--freeguide-paper, #fbf9f3);
  --_line: var(--freeguide-line, #d9d2c2);
  --_accent: var(--freeguide-accent, #c43914);
  --_on-accent: var(--freeguide-on-accent, #fffaf2);
  --_radius: var(--freeguide-radius, 10px);
  --_gap: var(--freeguide-gap, 12px);
  display: block;
  box-sizing: border-box;
  max-width: 420px;
  padding: 16px;
  border: 1px solid var(--_line);
  border-radius: var(--_radius);
  background: var(--_paper);
  color: var(--_ink);
  font: 15px/1.4 var(--freeguide-font, system-ui, sans-serif);
}
:host([hidden]), [hidden] { display: none !important; }
* { box-sizing: border-box; }
[part="pictures"] {
  display: grid;
  grid-template-columns: repeat(var(--_columns, 2), minmax(0, 1fr));
  gap: calc(var(--_gap) / 2);
}
[part="picture"] {
  display: block;
  width: 100%;
  aspect-ratio: 1;
  background: color-mix(in srgb, var(--_line) 45%, var(--_paper));
  image-rendering: var(--freeguide-rendering, pixelated);
}
[part="progress"] {
  display: block;
  width: 100%;
  height: 3px;
  margin: calc(var(--_gap) / 2) 0 0;
  overflow: hidden;
  background: var(--_line);
}
[part="progress"] > div {
  width: 100%;
  height: 100%;
  background: var(--_accent);
  transform: scaleX(var(--_done, 0));
  transform-origin: left;
}
[part="status"] { min-height: 1.4em; margin: 4px 0 var(--_gap); font-size: 13px; color: var(--_soft); }
[part="problem"] {
  margin: 0 0 var(--_gap);
  padding: 10px 12px;
  border-left: 3px solid var(--_accent);
  background: color-mix(in srgb, var(--_accent) 8%, var(--_paper));
  overflow-wrap: anywhere;
}
[part="problem"] p { margin: 0 0 6px; }
[part="problem"] .detail { font-size: 13px; color: var(--_soft); }
[part="controls"] { display: grid; grid-template-columns: 1fr 1fr; gap: var(--_gap); margin: 0; }
[part="controls"] > .wide { grid-column: 1 / -1; }
label { display: block; margin-bottom: 4px; font-size: 13px; color: var(--_soft); }
fieldset { margin: 0; padding: 0; border: 0; min-inline-size: 0; }
legend { padding: 0; margin-bottom: 4px; font-size: 13px; color: var(--_soft); }
.boxes { display: flex; flex-wrap: wrap; gap: 4px 12px; max-block-size: 10em; overflow: auto; }
.box { display: inline-flex; align-items: center; gap: 4px; margin: 0; color: var(--_ink); }
label .value { float: right; color: var(--_ink); font-variant-numeric: tabular-nums; }
select, input[type="text"], button {
  width: 100%;
  min-height: 40px;
  padding: 6px 10px;
  border: 1px solid var(--_line);
  border-radius: var(--_radius);
  background: var(--_paper);
  color: inherit;
  font: inherit;
}
input[type="range"] { width: 100%; height: 28px; margin: 0; accent-color: var(--_accent); }
button { cursor: pointer; }
button:disabled { cursor: default; opacity: 0.5; }
.joined { display: flex; gap: 6px; }
.joined button { flex: none; width: 40px; padding: 0; }
[part="canvas"] {
  display: block;
  width: 100%;
  aspect-ratio: 1;
  border: 1px solid var(--_line);
  image-rendering: var(--freeguide-rendering, pixelated);
  cursor: crosshair;
  touch-action: none;
}
input[type="color"], input[type="file"] { width: 100%; height: 40px; }
[part="draw"] { border-color: var(--_accent); background: var(--_accent); color: var(--_on-accent); font-weight: 600; }
:focus-visible { outline: 2px solid var(--_ink); outline-offset: 2px; }
`;
