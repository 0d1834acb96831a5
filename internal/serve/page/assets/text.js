// What can be done with texts alone: compare them, classify them, write others.

import { $, h, short, took, answered, examples, onSubmit } from "./dom.js";
import { post, stream } from "./server.js";
import { ranking, verdict } from "./scores.js";

let model;

export function start(info, setup) {
  model = info;
  const { can } = model;
  for (const list of document.querySelectorAll("#pane-text .answers")) list.replaceChildren();
  $("rank").hidden = !can.has("score");
  $("classify").hidden = !can.has("classify");
  $("write").hidden = !can.has("generate");
  const talks = model.passage;
  const [first, second] = model.texts ?? [];
  $("write-passage-part").hidden = !talks;
  $("write-second-part").hidden = !second;
  $("write-second-label").textContent = second && second[0].toUpperCase() + second.slice(1);
  $("classify-pair-part").hidden = !model.reads_pair && !mayPair(model);
  $("classify-pair-label").textContent = model.reads_pair ? "Second text" : "Second text, if it is about two";
  $("write-title").textContent = talks ? "Talk about a passage" : "Write";
  $("write-label").textContent = talks ? "Conversation so far, a turn on each line; the newest question last" : second ? first[0].toUpperCase() + first.slice(1) : "Text to summarise, or that something is to be written for";
  const rates = !model.of("classify").labels?.length; // a regression
  $("classify-title").textContent = $("classify-send").textContent = rates ? "Rate" : "Classify";
  $("text-lead").textContent = [can.has("score") && "The model says which texts are nearest to a text.", can.has("classify") && (rates ? "It rates a text with a number." : "It says what a text is."), can.has("generate") && "It writes a text for yours, word by word."].filter(Boolean).join(" ");
  examples($("rank").querySelector(".examples"), setup.rank && [setup.rank], ([text, ...texts]) => {
    $("rank-text").value = text;
    $("rank-texts").value = texts.join("\n");
    $("rank").requestSubmit();
  }, "An example");
  for (const [form, texts] of [["classify", setup.classify], ["write", setup.write]]) {
    examples($(form).querySelector(".examples"), texts, (text) => {
      $(`${form}-text`).value = text;
      $(form).requestSubmit();
    });
  }
}

// mayPair: a classifier of another library does not say whether it reads one text or two.
const mayPair = ({ can, task, tasks }) => can.has("classify") && !task && !tasks;

function required(field) {
  const text = $(field).value.trim();
  if (text) return text;
  $(field).focus();
  throw new Error("Write something first.");
}

onSubmit($("rank"), async (signal) => {
  const text = required("rank-text");
  const texts = required("rank-texts").split("\n").map((line) => line.trim()).filter(Boolean);
  const began = performance.now();
  const answer = await post("match", { text, texts, model: model.id }, signal);
  answered($("rank"), h("p", { class: "said" }, h("span", {}, `The nearest to “${short(text, 140)}”`), took(began)), ...ranking(answer, texts));
});

onSubmit($("classify"), async (signal) => {
  const text = required("classify-text");
  const pair = model.reads_pair ? required("classify-pair") : mayPair(model) ? $("classify-pair").value.trim() : "";
  const began = performance.now();
  const { predictions: [p] } = await post("classify", { inputs: [pair ? { text, pair } : { text }], model: model.id }, signal);
  answered($("classify"), h("p", { class: "said" }, h("span", {}, short(pair ? `${text} · ${pair}` : text, 140)), took(began)), ...verdict(p));
});

const stop = onSubmit($("write"), async (signal) => {
  const text = required("write-text");
  const talks = model.passage;
  const request = { model: model.id, texts: talks ? text.split("\n").map((line) => line.trim()).filter(Boolean) : [text] };
  if (talks) request.passage = required("write-passage");
  else if (model.texts?.length > 1) request.texts.push(required("write-second"));
  const began = performance.now();
  const caret = h("span", { class: "caret", "aria-hidden": "true" });
  const words = document.createTextNode("");
  const said = h("p", { class: "said" }, h("span", {}, short(talks ? request.texts.at(-1) : text, 140)));
  const answer = answered($("write"), said, h("p", { class: "verdict written" }, words, caret));
  answer.setAttribute("aria-busy", "true"); // is read once it is whole
  $("write-stop").hidden = false;
  signal.addEventListener("abort", end);
  try {
    await stream("generate", request, signal, (event) => {
      if (event.piece) words.data += event.piece;
      if (event.generated === undefined) return;
      words.data = event.generated;
      if (event.finished === false) answer.append(h("p", { class: "hint" }, "Cut at the greatest length."));
    });
    said.append(took(began));
  } catch (err) {
    if (!words.data) answer.remove();
    throw err;
  } finally {
    end();
  }
  function end() {
    caret.remove();
    answer.setAttribute("aria-busy", "false");
    $("write-stop").hidden = true;
  }
});

$("write-stop").addEventListener("click", stop);
