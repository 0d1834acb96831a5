// Searching the index, by text or by picture.

import { $, h, icon, count, number, percent, examples, onSubmit, problem } from "./dom.js";
import { get, post, fetchPicture } from "./server.js";
import { Picture, choose, show, thumbnail } from "./picture.js";
import { track } from "./scores.js";

const pane = $("pane-search");
const form = $("search-form");
let model; // what the server says of it
let open; // shows a picture for questions; undefined if the model takes none
let sought; // the picture that is searched with
let found; // by the last search
let asked; // what it was for, in words
let least = null; // what the visitor wants at least; null: what the model thinks
let anyway = false; // show what does not fit, too

// start makes the part for a model.
export function start(info, setup, openPicture) {
  model = info;
  open = openPicture;
  forget();
  const index = model.index;
  if (index) {
    $("search-lead").replaceChildren(count(index.pictures, "picture"), ...(index.source ? [" in ", h("code", {}, index.source)] : []), ". Say what to look for, or drop a picture to find others like it.");
  }
  examples($("search-examples"), setup.search, (text) => {
    seek(null);
    $("search-text").value = text;
    form.requestSubmit();
  });
  first();
}

function forget() {
  found = undefined;
  least = null;
  anyway = false;
  seek(null);
  $("search-text").value = "";
  $("search-tools").hidden = $("search-order").hidden = $("search-nothing").hidden = true;
  $("hits").replaceChildren();
  problem(pane, "");
}

// first shows the first pictures of the index, to begin with.
async function first() {
  const mine = model;
  $("hits-title").hidden = true;
  try {
    const list = await get(`pictures?${new URLSearchParams({ k: 12, model: model.id })}`);
    if (found || mine !== model) return;
    $("hits-title").hidden = !list.pictures.length;
    $("hits").replaceChildren(...list.pictures.map((p) => hit(p)));
  } catch {
    // a search shows what is wrong
  }
}

// like searches with a picture.
export function like(picture) {
  seek(picture);
  form.requestSubmit();
}

function seek(picture) {
  sought?.release();
  sought = picture;
  $("search-chip").hidden = !picture;
  $("search-text").placeholder = picture ? "" : "Describe a picture";
  if (picture) {
    show($("search-chip").querySelector("img"), picture);
    $("search-chip").querySelector(".chip-name").textContent = picture.name;
    $("search-text").value = "";
  }
}

onSubmit(form, async (signal) => {
  const text = $("search-text").value.trim();
  if (!sought && !text) {
    $("search-text").focus();
    throw new Error("Say what the picture shows, or choose a picture to search with.");
  }
  const query = sought ? { picture: await sought.data() } : { text };
  const words = sought ? sought.name : `“${text}”`;
  const began = performance.now();
  const answer = await post("search", { ...query, k: Number($("search-count").value), model: model.id }, signal);
  asked = { words, ms: Math.max(1, Math.round(performance.now() - began)) };
  found = answer.found;
  anyway = false;
  draw();
});

const calibrated = () => found.some((f) => f.probability != null);
const value = (f) => (calibrated() ? (f.probability ?? 0) : f.similarity);
const fits = (f) => (least === null ? !calibrated() || Boolean(f.fits) : value(f) >= least);

function draw() {
  const kept = found.filter(fits);
  const shown = anyway ? found : kept;
  const unit = calibrated() ? "Probability" : "Similarity";
  const chosen = calibrated() || least !== null; // a threshold says what fits; else all is listed
  const fit = kept.length ? `${kept.length} of the ${found.length} closest pictures fit${kept.length === 1 ? "s" : ""}` : "Nothing fits";
  $("search-summary").textContent = `${!found.length ? "Nothing was found for" : chosen ? fit : `${count(found.length, "picture")} for`} ${asked.words} · ${asked.ms} ms`;
  $("search-tools").hidden = false;
  $("hits-title").hidden = true;
  $("least-name").textContent = unit;
  $("least").value = least ?? (calibrated() ? 0.5 : 0);
  $("least-value").textContent = least === null ? (calibrated() ? "model’s own" : "any") : least.toFixed(2);
  $("least-reset").hidden = least === null;
  $("search-order").hidden = !found.length || (chosen && !calibrated());
  $("search-order").textContent = calibrated()
    ? "Each percent is of one picture alone, as if half of all fitted. Where few do, they are too high: of 1,000 pictures with one that fits, 97 % means 3 %. The order is what counts; the slider asks for more."
    : "The model has no threshold for these: the order is all it says.";
  $("search-nothing").hidden = !found.length || kept.length > 0 || anyway;
  if (found.length) {
    const best = found.reduce((a, b) => (value(b) > value(a) ? b : a));
    $("search-closest").textContent = `${unit} of the closest picture: ${calibrated() ? percent(value(best)) : number(value(best))}.`;
  }
  $("hits").replaceChildren(...shown.map((f, i) => hit(f, i, fits(f))));
}

// hit is a picture in the list: of the index, or with its rank and scores if it was found.
function hit(f, rank, keeps = true) {
  const name = f.image.split("/").pop();
  const act = open ? () => use(f, open) : () => use(f, like);
  const scored = rank !== undefined;
  return h("li", { class: `hit${keeps ? "" : " below"}${scored && rank === 0 && keeps ? " best" : ""}` },
    h("button", { type: "button", class: "hit-open", "aria-label": `${open ? "Ask about" : "Find pictures like"} ${name}`, title: f.image, onclick: act }, thumbnail(f.image, model.id)),
    scored ? track(value(f)) : null,
    h("div", { class: "hit-foot" },
      h("div", {},
        scored ? h("span", { class: "hit-score" }, ...scores(f, rank)) : null,
        h("span", { class: "hit-name", title: f.image }, name)),
      open && model.can.has("embed_picture")
        ? h("button", { type: "button", class: "icon small", "aria-label": `Find pictures like ${name}`, title: "Find alike", onclick: () => use(f, like) }, icon("alike"))
        : null));
}

function scores(f) {
  const similar = `similarity ${number(f.similarity)}`;
  if (f.probability != null) return [h("b", { title: "that it fits, as if half of all pictures did" }, percent(f.probability)), h("span", {}, similar)];
  if (f.match != null) return [h("b", {}, number(f.similarity)), h("span", {}, `match ${number(f.match)}`)];
  return [h("b", {}, number(f.similarity))];
}

// use fetches the whole picture and hands it to take.
async function use(f, take) {
  problem(pane, "");
  try {
    take(new Picture(await fetchPicture(f.image, model.id, true), f.image.split("/").pop()));
  } catch (err) {
    problem(pane, err.message);
  }
}

$("search-pick").addEventListener("click", () => choose(like));
$("search-unpick").addEventListener("click", () => {
  seek(null);
  $("search-text").focus();
});
$("search-text").addEventListener("input", () => sought && seek(null));
$("search-count").addEventListener("change", () => form.requestSubmit());
$("search-anyway").addEventListener("click", () => {
  anyway = true;
  draw();
  $("hits").querySelector("button")?.focus();
});
$("least-reset").addEventListener("click", () => {
  least = null;
  draw();
  $("least").focus();
});
$("least").addEventListener("input", () => {
  least = Number($("least").value);
  anyway = false;
  draw();
});
