import { invalid, LicenseError } from "../errors.js";
import type { HelperState } from "../helper/index.js";
import type { Verdict } from "../types.js";
import {
  type Answer,
  asksForKey,
  blamesKey,
  eventOf,
  lackOf,
  leaseNotice,
  mayChangeOnline,
  readVerdict,
  reportOf,
} from "./answer.js";
import {
  check,
  type GateMachineId,
  type GateValidatorSource,
  isThenable,
  isValidatorSource,
  type Run,
} from "./check.js";
import { Countdown } from "./countdown.js";
import { focusContent, mayTakeFocus, noteFocus } from "./focus.js";
import { LeaseWatch } from "./lease-watch.js";
import { HelperWatch, MACHINE_ATTRIBUTES, machineOf, stepOn } from "./machine.js";
import { type GateStore, KeyKeeper, readStore } from "./store.js";
import { type GateTexts, type GateTextsInput, mergeTexts, waitText } from "./texts.js";
import { upgrade } from "./upgrade.js";
import { type GateState, phaseOf, SHOWN_ATTRIBUTES, View } from "./view.js";

export type { GateState };

const PROPERTIES = ["texts", "store", "machineId", "validator"] as const;

// Without a DOM, as on a server, the module can still be imported.
const Base = globalThis.HTMLElement ?? (class {} as typeof HTMLElement);

/**
 * `<whop-license-gate>` asks for a license key, has it checked, shows the outcome and
 * what to do next, and shows its content while the license is valid.
 *
 * It dispatches `whop-license-valid` and `whop-license-refused` with the verdict as
 * their `detail`, and `whop-license-error` with the {@link LicenseError}. The events
 * bubble and cross shadow roots. None of them contains the license key.
 *
 * The content is hidden, not protected: anyone can show it with the developer tools.
 * Code that matters must ask the validator itself.
 */
export class WhopLicenseGate extends Base {
  static readonly observedAttributes = ["store", ...MACHINE_ATTRIBUTES, ...SHOWN_ATTRIBUTES];

  #validator: GateValidatorSource | undefined;
  #machineId: GateMachineId | undefined;
  #store: GateStore | undefined;
  #texts = mergeTexts(undefined);
  readonly #view: View;

