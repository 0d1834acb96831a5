// The server: requests with the visitor's key, answers, errors.

import { $ } from "./dom.js";

const stored = "unimo key";

// Failure is an answer that is none.
export class Failure extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

// post sends a request to one of the server's own routes, and returns the answer.
export async function post(path, body, signal) {
  return (await send(path, body, signal)).json();
}

// get is post of what needs no body.
export async function get(path, signal) {
  return (await send(path, undefined, signal)).json();
}

// stream is post of a request that is answered in events, each of which goes to take.
export async function stream(path, body, signal, take) {
  const answer = await send(path, { ...body, stream: true }, signal);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    waiting += value;
    const events = waiting.split(/\r?\n\r?\n/);
    waiting = events.pop();
    for (const event of events) {
      const data = event.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart()).join("\n");
      if (!data || data === "[DONE]") continue;
      const said = JSON.parse(data);
      if (said.error) throw new Failure(said.error.message, 200);
      take(said);
    }
  }
}

// fetchPicture returns a picture of the index. It is not the src of an image, because a key goes with it.
export async function fetchPicture(id, model, whole) {
  const query = new URLSearchParams();
  if (model) query.set("model", model);
  if (whole) query.set("size", "full");
  return (await send(`pictures/${id.split("/").map(encodeURIComponent).join("/")}?${query}`)).blob();
}

async function send(path, body, signal) {
  for (let again = false; ; again = true) {
    const headers = {};
    const key = sessionStorage.getItem(stored);
    if (key) headers.Authorization = `Bearer ${key}`;
    if (body) headers["Content-Type"] = "application/json";
    let answer;
    try {
      answer = await fetch(new URL(path, document.baseURI), { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
    } catch (err) {
      if (signal?.aborted) throw err;
      throw new Failure("The server does not answer. Is it still running?", 0);
    }
    if (answer.ok) return answer;
    if (answer.status === 401 && (await askKey(again || Boolean(key)))) continue;
    throw await failure(answer);
  }
}

async function failure(answer) {
  let said;
  try {
    said = (await answer.json()).error?.message;
  } catch {
    // a proxy's page, say: the status has to do
  }
  const wait = answer.headers.get("Retry-After");
  if (answer.status === 429) return new Failure(`The server has more to do than it can.${wait ? ` Try again in ${wait} s.` : ""}`, 429);
  return new Failure(said ? said[0].toUpperCase() + said.slice(1) : `The server answers ${answer.status}.`, answer.status);
}

let asking;

// askKey asks for a key, once for all requests that wait for one, and says whether there is one now. Keys stay in sessionStorage.
export function askKey(refused) {
  asking ??= new Promise((resolve) => {
    const dialog = $("key");
    const field = $("key-value");
    $("key-open").hidden = false;
    $("key-hint").textContent = refused
      ? "The server does not take this key. Try another one."
      : "This server answers to those who have a key. It stays in this tab and is forgotten when the tab is closed.";
    field.value = "";
    dialog.returnValue = "";
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "use" && field.value.trim();
      if (given) sessionStorage.setItem(stored, given);
      field.value = "";
      asking = undefined;
      resolve(Boolean(given));
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

$("key-open").addEventListener("click", () => askKey(false));
$("key-cancel").addEventListener("click", () => $("key").close(""));
