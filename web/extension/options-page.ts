// The helper's own page, which its icon opens. It shows what each site may know, and
// whether the program is installed.
import { consents, type Decision, keep } from "./consent.js";
import { programError } from "./native.js";

const sites = find("sites");

find("name").textContent = chrome.runtime.getManifest().name;
chrome.storage.onChanged.addListener(() => void show());
void show();
void programError().then((lacks) => {
  find("program").textContent =
    lacks && "error" in lacks ? lacks.error.message : "The program is installed.";
});

async function show(): Promise<void> {
  const all = (await consents()).sort(([a], [b]) => a.localeCompare(b));
  sites.replaceChildren(...all.map(([origin, decision]) => row(origin, decision)));
  find("none").hidden = all.length > 0;
}

function row(origin: string, decision: Decision): HTMLElement {
  const other = decision === "allowed" ? "denied" : "allowed";
  const site = document.createElement("bdi");
  site.textContent = origin;
  const item = document.createElement("li");
  item.append(
    site,
    decision === "allowed" ? " is allowed to know its id. " : " is not allowed to know its id. ",
    button(other === "denied" ? "Don’t allow" : "Allow", () => keep(origin, other), origin),
    button("Forget", () => keep(origin, undefined), origin),
  );
  return item;
}

function button(text: string, act: () => Promise<void>, origin: string): HTMLElement {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.setAttribute("aria-label", `${text}: ${origin}`);
  made.addEventListener("click", (event) => {
    if (event.isTrusted) void act();
  });
  return made;
}

function find(id: string): HTMLElement {
  return document.getElementById(id) as HTMLElement;
}
