import { type Outcome, outcomes } from "./outcomes.js";
import { LicenseError, loadValidator, type Validator, type Verdict } from "./whop-license/index.js";

const endpoint =
  document.querySelector<HTMLMetaElement>('meta[name="whop-license-endpoint"]')?.content ?? "";

const form = element("form", HTMLFormElement);
const licenseKey = element("license-key", HTMLInputElement);
const licenseKeyError = element("license-key-error", HTMLElement);
const machineId = element("machine-id", HTMLInputElement);
const advanced = element("advanced", HTMLDetailsElement);
const submit = element("submit", HTMLButtonElement);
const submitLabel = element("submit-label", HTMLElement);
const cancel = element("cancel", HTMLButtonElement);
const status = element("status", HTMLElement);
const result = element("result", HTMLElement);
const resultTitle = element("result-title", HTMLElement);
const orders = element("orders", HTMLAnchorElement);
const retry = element("retry", HTMLButtonElement);

let loading: Promise<Validator> | undefined;
let running: AbortController | undefined;
let countdown: number | undefined;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void check();
});
cancel.addEventListener("click", stop);
retry.addEventListener("click", () => {
  if (retry.getAttribute("aria-disabled") !== "true") void check();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && running) stop();
});
licenseKey.addEventListener("input", () => setKeyError(""));
addEventListener("hashchange", readFragment);

readFragment();
// Started early so that the first check is quick; a failure is shown by that check.
validator().catch(() => {});

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`launcher: the page has no #${id}`);
  return found;
}

/** An app opens this page with `#machine-id=…`; a fragment is not sent to the server. */
function readFragment(): void {
  const id = new URLSearchParams(location.hash.slice(1)).get("machine-id");
  if (id !== null) machineId.value = id;
}

function validator(): Promise<Validator> {
  loading ??= loadValidator({ endpoint }).catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function check(): Promise<void> {
  if (running) return;
  const key = licenseKey.value.trim();
  if (key === "") {
    setKeyError("Enter your licence key.");
    licenseKey.focus();
    return;
  }
  const run = new AbortController();
  setRunning(run);
  let outcome: Verdict | LicenseError;
  try {
    const { validateLicense } = await validator();
    outcome = await validateLicense(key, machineId.value.trim() || undefined, {
      signal: run.signal,
    });
  } catch (error) {
    outcome =
      error instanceof LicenseError
        ? error
        : new LicenseError("load_failed", String(error), { cause: error });
  }
  // A cancelled run has been reported already.
  if (running === run) {
    setRunning(undefined);
    show(outcome);
  }
}

function stop(): void {
  running?.abort();
  setRunning(undefined);
  show(new LicenseError("aborted", "cancelled by the customer"));
}

function setRunning(run: AbortController | undefined): void {
  running = run;
  const busy = run !== undefined;
  // Not `disabled`: that would drop the keyboard focus.
  submit.setAttribute("aria-disabled", String(busy));
  form.setAttribute("aria-busy", String(busy));
  licenseKey.readOnly = busy;
  machineId.readOnly = busy;
  cancel.hidden = !busy;
  submitLabel.textContent = busy ? "Checking…" : "Check licence";
  status.textContent = busy ? "Checking the licence…" : "";
  if (busy) {
    setKeyError("");
    clearInterval(countdown);
    // The result that is about to go may hold the focus.
    if (result.contains(document.activeElement)) submit.focus();
    result.hidden = true;
  }
}

function setKeyError(message: string): void {
  licenseKeyError.textContent = message;
  licenseKey.setAttribute("aria-invalid", String(message !== ""));
}

function show(answer: Verdict | LicenseError): void {
  const outcome = outcomeOf(answer);
  result.dataset.tone = outcome.tone;
  result.dataset.code = answer.code;
  resultTitle.textContent = outcome.title;
  element("result-text", HTMLElement).textContent =
    answer.code === "unavailable" && !navigator.onLine ? "You seem to be offline." : outcome.text;
  element("result-next", HTMLElement).replaceChildren(
    ...outcome.next.map((step) => withText("li", step)),
  );
  element("result-facts", HTMLElement).replaceChildren(
    ...facts(answer).flatMap(([name, value]) => [withText("dt", name), withText("dd", value)]),
  );
  element("result-report", HTMLElement).textContent = report(answer);
  element("report", HTMLDetailsElement).open = false;
  orders.hidden = !outcome.orders;
  retry.hidden = !outcome.retry;
  startCountdown(answer instanceof LicenseError ? (answer.retryAfterMs ?? 0) : 0);

  if (argumentOf(answer) === "licenseKey") setKeyError("Check this key.");
  if (argumentOf(answer) === "hwid") advanced.open = true;
  result.hidden = false;
  resultTitle.focus();
}

/** The argument that an invalid_argument names, at the start of its message. */
function argumentOf(answer: Verdict | LicenseError): string | undefined {
  return answer.code === "invalid_argument" ? answer.message.split(":", 1)[0] : undefined;
}

function outcomeOf(answer: Verdict | LicenseError): Outcome {
  // A bad endpoint is no mistake of the customer.
  return argumentOf(answer) === "endpoint" ? outcomes.unauthorized : outcomes[answer.code];
}

function startCountdown(wait: number): void {
  clearInterval(countdown);
  const end = performance.now() + wait;
  const tick = (): void => {
    const left = Math.ceil((end - performance.now()) / 1000);
    retry.setAttribute("aria-disabled", String(left > 0));
    retry.textContent = left > 0 ? `Try again in ${duration(left)}` : "Try again";
    if (left <= 0) clearInterval(countdown);
    if (left <= 0 && wait > 0) status.textContent = "You can try again now.";
  };
  if (wait > 0) countdown = setInterval(tick, 1000);
  tick();
}

function duration(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.ceil(minutes / 60)} h`;
}

function facts(answer: Verdict | LicenseError): [string, string][] {
  if (answer instanceof LicenseError || !answer.valid) return [];
  const { status: state, expires_at: expires, renewal_period_end: renews } = answer.membership;
  const until = expires ?? renews;
  return [
    ["Status", state ?? ""],
    [expires == null ? "Renews" : "Valid until", until == null ? "" : date(until)],
  ].filter((fact): fact is [string, string] => fact[1] !== "");
}

function date(unixSeconds: number): string {
  return new Intl.DateTimeFormat(undefined, { dateStyle: "long" }).format(unixSeconds * 1000);
}

/** What a seller needs to find the fault: no licence key and no machine id in it. */
function report(answer: Verdict | LicenseError): string {
  const lines = [
    ["Outcome", answer.code],
    ["Message", "message" in answer ? answer.message : undefined],
    ["HTTP status", "status" in answer ? answer.status : undefined],
    ["Endpoint", endpoint],
    ["Time", new Date().toISOString()],
    ["Browser", navigator.userAgent],
  ];
  return lines
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}`)
    .join("\n");
}

/** Texts of servers go through here: they are never read as markup. */
function withText(tag: string, text: string): HTMLElement {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}
