// What the gate shows: its shadow tree, built only with DOM calls, so that it works
// under a policy that forbids inline styles and markup from strings.
import { type Answer, adviceOn, blamesKey, lackOf, type Manner, mannerOf } from "./answer.js";
import { MAX_LENGTH } from "./store.js";
import { adoptStyles } from "./styles.js";
import type { GateTexts } from "./texts.js";

/**
 * - `idle`: waits for a license key.
 * - `checking`: a check is running and the content is hidden.
 * - `open`: the license is valid and the content is shown.
 * - `refused`: the server said no.
 * - `error`: the server could not be asked.
 */
export type GateState = "idle" | "checking" | "open" | "refused" | "error";

/** What the buttons make the gate do. */
export interface Actions {
  submit(): void;
  cancel(): void;
  edit(): void;
  useOtherKey(): void;
}

type Phase = "form" | "starting" | "checking" | "answer" | "open";

/** What a gate shows in a state, with or without its form. */
export function phaseOf(state: GateState, form: boolean): Phase {
  if (state === "open") return "open";
  if (state === "checking") return form ? "checking" : "starting";
  return form ? "form" : "answer";
}

/** Everything that the view shows. The view keeps no state of its own. */
export interface Model {
  texts: GateTexts;
  attribute: (name: (typeof SHOWN_ATTRIBUTES)[number]) => string;
  /** `starting` checks without the form, `answer` shows nothing but an outcome, and `open` the content. */
  phase: Phase;
  fieldError: string;
  answer: Answer | undefined;
  report: string;
  /** Whether a license key has been entered, or was remembered. */
  hasKey: boolean;
  online: boolean;
  /** The sentence about the time until a retry, or "". */
  wait: string;
  /** Shown with the content; `urgent` if the customer should do something about it. */
  notice: { text: string; urgent: boolean };
}

/** The attributes that the view shows: the product's name, and links. */
export const SHOWN_ATTRIBUTES = [
  "product-name",
  "reset-url",
  "buy-url",
  "support-url",
  "helper-url",
] as const;

/** Where Whop's customers find their memberships, with the license key and the button that resets it. */
const MEMBERSHIPS = "https://whop.com/@me/settings/memberships/";

const TONES: Record<Manner["tone"], string> = {
  good: "M5 10.5l3.5 3.5L15 7",
  warn: "M10 5v6M10 14.5v.5",
  bad: "M6.5 6.5l7 7M13.5 6.5l-7 7",
  neutral: "M5.5 10h9",
};

