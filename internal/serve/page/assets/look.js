// What can be asked about one picture: a caption, questions, statements, descriptions.

import { $, h, number, percent, took, answered, examples, onSubmit, problem } from "./dom.js";
import { get, post, fetchPicture } from "./server.js";
import { Picture, choose, show, thumbnail } from "./picture.js";
import { bars, ranking, verdict } from "./scores.js";

let model;
let picture;
let writing; // ends the request for a caption
let find; // searches with a picture; undefined without an index

export function start(info, setup, findAlike) {
  model = info;
  find = findAlike;
  clear();
  const can = model.can;
  $("ask").hidden = !can.has("ask");
  $("judge").hidden = !can.has("classify_picture");
  $("match").hidden = !can.has("match");
  $("caption-part").hidden = !can.has("caption");
  $("alike").hidden = !find;
  const does = [can.has("caption") && "writes a caption", can.has("ask") && "answers questions", can.has("classify_picture") && "judges statements", can.has("match") && "says which description fits best"].filter(Boolean);
  $("picture-lead").textContent = `The model ${does.length > 1 ? `${does.slice(0, -1).join(", ")} and ${does.at(-1)}` : does[0]}.`;
  $("ask-hint").textContent = model.of("ask").calibrated
    ? "Each answer has a probability of its own, as several may be right."
    : "The numbers compare answers. They are no probabilities, as the model is not calibrated.";
  fill("ask", setup.ask, "ask-text");
  fill("judge", setup.judge, "judge-text");
  fill("match", setup.match && [setup.match.join("\n")], "match-text", "An example");
  samples();
}

// fill makes buttons for examples, which send their form.
function fill(id, texts, field, name) {
  examples($(id).querySelector(".examples"), texts, (text) => {
    $(field).value = text;
    $(id).requestSubmit();
  }, name);
}

// samples shows some pictures of the index, if there is one.
async function samples() {
  const mine = model;
  $("samples").hidden = true;
  if (!find) return;
  try {
    const list = await get(`pictures?${new URLSearchParams({ k: 12, model: model.id })}`);
    if (mine !== model) return;
    $("sample-list").replaceChildren(...list.pictures.map((p, i) => h("li", {}, h("button", { type: "button", "aria-label": `Take ${p.image}`, "aria-pressed": "false", onclick: take }, thumbnail(p.image, model.id)))));
    $("samples").hidden = !list.pictures.length;
    async function take(event) {
      const button = event.currentTarget;
      const { image: id } = list.pictures[[...$("sample-list").children].indexOf(button.parentElement)];
      const blob = await fetchPicture(id, model.id, true);
      look(new Picture(blob, id.split("/").pop()));
      button.setAttribute("aria-pressed", "true");
    }
  } catch {
    // there are other ways to get a picture
  }
}

function clear() {
  writing?.abort();
  picture?.release();
  picture = undefined;
  $("drop").hidden = false;
  $("shown").hidden = $("about-picture").hidden = true;
  for (const form of document.querySelectorAll("#pane-picture form")) {
    form.querySelector(".answers").replaceChildren();
    problem(form, "");
  }
}

// look takes a picture, and asks for a caption of it at once.
export async function look(taken) {
  clear();
  picture = taken;
  for (const button of $("sample-list").querySelectorAll("button")) button.setAttribute("aria-pressed", "false");
  $("drop").hidden = true;
  $("shown").hidden = $("about-picture").hidden = false;
  $("picture").alt = `The picture asked about: ${picture.name}`;
  show($("picture"), picture);
  problem($("about-picture"), "");
  $("caption").textContent = $("caption-took").textContent = "";
  if (!model.can.has("caption")) return;
  const mine = (writing = new AbortController());
  const began = performance.now();
  $("caption").textContent = "…";
  try {
    const said = await post("caption", { picture: await picture.data(), model: model.id }, mine.signal);
    $("caption").textContent = said.caption;
    $("caption-took").replaceChildren(took(began));
  } catch (err) {
    if (mine.signal.aborted) return;
    $("caption").textContent = "";
    problem($("about-picture"), err.message);
  }
}

// needed returns what the visitor has to give before something can be asked.
async function needed(field) {
  const text = $(field).value.trim();
  if (!picture) {
    $("drop").focus();
    throw new Error("Choose a picture first.");
  }
  if (!text) {
    $(field).focus();
    throw new Error("Write something first.");
  }
  return { text, data: await picture.data(), began: performance.now() };
}

const heading = (text, began) => h("p", { class: "said" }, h("span", {}, text), took(began));

onSubmit($("ask"), async (signal) => {
  const { text, data, began } = await needed("ask-text");
  const { answers } = await post("ask", { picture: data, question: text, k: 3, model: model.id }, signal);
  const value = model.of("ask").calibrated ? percent : number;
  answered($("ask"), heading(text, began), h("p", { class: "verdict" }, answers[0].answer),
    bars(answers.map((a) => ({ name: a.answer, share: a.probability, value: value(a.probability) }))));
  $("ask-text").select();
});

onSubmit($("judge"), async (signal) => {
  const { text, data, began } = await needed("judge-text");
  const { predictions: [p] } = await post("classify", { inputs: [{ picture: data, text }], model: model.id }, signal);
  answered($("judge"), heading(text, began), ...verdict(p));
  $("judge-text").select();
});

onSubmit($("match"), async (signal) => {
  const { text, data, began } = await needed("match-text");
  const texts = text.split("\n").map((line) => line.trim()).filter(Boolean);
  answered($("match"), heading("The best first", began), ...ranking(await post("match", { picture: data, texts, model: model.id }, signal), texts));
});

const pick = () => choose(look);
$("drop").addEventListener("click", pick);
$("another").addEventListener("click", pick);
$("alike").addEventListener("click", () => picture && find(new Picture(picture.blob, picture.name)));
