// The page: asks the server what it can do, shows the parts for that, and leads from one to the other.

import { $, h, date } from "./dom.js";
import { get } from "./server.js";
import { onArrival } from "./picture.js";
import * as search from "./search.js";
import * as look from "./look.js";
import * as text from "./text.js";
import * as card from "./card.js";

const parts = ["search", "picture", "text", "model"];
let setup = {};
let models = [];
let current; // the part that is shown

const usable = () => parts.filter((name) => !$(`tab-${name}`).hidden);

// go shows a part; focus goes to its heading where the visitor was led there.
function go(name, { focus = false, remember = true } = {}) {
  if (!usable().includes(name)) [name] = usable();
  current = name;
  for (const part of parts) {
    const on = part === name;
    $(`pane-${part}`).hidden = !on;
    $(`tab-${part}`).setAttribute("aria-selected", String(on));
    $(`tab-${part}`).tabIndex = on ? 0 : -1;
  }
  if (remember && location.hash !== `#${name}`) history.pushState(null, "", `#${name}`);
  if (focus) {
    scrollTo(0, 0);
    $(`pane-${name}`).querySelector("h1").focus({ preventScroll: true });
  }
}

for (const name of parts) $(`tab-${name}`).addEventListener("click", () => go(name));

document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
  const list = usable();
  const at = list.indexOf(current);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1 + list.length, Home: 0, End: list.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  go(list[to % list.length]);
  $(`tab-${current}`).focus();
});

addEventListener("popstate", () => usable().length && go(location.hash.slice(1), { remember: false }));

// use makes the page for a model.
function use(model) {
  const can = model.can;
  $("tab-search").hidden = !can.has("search");
  $("tab-picture").hidden = !["caption", "ask", "classify_picture", "match"].some((what) => can.has(what));
  $("tab-text").hidden = !["score", "classify", "generate"].some((what) => can.has(what));
  $("tab-model").hidden = false;
  const open = $("tab-picture").hidden ? undefined : (picture) => {
    go("picture", { focus: true });
    look.look(picture);
  };
  const find = $("tab-search").hidden || !can.has("embed_picture") ? undefined : (picture) => {
    go("search", { focus: true });
    search.like(picture);
  };
  if (!$("tab-search").hidden) search.start(model, setup, open);
  if (open) look.start(model, setup, find);
  if (!$("tab-text").hidden) text.start(model, setup);
  card.start(model);
  go(location.hash.slice(1), { remember: false });
}

onArrival(
  (picture) => {
    if (current === "search" && !$("search-pick").hidden) search.like(picture);
    else if (!$("tab-picture").hidden) {
      go("picture");
      look.look(picture);
    }
  },
  () => (current === "search" ? "Find pictures like this one" : $("tab-picture").hidden ? "This model does nothing with pictures" : "Ask about this picture"),
);

// distinct joins the single tasks of a model for several, called MODEL/TASK, to the whole, and lists what visitors choose from: a task alone
// where the whole cannot be asked, as another of its tasks does the same.
function distinct(said) {
  const list = said.map((model) => ({ ...model, does: new Set(model.can), can: new Set(model.can), parts: [] }));
  const joined = new Set();
  for (const whole of list) {
    whole.of = (what) => whole.parts.find((part) => part.does.has(what)) ?? whole; // the task that does it
    whole.parts = list.filter((model) => whole.tasks?.some((task) => model.id === `${whole.id}/${task}`));
    for (const part of whole.parts) part.card = whole.card;
    for (const what of whole.does) if (whole.parts.filter((part) => part.does.has(what)).length > 1) whole.can.delete(what);
    for (const part of whole.parts) if ([...part.does].every((what) => whole.can.has(what))) joined.add(part);
    if (whole.parts.length && !whole.can.size) joined.add(whole);
  }
  return list.filter((model) => !joined.has(model));
}

// named is a version for people: one that Go made of a commit is long, and has its date and its name.
function named(version) {
  const [, program, year, month, day, commit, changed] = /^(.*) v\S*[-.](\d{4})(\d\d)(\d\d)\d{6}-([0-9a-f]{7})[0-9a-f]{5}(\+dirty)?$/.exec(version) ?? [];
  return commit ? `${program} ${commit} of ${date(`${year}-${month}-${day}`)}${changed ? ", changed" : ""}` : version;
}

async function begin() {
  $("loading").hidden = false;
  $("failed").hidden = true;
  try {
    setup = await get("page/setup.json");
    const said = await get("models");
    models = distinct(said.models);
    if (!models.length) throw new Error("The server has no model.");
    $("version").textContent = named(setup.version ?? "");
    $("version").title = setup.version ?? "";
  } catch (err) {
    $("failed").firstElementChild.textContent = err.message;
    $("failed").hidden = false;
    if (err.status === 503) setTimeout(begin, 1000); // models are being loaded
    return;
  } finally {
    $("loading").hidden = true;
  }
  $("notice").textContent = setup.notice ?? "";
  $("notice").hidden = !setup.notice;
  $("key-open").hidden &&= !setup.keys;
  $("docs").hidden = setup.keys; // a link has no key
  $("models").replaceChildren(...models.map((model) => h("option", {}, model.id)));
  $("chooser").hidden = models.length < 2;
  use(models[0]);
}

$("models").addEventListener("change", () => use(models[$("models").selectedIndex]));
$("retry").addEventListener("click", begin);
begin();