export class View {
  readonly input = make("input", "input", {
    id: "key",
    type: "text",
    dir: "ltr",
    autocomplete: "off",
    autocapitalize: "characters",
    autocorrect: "off",
    spellcheck: "false",
    enterkeyhint: "go",
    maxlength: String(MAX_LENGTH),
    "aria-required": "true",
    "aria-describedby": "help error",
  });
  readonly submit = make("button", "button submit primary", { type: "submit" });
  readonly cancel = make("button", "button cancel", { type: "button" });
  readonly content = make("div", "content", {}, document.createElement("slot"));
  readonly resultTitle = make("h3", "result-title", {
    id: "result-title",
    tabindex: "-1",
    "aria-describedby": "result-text",
  });
  readonly #title = make("h2", "title", {});
  readonly #label = make("label", "label", { for: "key" });
  readonly #help = make("p", "help", { id: "help" });
  readonly #fieldError = make("p", "field-error", { id: "error" });
  readonly #progress = make("p", "progress", {});
  readonly #result = make("section", "result", { "aria-labelledby": "result-title" });
  readonly #icon = icon();
  readonly #resultText = make("p", "result-text", { id: "result-text" });
  readonly #message = make("p", "message", { lang: "en", dir: "ltr" });
  readonly #nextTitle = make("p", "next-title", { id: "next-title" });
  readonly #next = make("ol", "next", { "aria-labelledby": "next-title" });
  readonly #helper = link("helper");
  readonly #reload = make("button", "button reload", { type: "button" });
  readonly #manage = link("manage");
  readonly #buy = link("buy");
  readonly #support = link("support");
  readonly #retry = make("button", "button retry", { type: "button", "aria-describedby": "wait" });
  readonly #otherKey = make("button", "button other-key", { type: "button" });
  // The time changes every second, but is read out only with the button and occasionally.
  readonly #wait = make("p", "wait", { "aria-hidden": "true" });
  readonly #waitSaid = make("p", "", { id: "wait", class: "hidden-text" });
  /** The most helpful first. Without the form, the first one that is shown is the primary one. */
  readonly #actions = [
    this.#helper,
    this.#reload,
    this.#manage,
    this.#retry,
    this.#buy,
    this.#support,
  ];
  readonly #summary = make("summary", "details-title", {});
  readonly #report = make("pre", "report", { lang: "en", dir: "ltr" });
  readonly #details = make("details", "details", {}, this.#summary, this.#report);
  readonly #notice = make("p", "notice", {});
  readonly #status = make("div", "", { class: "hidden-text", role: "status" });
  readonly #field = make("div", "field", {});
  readonly #fields = make("slot", "", { name: "fields" });
  readonly #form = make("form", "form", { novalidate: "" });
  readonly #panel = make("div", "panel", {});
  readonly #frame = make("div", "frame", {}, this.#panel);

  constructor(root: ShadowRoot, actions: Actions) {
    adoptStyles(root);
    this.#field.append(this.#label, this.input, this.#help, this.#fieldError);
    this.#form.append(
      this.#field,
      this.#fields,
      this.#progress,
      make("div", "actions", {}, this.submit, this.cancel),
    );
    this.#result.append(
      make("div", "result-heading", {}, this.#icon, this.resultTitle),
      this.#resultText,
      this.#message,
      this.#nextTitle,
      this.#next,
      make("div", "actions", {}, ...this.#actions, this.#otherKey),
      this.#wait,
      this.#waitSaid,
      this.#details,
    );
    this.#panel.append(this.#title, this.#form, this.#result);
    root.append(this.#status, this.#frame, this.#notice, this.content);

    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      actions.submit();
    });
    this.#form.addEventListener("keydown", (event) => {
      // Enter also submits from the page's own fields, unless they are in a form of the page.
      const { target } = event;
      const own = target instanceof HTMLInputElement && !target.form;
      if (event.key === "Enter" && own && !event.isComposing) {
        event.preventDefault();
        actions.submit();
      }
      if (event.key === "Escape" && !this.cancel.hidden) {
        event.preventDefault();
        actions.cancel();
      }
    });
    this.cancel.addEventListener("click", () => actions.cancel());
    this.#retry.addEventListener("click", () => {
      if (this.#retry.getAttribute("aria-disabled") !== "true") actions.submit();
    });
    this.#reload.addEventListener("click", () => location.reload());
    this.#otherKey.addEventListener("click", () => actions.useOtherKey());
    this.input.addEventListener("input", () => actions.edit());
    // The content can be focused only to keep the focus from being lost.
    this.content.addEventListener("blur", () => this.content.removeAttribute("tabindex"));
  }

  /** The title that is shown. */
  get title(): string {
    return this.#title.textContent;
  }

  /** Tells a screen reader something, each text as a paragraph. */
  announce(...texts: string[]): void {
    this.#status.replaceChildren(...texts.filter(Boolean).map((text) => make("p", "", {}, text)));
  }

  /** Tells a screen reader an outcome. */
  announceOutcome(texts: GateTexts, answer: Answer, online: boolean): void {
    const { title, text } = adviceOn(answer, texts, online);
    this.announce(title, text);
  }

  /** Whether the page has added its own fields to the form. */
  get hasFields(): boolean {
    return this.#fields.assignedElements().length > 0;
  }

  /** What can have the focus while a check is running. */
  busyControl(): HTMLElement {
    return this.submit.hidden ? this.cancel : this.submit;
  }

  render(model: Model): void {
    const { texts, phase, answer } = model;
    const open = phase === "open";
    const starting = phase === "starting";
    const busy = starting || phase === "checking";
    const answered = phase === "answer";
    this.#frame.hidden = open;
    this.#panel.toggleAttribute("data-starting", starting);
    this.content.hidden = !open;
    for (const element of [this.#panel, this.#notice, this.#status]) element.lang = texts.locale;

    this.#form.hidden = answered;
    for (const element of [this.#title, this.#field, this.#fields, this.submit]) {
      element.hidden = starting;
    }
    this.#title.textContent = titleOf(model);
    this.#label.textContent = texts.label;
    this.input.placeholder = texts.placeholder;
    this.input.readOnly = busy;
    this.#help.textContent = texts.help;
    this.#fieldError.textContent = model.fieldError;
    const wrongKey = model.fieldError !== "" || (!busy && answer?.code === "not_found");
    this.input.setAttribute("aria-invalid", String(wrongKey));

    this.#form.setAttribute("aria-busy", String(busy));
    this.#progress.hidden = !starting;
    this.#progress.replaceChildren(spinner(), texts.checking);
    // Not `disabled`, because that would lose the focus.
    this.submit.setAttribute("aria-disabled", String(busy));
    this.submit.replaceChildren(...(busy ? [spinner(), texts.busy] : [texts.submit]));
    this.cancel.hidden = !busy;
    this.cancel.textContent = texts.cancel;

    this.#notice.hidden = !open || model.notice.text === "";
    this.#notice.textContent = model.notice.text;
    this.#notice.dataset.tone = model.notice.urgent ? "warn" : "neutral";
    this.#result.hidden = busy || open || !answer || blamesKey(answer);
    if (this.#result.hidden) this.#details.open = false;
    else if (answer) this.#renderResult(model, answer);
    this.#renderPrimary(answered);
  }

  #renderResult(model: Model, answer: Answer): void {
    const { texts, attribute } = model;
    const { tone, manage, buy, support, retry, helper, reload } = mannerOf(answer);
    const { title, text, message, next } = adviceOn(answer, texts, model.online);
    this.#result.dataset.tone = tone;
    this.#result.dataset.code = answer.code;
    this.#icon.lastElementChild?.setAttribute("d", TONES[tone]);
    this.resultTitle.textContent = title;
    this.#resultText.textContent = text;
    this.#message.textContent = message;
    this.#message.hidden = message === "";
    this.#nextTitle.textContent = texts.next;
    this.#nextTitle.hidden = this.#next.hidden = next.length === 0;
    this.#next.replaceChildren(...next.map((step) => make("li", "", {}, step)));
    const newTab = make("span", "", { class: "hidden-text" }, ` ${texts.newTab}`);
    for (const [anchor, text, href] of [
      [this.#helper, texts.getHelper, helper && address(attribute("helper-url"))],
      [this.#manage, texts.manage, manage && (address(attribute("reset-url")) ?? MEMBERSHIPS)],
      [this.#buy, texts.buy, buy && address(attribute("buy-url"))],
      [this.#support, texts.support, support && address(attribute("support-url"))],
    ] as const) {
      anchor.hidden = !href;
      if (href) anchor.href = href;
      anchor.replaceChildren(text, newTab.cloneNode(true));
    }
    // Before the customer has entered a key, there is no key to try again or to replace.
    const early = lackOf(answer) !== undefined && !model.hasKey;
    this.#reload.hidden = !reload;
    this.#reload.textContent = texts.reload;
    this.#retry.hidden = !retry || early;
    this.#retry.textContent = texts.retry;
    this.#otherKey.hidden = model.phase !== "answer" || early;
    this.#otherKey.textContent = texts.otherKey;
    this.#summary.textContent = texts.details;
    this.#report.textContent = model.report;
    this.renderWait(model.wait, true);
  }

  /** Marks the primary button: the form's, or without the form the first button of the outcome. */
  #renderPrimary(answered: boolean): void {
    const first = this.#actions.find((action) => !action.hidden);
    for (const action of this.#actions) {
      // Not with `action.part`, which jsdom doesn't have.
      const parts = (action.getAttribute("part") ?? "").replace(/ primary$/, "");
      action.setAttribute("part", answered && action === first ? `${parts} primary` : parts);
    }
  }

  /** Shows the time until a retry. If `said`, a screen reader also reads it out. */
  renderWait(wait: string, said: boolean): void {
    this.#retry.setAttribute("aria-disabled", String(wait !== ""));
    this.#wait.hidden = wait === "" || this.#retry.hidden;
    this.#wait.textContent = wait;
    if (said) this.#waitSaid.textContent = wait;
  }
}

/** The title: what the form asks for, or which license an outcome is about. */
function titleOf({ texts, attribute, phase }: Model): string {
  const product = attribute("product-name");
  if (phase === "answer") return product ? texts.productLicense(product) : texts.license;
  return product ? texts.productTitle(product) : texts.title;
}

/** An address that is safe for a link: clicking it runs no code. */
function address(given: string): string | undefined {
  if (!given) return undefined;
  try {
    const { href, protocol } = new URL(given, document.baseURI);
    return /^(https?|mailto):$/.test(protocol) ? href : undefined;
  } catch {
    return undefined;
  }
}

function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  part: string,
  attributes: Record<string, string>,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  if (part) element.setAttribute("part", part);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function link(part: string): HTMLAnchorElement {
  return make("a", `button ${part}`, { target: "_blank", rel: "noopener noreferrer" });
}

function spinner(): HTMLElement {
  return make("span", "spinner", { class: "spinner", "aria-hidden": "true" });
}

function icon(): SVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("part", "icon");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  svg.append(path);
  return svg;
}
