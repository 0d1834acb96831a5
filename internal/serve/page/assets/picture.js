// Pictures that visitors choose, drop or paste.

import { $, h } from "./dom.js";
import { fetchPicture } from "./server.js";

// Picture is the content of a picture's file, with a name for people.
export class Picture {
  constructor(blob, name) {
    this.blob = blob;
    this.name = name || "the pasted picture";
    this.url = URL.createObjectURL(blob);
  }

  // data returns the content as requests hold it.
  data() {
    return new Promise((resolve, reject) => {
      const reader = new FileReader();
      reader.addEventListener("load", () => resolve(reader.result));
      reader.addEventListener("error", () => reject(new Error(`${this.name} cannot be read`)));
      reader.readAsDataURL(this.blob);
    });
  }

  release() {
    URL.revokeObjectURL(this.url);
  }
}

// show puts a picture into an image. Very small ones are enlarged without smoothing.
export function show(img, picture) {
  img.addEventListener("load", () => img.classList.toggle("small", img.naturalWidth < 128), { once: true });
  img.src = picture.url;
}

// thumbnail is an image of the index that is on its way.
export function thumbnail(id, model) {
  const img = h("img", { alt: "" });
  fetchPicture(id, model).then(
    (blob) => {
      const picture = new Picture(blob, id);
      img.addEventListener("load", () => picture.release(), { once: true });
      show(img, picture);
    },
    () => img.replaceWith(h("span", { class: "gone" }, "no picture to show")),
  );
  return img;
}

let chosen;

// choose lets the visitor choose a file for take.
export function choose(take) {
  chosen = take;
  $("file").value = "";
  $("file").click();
}

$("file").addEventListener("change", () => {
  const [file] = $("file").files;
  if (file) chosen?.(new Picture(file, file.name));
});

// onArrival calls take with pictures that are dropped anywhere or pasted; veil says what a dropped one is for.
export function onArrival(take, purpose) {
  let depth = 0;
  const over = (on) => {
    depth = on ? depth : 0;
    $("veil").hidden = !on;
    $("veil").firstElementChild.textContent = purpose();
  };
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => hasFiles(event) && (depth++, over(true)));
  addEventListener("dragleave", (event) => hasFiles(event) && --depth <= 0 && over(false));
  addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    over(false);
    const [file] = event.dataTransfer.files;
    if (file) take(new Picture(file, file.name));
  });
  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((f) => f.type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    take(new Picture(file, ""));
  });
}
