// What the gate shows: its shadow tree, built by DOM calls alone, so that it
// works under a policy that forbids inline styles and markup from strings.
import { type Answer, blamesKey, type Manner, manners, outcomeOf } from "./answer.js";
import { MAX_LENGTH } from "./store.js";
import { adoptStyles } from "./styles.js";
import type { GateTexts, OutcomeCode } from "./texts.js";

/** What the buttons ask of the gate. */
export interface Actions {
  submit(): void;
  cancel(): void;
  edit(): void;
}

/** Everything that the view shows; it keeps no state of its own. */
export interface Model {
  texts: GateTexts;
  /** `starting` checks a remembered key, which needs no form; `open` shows the content. */
  phase: "form" | "starting" | "checking" | "open";
  fieldError: string;
  /** Shown with the form. */
  answer: Answer | undefined;
  report: string;
  online: boolean;
  /** What is said of the time until a retry, or "". */
  wait: string;
  /** Shown with the content; `urgent` where the customer should do something about it. */
  notice: { text: string; urgent: boolean };
  links: Links;
}

/** The addresses of the links, as they were given. */
export interface Links {
  manage: string | null;
  buy: string | null;
  support: string | null;
}

/** Where Whop's customers find their memberships, and in them the license key and its reset. */
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
  readonly submit = make("button", "button submit", { type: "submit" });
  readonly cancel = make("button", "button cancel", { type: "button" });
  readonly content = make("div", "content", {}, document.createElement("slot"));
  readonly resultTitle = make("h3", "result-title", {
    id: "result-title",
    tabindex: "-1",
    "aria-describedby": "result-text",
  });
  readonly #title = make("h2", "title", {});
  readonly #intro = make("p", "intro", {});
  readonly #label = make("label", "label", { for: "key" });
  readonly #help = make("p", "help", { id: "help" });
  readonly #fieldError = make("p", "field-error", { id: "error" });
  readonly #progress = make("p", "progress", {});
  readonly #result = make("section", "result", { "aria-labelledby": "result-title" });
  readonly #icon = icon();
  readonly #resultText = make("p", "result-text", { id: "result-text" });
  readonly #nextTitle = make("p", "next-title", { id: "next-title" });
  readonly #next = make("ol", "next", { "aria-labelledby": "next-title" });
  readonly #manage = link("manage");
  readonly #buy = link("buy");
  readonly #support = link("support");
  readonly #retry = make("button", "button retry", { type: "button", "aria-describedby": "wait" });
  // The time is written every second, but read out only with the button and now and then.
  readonly #wait = make("p", "wait", { "aria-hidden": "true" });
  readonly #waitSaid = make("p", "", { id: "wait", class: "hidden-text" });
  readonly #summary = make("summary", "details-title", {});
  readonly #report = make("pre", "report", { lang: "en", dir: "ltr" });
  readonly #details = make("details", "details", {}, this.#summary, this.#report);
  readonly #notice = make("p", "notice", {});
  readonly #status = make("div", "", { class: "hidden-text", role: "status" });
  readonly #intros = [this.#title, this.#intro];
  readonly #field = make("div", "field", {});
  readonly #fields = make("slot", "", { name: "fields" });
  readonly #form = make("form", "form", { novalidate: "" });
  readonly #panel = make("div", "panel", {});

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
      this.#nextTitle,
      this.#next,
      make("div", "actions", {}, this.#manage, this.#buy, this.#support, this.#retry),
      this.#wait,
      this.#waitSaid,
      this.#details,
    );
    this.#panel.append(...this.#intros, this.#form, this.#result);
    root.append(this.#status, this.#panel, this.#notice, this.content);

    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      actions.submit();
    });
    this.#form.addEventListener("keydown", (event) => {
      // Enter submits from the page's own fields too, unless they are in a form of the page.
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
    this.input.addEventListener("input", () => actions.edit());
    // The content can be focused only so that the focus isn't lost.
    this.content.addEventListener("blur", () => this.content.removeAttribute("tabindex"));
  }

  /** Tells a screen reader something, each text as a paragraph. */
  announce(...texts: string[]): void {
    this.#status.replaceChildren(...texts.filter(Boolean).map((text) => make("p", "", {}, text)));
  }

  /** Tells a screen reader an outcome. */
  announceOutcome(texts: GateTexts, outcome: OutcomeCode, online: boolean): void {
    this.announce(texts.outcomes[outcome].title, outcomeText(texts, outcome, online));
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
    this.#panel.hidden = open;
    this.#panel.toggleAttribute("data-starting", starting);
    this.content.hidden = !open;
    for (const element of [this.#panel, this.#notice, this.#status]) element.lang = texts.locale;

    const hidden = [...this.#intros, this.#field, this.#fields, this.submit];
    for (const element of hidden) element.hidden = starting;
    this.#title.textContent = texts.title;
    this.#intro.textContent = texts.intro;
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
    // Not `disabled`, which would lose the focus.
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
  }

  #renderResult(model: Model, answer: Answer): void {
    const { texts, links } = model;
    const outcome = outcomeOf(answer);
    const { tone, manage, buy, support, retry } = manners[outcome];
    const { title, next } = texts.outcomes[outcome];
    this.#result.dataset.tone = tone;
    this.#result.dataset.code = answer.code;
    this.#icon.lastElementChild?.setAttribute("d", TONES[tone]);
    this.resultTitle.textContent = title;
    this.#resultText.textContent = outcomeText(texts, outcome, model.online);
    this.#nextTitle.textContent = texts.next;
    this.#nextTitle.hidden = this.#next.hidden = next.length === 0;
    this.#next.replaceChildren(...next.map((step) => make("li", "", {}, step)));
    const newTab = make("span", "", { class: "hidden-text" }, ` ${texts.newTab}`);
    for (const [anchor, text, href] of [
      [this.#manage, texts.manage, manage && (address(links.manage) ?? MEMBERSHIPS)],
      [this.#buy, texts.buy, buy && address(links.buy)],
      [this.#support, texts.support, support && address(links.support)],
    ] as const) {
      anchor.hidden = !href;
      if (href) anchor.href = href;
      anchor.replaceChildren(text, newTab.cloneNode(true));
    }
    this.#retry.hidden = !retry;
    this.#retry.textContent = texts.retry;
    this.#summary.textContent = texts.details;
    this.#report.textContent = model.report;
    this.renderWait(model.wait, true);
  }

  /** Shows the time until a retry; if `said`, a screen reader hears it too. */
  renderWait(wait: string, said: boolean): void {
    this.#retry.setAttribute("aria-disabled", String(wait !== ""));
    this.#wait.hidden = wait === "" || this.#retry.hidden;
    this.#wait.textContent = wait;
    if (said) this.#waitSaid.textContent = wait;
  }
}

/** The sentence about an outcome, where it depends on the network. */
function outcomeText(texts: GateTexts, code: OutcomeCode, online: boolean): string {
  return code === "unavailable" && !online ? texts.offline : texts.outcomes[code].text;
}

/** An address that is safe for a link: clicking it runs no code. */
function address(given: string | null): string | undefined {
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
