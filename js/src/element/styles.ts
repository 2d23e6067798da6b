let shared: CSSStyleSheet | undefined;

/**
 * Gives a gate's shadow tree the style sheet that all gates share. It is constructed,
 * because a Content Security Policy without `'unsafe-inline'` allows scripts no other
 * way. If constructed style sheets are not supported, as in jsdom, the gate works
 * without styles.
 */
export function adoptStyles(root: ShadowRoot): void {
  if (typeof CSSStyleSheet.prototype.replaceSync !== "function") return;
  if (!shared) {
    shared = new CSSStyleSheet();
    shared.replaceSync(css);
  }
  root.adoptedStyleSheets = [shared];
}

/** The custom properties for colors, with their values in light and dark mode. */
const COLORS = [
  ["accent", "#4338ca", "#a5b4fc"],
  ["on-accent", "#ffffff", "#14142b"],
  ["surface", "#ffffff", "#1a1a20"],
  ["text", "#17171c", "#ececf1"],
  ["muted", "#5b5b66", "#a4a4b2"],
  ["border", "#8a8a96", "#6d6d7c"],
  ["edge", "#e2e2e8", "#2c2c35"],
  ["good", "#0b6b3a", "#6ee7a8"],
  ["warn", "#8a4b00", "#fcd34d"],
  ["bad", "#b3141f", "#fda4af"],
  ["good-surface", "#eaf7ef", "#12271c"],
  ["warn-surface", "#fdf4e3", "#2a2110"],
  ["bad-surface", "#fdeeee", "#2e1519"],
] as const;

function colors(choose: (light: string, dark: string) => string): string {
  return COLORS.map(
    ([name, light, dark]) => `  --_${name}: var(--whop-gate-${name}, ${choose(light, dark)});`,
  ).join("\n");
}

