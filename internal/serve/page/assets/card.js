// What the model is: its facts, its scores, and its README.

import { $, h, count, date } from "./dom.js";

const abilities = [
  ["search", "Find pictures of a folder, by text or by picture"],
  ["caption", "Write captions of pictures"],
  ["ask", "Answer questions about pictures"],
  ["classify_picture", "Judge statements about pictures"],
  ["match", "Say how well pictures and texts fit"],
  ["score", "Say how near texts are to each other"],
  ["classify", "Classify texts"],
  ["generate", "Write texts"],
  ["embed_text", "Make vectors of texts"],
  ["embed_picture", "Make vectors of pictures"],
];

// Kinds of task, by what they do.
const kinds = {
  single_label_classification: "classifies texts",
  regression: "rates texts with a number",
  generation: "writes a text for a text",
  dialogue: "goes on with a conversation",
  captioning: "writes captions of pictures",
  entailment: "judges statements about pictures",
  visual_question_answering: "chooses answers to questions about pictures",
  free_answering: "writes answers to questions about pictures",
  retrieval: "compares pictures and texts",
  multi: "does several tasks, with the same layers",
};

const kind = (model) => kinds[model.problem] ?? model.problem;
const classes = (model) => model.labels?.length && model.labels.slice(0, 30).join(", ") + (model.labels.length > 30 ? ", …" : "");

// shares says whether a model shares 100 % out among its classes, likely whether it says how likely its answers are.
const shares = (model) => model.does.has("classify_picture") || (model.does.has("classify") && model.labels?.length > 0);
const likely = (model) => shares(model) || model.does.has("ask") || model.does.has("match");

// worth says what the probabilities of models are worth.
function worth(models) {
  const loose = models.filter((model) => likely(model) && !model.calibrated);
  const not = [
    loose.some(shares) && "of the classes that get 90 %, more or less than nine in ten may be right",
    loose.some((model) => !shares(model)) && "scores compare, and are no probabilities",
  ].filter(Boolean).join("; ");
  return [models.some((model) => model.calibrated) && "Calibrated: they mean what they say.", not && `Not calibrated: ${not}.`].filter(Boolean).join(" ");
}

export function start(model) {
  $("model-name").textContent = model.id;
  $("model-lead").textContent = [(model.title || model.task) && `Trained for ${model.title || model.task}`, model.parameters && `${count(model.parameters, "parameter")}`].filter(Boolean).join(" · ");
  const facts = [
    ["Kind", kind(model)],
    ["Size", model.layers && `${count(model.layers, "layer")}, ${model.hidden} wide`],
    ["Vectors of", model.dimension && count(model.dimension, "value")],
    ["Reads", model.max_tokens && `up to ${count(model.max_tokens, "token")}`],
    ["Vocabulary", model.vocabulary && count(model.vocabulary, "entry", "entries")],
    ["Classes", !model.parts.length && classes(model)],
    ["Probabilities", !model.parts.length && worth([model])],
    ["Searches", model.index && count(model.index.pictures, "picture")],
    ["On disk since", model.created && date(model.created)],
    ["Fingerprint", model.fingerprint],
  ];
  $("facts").replaceChildren(...facts.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
  const order = abilities.toSorted(([a], [b]) => model.does.has(b) - model.does.has(a)); // what it does comes first
  $("abilities").replaceChildren(...order.map(([name, words]) => h("li", { class: !model.does.has(name) && "no" }, words, model.does.has(name) ? null : h("span", { class: "hidden-text" }, " (not this model)"))));
  $("tasks-part").hidden = !model.parts.length;
  $("tasks").replaceChildren(...model.parts.map((task) => h("tr", {},
    h("th", { scope: "row" }, h("code", {}, task.task), task.title ? h("small", {}, task.title) : null),
    h("td", {}, [kind(task), classes(task)].filter(Boolean).join(": ")),
    h("td", {}, !likely(task) ? "none" : task.calibrated ? "calibrated" : "not calibrated"))));
  $("tasks-hint").textContent = worth(model.parts);
  const text = markdown(model.card ?? "");
  const scores = text.find((part) => part.querySelector("th:nth-child(2)")?.textContent === "value"); // as models' pages have them
  $("scores-part").hidden = !scores;
  $("scores").replaceChildren(scores ?? "");
  $("card-part").hidden = !text.length;
  $("card-part").replaceChildren(...text.filter((part) => part !== scores));
}

// markdown makes elements of the part of Markdown that models' pages use: headings, paragraphs, lists, tables, code, bold. The rest stays text.
export function markdown(source) {
  const out = [];
  const lines = source.replace(/\r/g, "").split("\n");
  if (lines[0] === "---") lines.splice(0, lines.indexOf("---", 1) + 1); // metadata of a hub
  const takeWhile = (test) => {
    const taken = [];
    while (lines.length && test(lines[0])) taken.push(lines.shift());
    return taken;
  };
  while (lines.length) {
    const line = lines[0];
    const heading = /^(#+) (.*)/.exec(line);
    if (line.startsWith("```")) {
      lines.shift();
      out.push(h("pre", { tabindex: "0" }, takeWhile((l) => !l.startsWith("```")).join("\n")));
      lines.shift();
    } else if (line.startsWith("    ")) {
      out.push(h("pre", { tabindex: "0" }, takeWhile((l) => l.startsWith("    ")).map((l) => l.slice(4)).join("\n")));
    } else if (heading) {
      lines.shift();
      out.push(h(heading[1].length > 1 ? "h3" : "h2", {}, ...inline(heading[2])));
    } else if (line.startsWith("|")) {
      const rows = takeWhile((l) => l.startsWith("|")).map((l) => l.split("|").slice(1, -1).map((cell) => cell.trim()));
      const [head, , ...body] = rows;
      out.push(h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Table" }, h("table", {},
        h("thead", {}, h("tr", {}, ...head.map((cell) => h("th", { scope: "col" }, ...inline(cell))))),
        h("tbody", {}, ...body.map((row) => h("tr", {}, ...row.map((cell) => h("td", {}, ...inline(cell)))))))));
    } else if (/^[-*] /.test(line)) {
      const items = [];
      for (const l of takeWhile((l) => /^([-*] | {2})/.test(l))) /^[-*] /.test(l) ? items.push(l.slice(2)) : (items[items.length - 1] += ` ${l.trim()}`);
      out.push(h("ul", {}, ...items.map((item) => h("li", {}, ...inline(item)))));
    } else if (line.trim()) {
      out.push(h("p", {}, ...inline([lines.shift(), ...takeWhile((l) => l.trim() && !/^(#|\||```|[-*] )/.test(l))].join(" "))));
    } else {
      lines.shift();
    }
  }
  return out;
}

function inline(text) {
  return text.split(/(\*\*[^*]+\*\*|`[^`]+`)/).filter(Boolean).map((part) =>
    /^\*\*.+\*\*$/.test(part) ? h("strong", {}, part.slice(2, -2)) : /^`.+`$/.test(part) ? h("code", {}, part.slice(1, -1)) : part);
}
