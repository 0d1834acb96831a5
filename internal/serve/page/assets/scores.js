// How scores look: percents where they are probabilities, else as numbers.

import { h, number, percent } from "./dom.js";

// Labels of visual entailment, in words.
const judgements = { entailment: "It follows", contradiction: "It is false", neutral: "The picture cannot tell" };

// track is a bar that is filled to share, 0 to 1. The number beside it says the same to those who do not see it.
export function track(share) {
  const fill = h("i");
  fill.style.setProperty("--share", Math.min(1, Math.max(0, share || 0)));
  return h("span", { class: "track", "aria-hidden": "true" }, fill);
}

// bars lists rows of name, share and value, the best first.
export function bars(rows, long = false) {
  const list = h("ul", { class: long ? "bars long" : "bars" });
  rows.forEach((row, i) => {
    const name = h("span", { class: "name" }, row.name);
    const value = h("span", { class: "value" }, row.value);
    list.append(h("li", { class: i === 0 && "first" }, ...(long ? [name, value, track(row.share)] : [name, track(row.share), value])));
  });
  return list;
}

// ranking shows how well things of some names fit what they were compared with, the best first.
export function ranking({ matches, similarity }, names) {
  const rows = matches.map((m, i) => ({ ...m, name: names[i] })).sort((a, b) => b.score - a.score);
  const sure = rows.some((m) => m.probability != null);
  const [high, low] = [rows[0].score, rows.at(-1).score];
  const share = (m) => (sure ? m.probability : similarity ? m.score : high > low ? (m.score - low) / (high - low) : 1);
  const list = bars(rows.map((m) => ({ name: m.name, share: share(m), value: sure ? `${percent(m.probability)}${m.fits ? " · fits" : ""}` : number(m.score) })), true);
  const cut = rows.some((m) => m.truncated) ? [shortened("A text")] : [];
  if (sure) return [rows.some((m) => m.fits) ? "" : h("p", { class: "verdict" }, "Nothing fits"), list, ...cut];
  return [list, h("p", { class: "hint" }, `${similarity ? "Similarities of vectors, -1 to 1. " : ""}The model has no threshold for what fits: the order is all it says.`), ...cut];
}

const shortened = (what) => h("p", { class: "hint" }, `${what} was longer than what the model reads, and was cut.`);

// verdict shows a prediction: the class and how likely each is, or a number.
export function verdict(p) {
  const cut = p.truncated ? [shortened("The text")] : [];
  if (!p.label) return [h("p", { class: "verdict" }, number(p.score)), ...cut];
  const words = judgements[p.label];
  const rows = Object.entries(p.probabilities ?? {}).map(([name, share]) => ({ name, share, value: percent(share) })).sort((a, b) => b.share - a.share);
  return [h("p", { class: "verdict" }, words ?? p.label, words ? h("small", {}, ` ${p.label}`) : null), bars(rows.slice(0, 8)), ...cut];
}
