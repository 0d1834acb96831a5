// What the parts of the page make elements with. Texts of models and files become text nodes, never markup.

export const $ = (id) => document.getElementById(id);

// h makes an element. Attributes that begin with "on" are listeners; those that are false or null are left out.
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

export const number = (v) => (Number.isFinite(v) ? v.toFixed(Math.abs(v) < 10 ? 3 : 1) : "–");
export const percent = (v) => (v > 0 && v < 0.001 ? "< 0.1 %" : `${(100 * v).toFixed(v > 0 && v < 0.1 ? 1 : 0)} %`);
export const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
export const date = (iso) => new Date(iso).toLocaleDateString("en", { dateStyle: "long", timeZone: "UTC" });
export const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
export const took = (began) => h("span", { class: "took" }, `${Math.max(1, Math.round(performance.now() - began))} ms`);

// problem shows what went wrong within part of the page; "" hides it.
export function problem(part, message) {
  const p = part.querySelector(".problem");
  p.textContent = message;
  p.hidden = !message;
}

// answered adds an answer to those of a form, the newest first.
export function answered(form, ...children) {
  const list = form.querySelector(".answers");
  const answer = h("div", {}, ...children);
  list.prepend(answer);
  while (list.children.length > 5) list.lastChild.remove();
  return answer;
}

// examples are buttons that fill a form and send it, each with its text on it, or with a name.
export function examples(place, texts, use, name) {
  place.replaceChildren(...(texts ?? []).map((text) => h("button", { type: "button", title: !name && text.length > 60 && text, onclick: () => use(text) }, name ?? short(text, 60))));
}

// onSubmit does work when a form is sent. Sending it again, or stop, ends what is under way: the server is left, too.
export function onSubmit(form, work) {
  let current;
  const place = form.querySelector(".problem") ? form : form.parentElement;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    current?.abort();
    const mine = (current = new AbortController());
    problem(place, "");
    form.classList.add("busy");
    form.setAttribute("aria-busy", "true");
    try {
      await work(mine.signal);
    } catch (err) {
      if (!mine.signal.aborted) problem(place, err.message);
    }
    if (current === mine) {
      form.classList.remove("busy");
      form.setAttribute("aria-busy", "false");
    }
  });
  return () => current?.abort();
}
