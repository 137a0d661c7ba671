// The questions: what is said, what is missing.

const LEVELS = ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "T1", "T2", "T3"];
const MISSING = {
  call: "whether there is OPLL",
  rating: "how sure you are",
  type: "the type",
  levels: "the levels",
  quality: "the image quality",
};

// What a text copied from elsewhere may hold and nobody sees; the server takes none of it.
const UNSEEN = /[^\P{C}\n\t\u200C\u200D]|[\p{Zl}\p{Zp}]/gu;

const form = document.getElementById("form");
const rating = document.getElementById("rating");

export class Form {
  #changed;
  #touched = false;
  #scale = [0, 100];

  constructor(changed) {
    this.#changed = changed;
    for (const level of LEVELS) document.getElementById("levels").append(choice("checkbox", "levels", level, level));
    form.addEventListener("input", (event) => {
      if (event.target.name === "rating") this.#touched = true;
      this.#refresh();
      this.#changed();
    });
  }

  scale([low, high]) {
    this.#scale = [low, high];
    rating.replaceChildren();
    // Asked for at every return to the overview: what stood there goes.
    document.getElementById("ends")?.remove();
    if (high - low <= 10) {
      rating.className = "choices";
      for (let value = low; value <= high; value++)
        rating.append(choice("radio", "rating", value, value));
    } else {
      rating.className = "scale";
      const slider = Object.assign(document.createElement("input"), {
        type: "range", name: "rating", id: "sure", min: low, max: high, step: 1,
      });
      slider.setAttribute("aria-label", "How sure of OPLL");
      // A tap where the slider stands already is an answer too.
      slider.addEventListener("pointerup", () => this.#confirm());
      slider.addEventListener("keydown", (event) => event.key === " " && this.#confirm());
      const shown = Object.assign(document.createElement("output"), { id: "sure-shown" });
      rating.append(slider, shown);
    }
    const ends = Object.assign(document.createElement("div"), { id: "ends", className: "ends" });
    ends.append(text("surely no OPLL"), text("surely OPLL"));
    rating.after(ends);
  }

  fill(answer) {
    form.reset();
    for (const name of ["call", "type", "quality"])
      for (const input of form.elements[name]) input.checked = String(answer[name]) === input.value;
    for (const input of form.elements.levels) input.checked = answer.levels.includes(input.value);
    form.elements.comment.value = answer.comment;
    this.#touched = answer.rating !== null;
    const slider = document.getElementById("sure");
    if (slider) slider.value = answer.rating ?? (this.#scale[0] + this.#scale[1]) / 2;
    else for (const input of form.elements.rating) input.checked = Number(input.value) === answer.rating;
    this.missing([]);
    this.#refresh();
  }

  read() {
    const opll = form.elements.call.value === "1";
    const said = form.elements.rating.value;
    return {
      call: form.elements.call.value === "" ? null : Number(form.elements.call.value),
      rating: this.#touched && said !== "" ? Number(said) : null,
      type: opll ? form.elements.type.value || null : null,
      levels: opll ? [...form.elements.levels].filter((input) => input.checked).map((input) => input.value) : [],
      quality: form.elements.quality.value || null,
      comment: form.elements.comment.value.replace(UNSEEN, "").trim(),
    };
  }

  choose(call) {
    for (const input of form.elements.call)
      if (input.value === String(call)) input.click();
  }

  toRating() {
    (document.getElementById("sure") ?? form.elements.rating[0]).focus();
  }

  // Marks what is open, and goes to the first of it.
  missing(questions) {
    for (const field of form.querySelectorAll("fieldset[data-question]"))
      field.classList.toggle("missing", questions.includes(field.dataset.question));
    document.getElementById("missing").textContent = questions.length
      ? `Please say ${questions.map((question) => MISSING[question]).join(", ")}.`
      : "";
    form.querySelector("fieldset.missing input")?.focus();
  }

  lock(locked) {
    for (const field of form.querySelectorAll("fieldset")) field.disabled = locked;
  }

  #confirm() {
    if (this.#touched) return;
    this.#touched = true;
    this.#refresh();
    this.#changed();
  }

  #refresh() {
    const opll = form.elements.call.value === "1";
    for (const field of form.querySelectorAll(".of-opll")) field.hidden = !opll;
    const shown = document.getElementById("sure-shown");
    if (shown) {
      shown.textContent = this.#touched ? form.elements.rating.value : "–";
      document.getElementById("sure").classList.toggle("untouched", !this.#touched);
    }
    const said = this.read();
    for (const field of form.querySelectorAll("fieldset.missing")) {
      const value = said[field.dataset.question];
      if (value !== null && value?.length !== 0) field.classList.remove("missing");
    }
    if (!form.querySelector("fieldset.missing")) document.getElementById("missing").textContent = "";
  }
}

function choice(type, name, value, shown) {
  const label = document.createElement("label");
  label.append(Object.assign(document.createElement("input"), { type, name, value }), text(shown));
  return label;
}

function text(shown) {
  return Object.assign(document.createElement("span"), { textContent: shown });
}
