// What the model is: its facts, its scores, and its README.

import { $, h, count } from "./dom.js";

const abilities = [
  ["search", "Find pictures of a folder, by text or by picture"],
  ["caption", "Write captions of pictures"],
  ["ask", "Answer questions about pictures"],
  ["classify_picture", "Judge statements about pictures"],
  ["score", "Say how well pictures and texts fit"],
  ["classify", "Classify texts"],
  ["generate", "Write texts"],
  ["embed_text", "Make vectors of texts"],
  ["embed_picture", "Make vectors of pictures"],
];

export function start(model) {
  $("model-name").textContent = model.id;
  $("model-lead").textContent = [(model.title || model.task) && `Trained for ${model.title || model.task}`, model.parameters && `${count(model.parameters, "parameter")}`].filter(Boolean).join(" · ");
  const facts = [
    ["Kind", model.problem],
    ["Tasks", model.tasks?.join(", ")],
    ["Size", model.layers && `${count(model.layers, "layer")} of ${model.hidden}`],
    ["Vectors of", model.dimension && count(model.dimension, "value")],
    ["Reads", model.max_tokens && `up to ${count(model.max_tokens, "token")}`],
    ["Vocabulary", model.vocabulary && count(model.vocabulary, "entry", "entries")],
    ["Classes", model.labels?.length && model.labels.slice(0, 30).join(", ") + (model.labels.length > 30 ? ", …" : "")],
    ["Probabilities", model.calibrated === undefined ? "" : model.calibrated ? "calibrated: they mean what they say" : "not calibrated: scores compare, they are no probabilities"],
    ["Searches", model.index && count(model.index.pictures, "picture")],
    ["On disk since", model.created && new Date(model.created).toLocaleDateString("en", { dateStyle: "long" })],
    ["Fingerprint", model.fingerprint],
  ];
  $("facts").replaceChildren(...facts.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
  $("abilities").replaceChildren(...abilities.map(([name, words]) => h("li", { class: !model.can.has(name) && "no" }, words, model.can.has(name) ? null : h("span", { class: "hidden-text" }, " (not this model)"))));
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