  #state: GateState = "idle";
  #run: Run | undefined;
  #licenseKey: string | undefined;
  #answer: Answer | undefined;
  #report = "";
  /** Whether the form is shown, unless the gate is open. */
  #form = true;
  #fieldError: "keyMissing" | "keyInvalid" | undefined;
  readonly #countdown = new Countdown((seconds, said) => {
    const wait = waitText(seconds, this.#texts);
    this.#view.renderWait(wait, said);
    if (said) this.#view.announce(wait || this.#texts.retryNow);
  });
  readonly #lease = new LeaseWatch(() => {
    if (this.#lease.isOver) void this.recheck();
    this.#render(); // the days left
  });
  readonly #helper = new HelperWatch(this, (state, first) => this.#heed(state, first));
  readonly #keeper = new KeyKeeper();

  constructor() {
    super();
    this.#view = new View(this.attachShadow({ mode: "open" }), {
      submit: () => this.#submit(),
      cancel: () => this.#cancel(),
      edit: () => this.#blame(undefined),
      useOtherKey: () => this.#useOtherKey(),
    });
    this.#render();
  }

  /** Checks the license keys. Set it last, because setting it starts the check of a remembered key. Throws `invalid_argument`. */
  get validator(): GateValidatorSource | undefined {
    return this.#validator;
  }
  set validator(validator: GateValidatorSource | undefined) {
    if (validator != null && !isValidatorSource(validator)) {
      throw invalid("validator", "must have validateLicense, or be a promise or a function");
    }
    // A promise that fails is reported by the check that needs it.
    if (isThenable(validator)) validator.then(undefined, () => {});
    this.#validator = validator ?? undefined;
    this.#keeper.reset();
    this.#prepare();
  }

  /**
   * This machine's id, which is passed to the validator with every check. Leave it
   * undefined if the validator knows it already. If a function returns no text, the
   * check ends in the error `no_machine_id`, because all machines without an id would
   * look alike. It overrides the attribute `machine`.
   */
  get machineId(): GateMachineId | undefined {
    return this.#machineId;
  }
  set machineId(machineId: GateMachineId | undefined) {
    this.#machineId = machineId;
    if (machineId !== undefined && lackOf(this.#answer)) this.#showForm();
    this.#follow();
  }

  /** Where the license key is remembered after it was found valid. Default: the attribute `store`, or `"none"`. Throws `invalid_argument`. */
  get store(): GateStore {
    return this.#store ?? (this.getAttribute("store") === "local" ? "local" : "none");
  }
  set store(store: GateStore | undefined) {
    readStore(store);
    this.#store = store;
    this.#prepare();
  }

  /** All texts. Set those that differ from the defaults; undefined restores the defaults. Throws `invalid_argument`. */
  get texts(): GateTexts {
    return this.#texts;
  }
  set texts(texts: GateTextsInput | undefined) {
    this.#texts = mergeTexts(texts);
    this.#render();
  }

  /** What the gate is doing. Style sheets read it from the attribute `state`, which is absent before the first change. */
  get state(): GateState {
    return this.#state;
  }

  /** The current verdict. The gate is open while it is valid. */
  get verdict(): Verdict | undefined {
    return this.#answer instanceof LicenseError ? undefined : this.#answer;
  }

  /**
   * Checks the last license key again, and resolves when that is done. An open gate
   * stays open in the meantime. A refusal closes it; an error closes it only after the
   * lease has expired.
   */
  async recheck(): Promise<void> {
    await this.#ask("app");
  }

  /**
   * Applies a verdict that the gate didn't ask for, such as a refusal from `onChange`
   * of `loadValidator`, and opens or closes. Throws `invalid_argument` if it is not a
   * verdict.
   */
  receive(verdict: Verdict): void {
    const answer = readVerdict(verdict, this.#licenseKey);
    if (!answer) throw invalid("verdict", "is not a verdict");
    // The customer is waiting for an answer, which will be newer.
    if (this.#state === "checking") return;
    this.#stop();
    this.#settle(answer, "app");
  }

  /** Forgets the license key, also in the store, and closes. It resolves when the store has removed the key. */
  async forget(): Promise<void> {
    this.#stop();
    const removed = this.#keeper.remember(readStore(this.store), undefined);
    this.#countdown.stop();
    this.#lease.take(undefined);
    this.#licenseKey = this.#answer = this.#fieldError = undefined;
    this.#view.input.value = "";
    this.#form = true;
    const hidFocus = this.#enter("idle");
    this.#view.announce();
    if (hidFocus) this.focus();
    await removed;
  }

  /** Focuses the field for the license key, the outcome that is shown in its place, or the content of an open gate. */
  override focus(options?: FocusOptions): void {
    const { input, cancel, content, resultTitle } = this.#view;
    if (this.#state === "checking") cancel.focus(options);
    else if (this.#state !== "open") (this.#form ? input : resultTitle).focus(options);
    else focusContent(this, content, options);
  }

  connectedCallback(): void {
    upgrade(this, PROPERTIES);
    addEventListener("online", this.#online);
    // A clone copies the attribute of its original. If there is none yet, none is set,
    // because a framework that hydrates server markup expects none.
    if (this.hasAttribute("state")) this.setAttribute("state", this.#state);
    this.#prepare();
    this.#countdown.resume();
    if (this.#state === "open") this.#lease.start();
    this.#follow();
  }

  disconnectedCallback(): void {
    removeEventListener("online", this.#online); // right away, because jsdom removes its globals after a test
    // An element that is only moved is connected again before this runs.
    queueMicrotask(() => {
      if (this.isConnected) return;
      this.#countdown.pause();
      this.#lease.stop();
      this.#helper.reset();
      this.#keeper.reset();
      this.#stop();
      if (this.#state !== "checking") return;
      this.#form = true;
      this.#enter("idle");
    });
  }

  attributeChangedCallback(name: string, before: string | null, now: string | null): void {
    if (name === "store") this.#prepare();
    if (before !== now && this.#helper.resetOn(name) && lackOf(this.#answer)) this.#showForm();
    this.#follow();
    this.#render();
  }

  readonly #online = (): void => {
    const leased = this.#state === "open" && this.verdict?.source === "lease";
    // Not while the customer is changing the key.
    const same = this.#view.input.value.trim() === this.#licenseKey;
    if (leased || (same && mayChangeOnline(this.#answer))) void this.recheck();
  };

  /** Checks a remembered key, after all that the check needs has been set. */
  #prepare(): void {
    queueMicrotask(async () => {
      const waiting = (): boolean => this.isConnected && !this.#run && this.#state !== "open";
      if (!this.#validator || !waiting()) return;
      const licenseKey = await this.#keeper.recall(readStore(this.store));
      if (!licenseKey || !waiting()) return;
      const { input } = this.#view;
      // The customer may have been faster than the store.
      if (input.value.trim() !== "" && input.value !== licenseKey) return;
      input.value = licenseKey;
      this.#licenseKey = licenseKey;
      this.#form = false;
      void this.#ask("store");
    });
  }

  #submit(): void {
    if (this.#run) return;
    const licenseKey = this.#view.input.value.trim();
    if (licenseKey === "") {
      if (!this.#form) this.#useOtherKey();
      this.#blame("keyMissing");
      this.#view.input.focus();
      return;
    }
    this.#licenseKey = licenseKey;
    void this.#ask("customer");
  }

  #useOtherKey(): void {
    this.#showForm();
    this.#view.input.focus();
    this.#view.input.select();
  }

  /** Shows the form again. Returns whether that has hidden the focused element. */
  #showForm(): boolean {
    this.#countdown.stop();
    this.#answer = undefined;
    this.#form = true;
    return this.#enter("idle");
  }

  #cancel(): void {
    const by = this.#run?.by ?? "customer";
    this.#stop();
    this.#settle(new LicenseError("aborted", "The customer canceled the check."), by);
  }

  /** Aborts a check whose answer nobody wants anymore. */
  #stop(): void {
    this.#run?.controller.abort();
    this.#run = undefined;
  }

  #ask(by: Run["by"]): Promise<void> {
    if (this.#run) return this.#run.done;
    const licenseKey = this.#licenseKey;
    if (licenseKey === undefined || !this.isConnected) return Promise.resolve();
    const controller = new AbortController();
    const { signal } = controller;
    const given = this.#machineId;
    const machine = given === undefined ? machineOf(this, signal) : given;
    const asked = check(this.#validator, machine, licenseKey, signal);
    const done = asked.then((answer) => {
      if (this.#run !== run) return;
      this.#run = undefined;
      if (answer.code === "valid") void this.#keeper.remember(readStore(this.store), licenseKey);
      this.#settle(answer, by);
    });
    const run: Run = { by, controller, done };
    this.#run = run;
    if (this.#state !== "open") {
      this.#answer = this.#fieldError = undefined;
      this.#countdown.stop();
      const hidFocus = this.#enter("checking");
      this.#view.announce(this.#texts.checking);
      if (hidFocus) this.#view.busyControl().focus();
    }
    return done;
  }

  get #shown() {
    const blank = this.#state === "idle" && this.#view.input.value.trim() === "";
    return { answer: this.#answer, hasKey: this.#licenseKey !== undefined, blank };
  }

  /** Follows the browser helper as long as what is shown depends on it. */
  #follow(): void {
    this.#helper.follow(
      this.isConnected && this.#machineId === undefined ? this.#shown : undefined,
    );
  }

  #heed(state: HelperState, first: boolean): void {
    const step = stepOn(state, first, this.#shown);
    if (step === "check") void this.#ask("helper");
    else if (step === "form") {
      if (this.#showForm()) this.focus();
      this.#view.announce(this.#view.title);
    } else if (step) this.#conclude(step, "helper");
    this.#follow();
  }

  #settle(answer: Answer, by: Run["by"]): void {
    // An error says nothing about a license that was valid, until its lease is over.
    const stands = this.#state === "open" && answer instanceof LicenseError && !this.#lease.isOver;
    if (by === "store" && blamesKey(answer)) {
      // What was stored is not a license key, so it counts as none.
      void this.forget();
      return;
    }
    if (!stands) this.#conclude(answer, by);
    this.dispatchEvent(eventOf(answer));
  }

  #conclude(answer: Answer, by: Run["by"]): void {
    const wasOpen = this.#state === "open";
    const error = answer instanceof LicenseError ? answer : undefined;
    this.#answer = answer;
    // What the customer didn't ask for must not hide the form.
    const keeps = by === "app" && !wasOpen && this.#form;
    this.#form = keeps || asksForKey(answer) || this.#view.hasFields;
    this.#lease.take(answer);
    this.#report = reportOf(answer);
    this.#fieldError = blamesKey(answer) ? "keyInvalid" : undefined;
    this.#countdown.stop();
    if (error?.retryAfterMs) this.#countdown.start(error.retryAfterMs);
    const hidFocus = this.#enter(error ? "error" : answer.code === "valid" ? "open" : "refused");

    const { input, resultTitle } = this.#view;
    // Never take the focus from what the customer is doing.
    const focused = hidFocus || (by === "customer" && mayTakeFocus(this));
    if (this.#state === "open") {
      this.#lease.start();
      if (wasOpen) return;
      if (focused) this.focus();
      const { text } = leaseNotice(answer, this.#texts);
      this.#view.announce(this.#texts.outcomes.valid.title, text);
    } else if (this.#fieldError) {
      if (focused) input.focus();
      this.#view.announce(this.#texts[this.#fieldError]);
    } else if (focused) {
      resultTitle.focus();
      this.#view.announce();
    } else {
      this.#view.announceOutcome(this.#texts, answer, navigator.onLine);
    }
  }

  #blame(fieldError: "keyMissing" | undefined): void {
    if (this.#fieldError === fieldError) return;
    this.#fieldError = fieldError;
    this.#render();
    if (fieldError) this.#view.announce(this.#texts[fieldError]);
  }

  /** Changes the state. Returns whether that has hidden the focused element. */
  #enter(state: GateState): boolean {
    const focusIsHidden = noteFocus(this);
    this.#state = state;
    this.setAttribute("state", state);
    this.#render();
    this.#follow();
    return focusIsHidden();
  }

  #render(): void {
    const texts = this.#texts;
    const state = this.#state;
    // Before anything that could fail, because this may be what closes the gate.
    this.#view.content.hidden = state !== "open";
    this.#view.render({
      texts,
      attribute: (name) => this.getAttribute(name)?.trim() ?? "",
      phase: phaseOf(state, this.#form),
      fieldError: this.#fieldError ? texts[this.#fieldError] : "",
      answer: this.#answer,
      report: this.#report,
      hasKey: this.#licenseKey !== undefined,
      online: navigator.onLine,
      wait: waitText(this.#countdown.seconds, texts),
      notice: leaseNotice(this.#answer, texts),
    });
  }
}