const css = `
:host {
  display: block;
}

:host([hidden]) {
  display: none;
}

.hidden-text {
  position: absolute;
  inline-size: 1px;
  block-size: 1px;
  margin: -1px;
  overflow: hidden;
  clip-path: inset(50%);
  white-space: nowrap;
}

[part="panel"], [part="notice"] {
${colors((light) => light)}
  --_radius: var(--whop-gate-radius, 12px);
  --_quiet: color-mix(in srgb, var(--_text) 6%, var(--_surface));
  box-sizing: border-box;
  color: var(--_text);
  font: 1rem / 1.5 var(--whop-gate-font, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif);
  text-align: start;
  overflow-wrap: anywhere;
}

/* A browser without light-dark() shows the light colors. */
@supports (color: light-dark(red, red)) {
[part="panel"], [part="notice"] {
${colors((light, dark) => `light-dark(${light}, ${dark})`)}
}
}

/* In the middle of the window, with room for the page's margins. */
[part="frame"] {
  display: grid;
  align-items: center;
  min-block-size: var(--whop-gate-height, calc(100vh - 4rem));
}

@supports (block-size: 1dvh) {
[part="frame"] {
  min-block-size: var(--whop-gate-height, calc(100dvh - 4rem));
}
}

[part="panel"] {
  inline-size: 100%;
  max-inline-size: var(--whop-gate-width, 30rem);
  margin-inline: auto;
  padding: clamp(1.25rem, 5vw, 2.25rem);
  border: 1px solid var(--_edge);
  border-radius: calc(var(--_radius) * 1.5);
  background: var(--_surface);
  box-shadow: var(--whop-gate-shadow, 0 12px 36px rgb(0 0 0 / 7%));
}

h2, h3, p, ol, pre {
  margin: 0;
}

[part="title"] {
  font-size: 1.375rem;
  line-height: 1.25;
  letter-spacing: -0.01em;
}

[part="title"]:not([hidden]) + [part="form"] {
  margin-block-start: 1.25rem;
}

[part="help"], [part="wait"], [part="progress"] {
  color: var(--_muted);
}

[part="field"] {
  display: grid;
  gap: 0.5rem;
}

label {
  font-weight: 600;
}

input {
  box-sizing: border-box;
  inline-size: 100%;
  min-block-size: 2.75rem;
  padding: 0.625rem 0.8125rem;
  border: 1px solid var(--_border);
  border-radius: var(--_radius);
  background: var(--_surface);
  color: inherit;
  font: 1rem / 1.4 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace;
  text-align: -webkit-match-parent;
  text-align: match-parent;
}

input::placeholder {
  color: var(--_muted);
  opacity: 1;
}

input[aria-invalid="true"] {
  border-color: var(--_bad);
  box-shadow: inset 0 0 0 1px var(--_bad);
}

input:read-only {
  background: var(--_quiet);
}

[part="help"], [part="field-error"], [part="wait"], summary, pre {
  font-size: 0.875rem;
}

[part="field-error"] {
  color: var(--_bad);
}

[part="field-error"]:empty {
  display: none;
}

:focus-visible {
  outline: 3px solid var(--_accent);
  outline-offset: 2px;
}

/* These are focused so that they are read out. A ring would suggest that they are interactive. */
[part="result-title"]:focus, [part="content"]:focus {
  outline: none;
}

[part="actions"] {
  display: flex;
  flex-wrap: wrap;
  gap: 0.625rem;
  margin-block-start: 1.25rem;
}

[part="actions"]:not(:has(> :not([hidden]))) {
  display: none;
}

button, a {
  display: inline-flex;
  align-items: center;
  justify-content: center;
  gap: 0.5rem;
  box-sizing: border-box;
  min-block-size: 2.75rem;
  padding: 0.5rem 1.125rem;
  border: 1px solid var(--_border);
  border-radius: var(--_radius);
  background: transparent;
  color: inherit;
  font: inherit;
  font-weight: 600;
  text-decoration: none;
  cursor: pointer;
}

button:hover, a:hover {
  background: color-mix(in srgb, currentcolor 8%, transparent);
}

[type="submit"] {
  flex: 1;
}

[part~="primary"] {
  border-color: transparent;
  background: var(--_accent);
  color: var(--_on-accent);
}

[part~="primary"]:hover {
  background: color-mix(in srgb, var(--_text) 16%, var(--_accent));
}

[aria-disabled="true"], [aria-disabled="true"]:hover {
  border-color: var(--_edge);
  background: var(--_quiet);
  color: var(--_muted);
  cursor: default;
}

[part="progress"] {
  display: flex;
  align-items: center;
  justify-content: center;
  gap: 0.625rem;
}

[data-starting] [part="actions"] {
  justify-content: center;
}

/* A remembered key is usually checked before anyone could read this. */
[data-starting] {
  animation: appear 1ms 400ms backwards;
}

@keyframes appear {
  from { opacity: 0; }
}

.spinner {
  flex: none;
  inline-size: 1rem;
  block-size: 1rem;
  box-sizing: border-box;
  border: 2px solid currentcolor;
  border-inline-end-color: transparent;
  border-radius: 50%;
  animation: turn 0.8s linear infinite;
}

@keyframes turn {
  to { transform: rotate(1turn); }
}

[part="result"] {
  --_tone: var(--_text);
  --_back: var(--_quiet);
  margin-block-start: 1.75rem;
  padding: 1.125rem 1.25rem 1.25rem;
  border-inline-start: 4px solid var(--_tone);
  border-radius: var(--_radius);
  background: var(--_back);
}

[data-tone="good"] { --_tone: var(--_good); --_back: var(--_good-surface); }
[data-tone="warn"] { --_tone: var(--_warn); --_back: var(--_warn-surface); }
[data-tone="bad"] { --_tone: var(--_bad); --_back: var(--_bad-surface); }

[part="result-heading"] {
  display: flex;
  gap: 0.5rem;
  margin-block-end: 0.375rem;
  color: var(--_tone);
}

[part="result-title"] {
  font-size: 1.0625rem;
  line-height: 1.35;
}

svg {
  flex: none;
  inline-size: 1.25rem;
  block-size: 1.25rem;
  margin-block-start: 0.1rem;
  border-radius: 50%;
  background: var(--_tone);
  fill: none;
  stroke: var(--_surface);
  stroke-width: 2.25;
  stroke-linecap: round;
  stroke-linejoin: round;
}

[part="message"] {
  margin-block-start: 0.75rem;
  font-weight: 600;
}

[part~="other-key"] {
  padding-inline: 0.25rem;
  border-color: transparent;
  text-decoration: underline;
  text-underline-offset: 0.2em;
}

[part="form"][hidden] + [part="result"] {
  margin-block-start: 1.25rem;
}

[part="next-title"] {
  margin-block: 1rem 0.25rem;
  font-size: 0.875rem;
  font-weight: 600;
}

ol {
  padding-inline-start: 1.25rem;
}

li:only-child {
  margin-inline-start: -1.25rem;
  list-style: none;
}

[part="wait"] {
  margin-block-start: 0.5rem;
  font-variant-numeric: tabular-nums;
}

details {
  margin-block-start: 1rem;
}

summary {
  inline-size: fit-content;
  padding-block: 0.25rem;
  border-radius: 6px;
  cursor: pointer;
}

pre {
  margin-block-start: 0.5rem;
  text-align: -webkit-match-parent;
  text-align: match-parent;
  white-space: pre-wrap;
}

[part="notice"] {
  margin-block-end: 1rem;
  padding: 0.625rem 1rem;
  border: 1px solid color-mix(in srgb, currentcolor 25%, transparent);
  border-radius: var(--_radius);
  background: var(--_quiet);
  font-size: 0.875rem;
}

[part="notice"][data-tone="warn"] {
  background: var(--_warn-surface);
  color: var(--_warn);
}

[hidden] {
  display: none !important;
}

@media (forced-colors: active) {
  [aria-disabled="true"] { color: GrayText; }
  svg { background: CanvasText; stroke: Canvas; forced-color-adjust: none; }
}

@media (prefers-reduced-motion: reduce) {
  .spinner { animation: none; }
}
`;
