// One reader's way through the study: overview, case after case, lock.

import { Refused, call, enterByLink, picture } from "/pages/api.js";
import { Clock } from "/pages/clock.js";
import { Form } from "/pages/form.js";
import { Viewer } from "/pages/viewer.js";

const SETTLE = 400; // ms after the last change before it is sent
const REPORT = 15_000; // ms between two reports of time
const AGAIN = 2000; // ms before what was not taken is sent again

const $ = (id) => document.getElementById(id);
const sections = ["message", "overview", "reading"];

const clock = new Clock();
const form = new Form(() => changed());
const viewer = new Viewer($("image"), () => showFacts());
let started = null;
let list = [];
let at = 0;
let shown = null;
let taught = false;
let unsaved = false;
let timer = null;
let sending = Promise.resolve();

// ---- what is on the page

function show(section) {
  for (const name of sections) $(name).hidden = name !== section;
}

function say(...lines) {
  $("message").replaceChildren(
    ...lines.map((line) => Object.assign(document.createElement("p"), { textContent: line })),
  );
  show("message");
}

// With the hour: who comes in the morning of a day that begins in the evening comes in vain.
const moment = (text) => new Date(text).toLocaleString(undefined, { dateStyle: "long", timeStyle: "short" });

function nameOf(session) {
  return session.number === 0 ? "Training" : `Session ${session.number}`;
}

function stateOf(session) {
  const count = `${session.done} of ${session.total} cases`;
  const minutes = Math.round(session.seconds / 60);
  return {
    locked: `finished, ${session.total} cases, ${minutes} min`,
    open: session.done || session.deferred ? `${count} done, ${minutes} min so far` : `${session.total} cases`,
    washout: `opens on ${moment(session.opens)}`,
    later: "later",
  }[session.state];
}

async function overview() {
  const me = await call("GET", "me");
  document.title = me.title;
  $("title").textContent = me.title;
  $("reader").textContent = me.reader;
  form.scale(me.rating_scale);
  $("sessions").replaceChildren(
    ...me.sessions.map((session) => {
      const item = Object.assign(document.createElement("li"), { className: session.state });
      const name = Object.assign(document.createElement("b"), { textContent: nameOf(session) });
      item.append(name, ` ${stateOf(session)}`);
      return item;
    }),
  );
  const current = me.sessions.find((session) => session.number === me.current);
  $("start").hidden = !current;
  if (current) $("start").textContent = current.done || current.deferred ? "Go on" : `Begin ${nameOf(current).toLowerCase()}`;
  const waiting = me.sessions.find((session) => session.state === "washout");
  const note = current
    ? ""
    : waiting
      ? `Thank you. The next session opens on ${moment(waiting.opens)}; please come back then.`
      : "Thank you: you have read everything.";
  const foot = document.createElement("li");
  foot.className = "note";
  foot.textContent = note;
  if (note) $("sessions").append(foot);
  show("overview");
  $("start").focus();
}

function showFacts() {
  const facts = viewer.facts;
  for (const button of document.querySelectorAll("[data-tool]"))
    button.setAttribute("aria-pressed", String(button.dataset.tool === (facts?.tool ?? "")));
  if (!facts) return;
  const width = Math.round(facts.upper - facts.lower);
  const level = Math.round((facts.upper + facts.lower) / 2);
  $("facts").textContent =
    `${facts.sequences[facts.place]} · slice ${facts.slice + 1} of ${facts.slices} · ` +
    `W ${width} L ${level} · zoom ${facts.zoom.toFixed(1)}`;
  $("slice").max = facts.slices - 1;
  $("slice").value = facts.slice;
  for (const button of $("sequences").children)
    button.setAttribute("aria-pressed", String(Number(button.value) === facts.place));
}

function showSequences() {
  const names = shown.images.map((image) => image.sequence);
  $("sequences").replaceChildren(
    ...(names.length < 2 ? [] : names).map((name, place) => {
      const button = Object.assign(document.createElement("button"), {
        type: "button", textContent: name, value: place, title: `${name} (T: next sequence)`,
      });
      button.addEventListener("click", () => viewer.sequence(place));
      return button;
    }),
  );
}

async function showAid() {
  // Nothing of the case before may stand beside this one, however long the picture takes.
  URL.revokeObjectURL($("heat").src);
  for (const name of ["heat", "heat-large"]) $(name).removeAttribute("src");
  $("heat-large").hidden = true;
  $("aid").hidden = shown.aid === null;
  $("heat-button").hidden = !shown.aid?.heatmap;
  if (shown.aid === null) return;
  $("probability").textContent = `${Math.round(100 * shown.aid.probability)} %`;
  $("advice").textContent =
    "probability of OPLL" + ({ 1: "; calls OPLL", 0: "; calls no OPLL" }[shown.aid.advice] ?? "");
  if (shown.aid.heatmap) {
    const source = await picture(`readings/${shown.id}/heatmap`);
    $("heat").src = $("heat-large").src = source;
  }
}

function showFeedback(feedback) {
  taught = feedback !== null;
  $("feedback").hidden = !taught;
  $("later").hidden = taught;
  if (!taught) return;
  const right = (feedback.label === "OPLL") === (form.read().call === 1);
  const type = feedback.type ? `, ${feedback.type}` : "";
  $("feedback").textContent =
    `${right ? "Yes" : "No"}: this is ${feedback.label === "OPLL" ? `OPLL${type}` : "no OPLL, but degenerative stenosis"}.`;
  $("feedback").className = right ? "right" : "wrong";
  $("feedback").scrollIntoView({ block: "nearest" });
}

function status(text, bad = false) {
  $("saved").textContent = text;
  $("saved").className = bad ? "bad" : "";
}

// ---- keeping what is said

function send(work) {
  // One after the other: what is said later must not arrive earlier.
  const result = sending.then(() => persist(work));
  sending = result.catch(() => {});
  return result;
}

async function persist(work) {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (error instanceof Refused && error.status !== 429 && error.status < 500) throw error;
      status("The server does not answer; what you said is kept here and sent again", true);
      await new Promise((later) => setTimeout(later, AGAIN));
    }
  }
}

function changed() {
  if (!shown || taught) return;
  unsaved = true;
  status("…");
  clearTimeout(timer);
  timer = setTimeout(() => draft().catch(fail), SETTLE);
}

async function draft() {
  clearTimeout(timer);
  if (!unsaved || taught) return;
  const { id } = shown;
  const answer = form.read();
  unsaved = false;
  const seconds = clock.take();
  const kept = await send(() => call("PUT", `readings/${id}/answer`, { answer, complete: false, seconds }));
  setState(id, kept.state);
  if (!unsaved) status("Saved");
}

function setState(id, state) {
  const one = list.find((each) => each.id === id);
  if (one) one.state = state;
  const done = list.filter((each) => each.state === "done").length;
  $("progress").max = list.length;
  $("progress").value = done;
}

// ---- the way

async function begin() {
  say("Loading …");
  started ??= (show("reading"), viewer.start());
  await started;
  list = (await call("GET", "list")).readings;
  const first = list.findIndex((each) => each.state === "new");
  const open = first >= 0 ? first : list.findIndex((each) => each.state === "deferred");
  await go(open >= 0 ? open : list.length - 1);
}

async function go(place) {
  clock.stop();
  // Nothing is said of a case before its images are there: the server would not take it.
  form.lock(true);
  at = place;
  const next = await call("GET", `readings/${list[at].id}`);
  show("reading");
  shown = next;
  form.fill(shown.answer);
  showFeedback(shown.feedback);
  showSequences();
  setState(shown.id, shown.state);
  const session = shown.session === 0 ? "Training" : `Session ${shown.session}`;
  $("where").textContent = `${session}, case ${at + 1} of ${list.length}`;
  $("previous").disabled = at === 0;
  $("form").scrollTop = 0;
  $("reading").classList.add("waiting");
  status("Loading …");
  await Promise.all([viewer.show(shown), showAid()]);
  await send(() => call("POST", `readings/${shown.id}/begin`));
  clock.start();
  form.lock(taught);
  $("reading").classList.remove("waiting");
  status("");
  $("image").focus();
  document.body.dataset.ready = shown.id;
  // Not waited for: who is quick need not wait for what comes next.
  preload();
}

async function preload() {
  const next = list[at + 1];
  if (!next) return viewer.keep([shown.id]);
  viewer.keep([shown.id, next.id]);
  try {
    await viewer.load(await call("GET", `readings/${next.id}`));
  } catch {
    // It is asked for again when its turn comes; a fault is told then.
  }
}

async function finishCase() {
  if (taught) return onward();
  clearTimeout(timer);
  const answer = form.read();
  const seconds = clock.take();
  try {
    const kept = await send(() =>
      call("PUT", `readings/${shown.id}/answer`, { answer, complete: true, seconds }),
    );
    unsaved = false;
    setState(shown.id, kept.state);
    status("Saved");
    if (kept.feedback) {
      clock.stop();
      form.lock(true);
      // With its last case the training is over, and what was read in it is shown no more.
      if (list.every((each) => each.state === "done")) $("previous").disabled = true;
      return showFeedback(kept.feedback);
    }
  } catch (error) {
    if (error.reason !== "incomplete") throw error;
    changed();
    return form.missing(error.answer.missing);
  }
  await onward();
}

async function onward() {
  const after = list.findIndex((each, place) => place > at && each.state !== "done");
  if (after > 0) return go(after);
  const before = list.findIndex((each) => each.state !== "done");
  if (before >= 0) {
    const count = list.filter((each) => each.state !== "done").length;
    await ask(`${count === 1 ? "One case was" : `${count} cases were`} left for later. Read ${count === 1 ? "it" : "them"} now?`)
      ? await go(before)
      : await pause();
    return;
  }
  if (shown.session === 0) return pause();
  const sure = await ask(
    `All ${list.length} cases are answered. Lock the session? Its answers can never be changed after that.`,
  );
  if (sure) await send(() => call("POST", "lock"));
  await pause();
}

async function later() {
  if (!(await ask("Leave this case open and come back to it? The session cannot be locked before."))) return;
  await draft();
  await send(() => call("POST", `readings/${shown.id}/defer`));
  if (list[at].state === "new") setState(shown.id, "deferred");
  await onward();
}

async function back() {
  if (at === 0) return;
  await draft();
  await reportTime();
  await go(at - 1);
}

async function reportTime() {
  if (!shown || taught) return;
  const seconds = clock.take();
  if (seconds > 0) await send(() => call("POST", `readings/${shown.id}/time`, { seconds }));
}

async function pause() {
  clock.stop();
  if (shown && !taught) {
    await draft();
    await reportTime().catch(() => {});
  }
  shown = null;
  await overview();
}

function ask(question) {
  $("question").textContent = question;
  $("ask").returnValue = "no";
  $("ask").showModal();
  return new Promise((answer) =>
    $("ask").addEventListener("close", () => answer($("ask").returnValue === "yes"), { once: true }),
  );
}

function fail(error) {
  clock.stop();
  document.body.dataset.failed = error.reason ?? error.name;
  if (error.status === 401) {
    say("You are not signed in here. Open the link that was made for you.", "Each link works once; whoever runs the study can make you a new one.");
  } else if (error.status === 409 || error.status === 404) {
    overview().catch(() => say("The server does not answer. Reload the page in a while."));
  } else if (error.status === 403) {
    say("This browser is signed in as the administrator. Readers need a link of their own.");
  } else {
    say("Something went wrong; what you have said is kept. Reload the page to go on.");
  }
}

// ---- keys and buttons

const DRAGS = ["StackScroll", "WindowLevel", "Zoom", "Pan", "Length"];
const STEP = 0.08;

const keys = {
  ArrowUp: (event) => arrow(event, 0, -1),
  ArrowDown: (event) => arrow(event, 0, 1),
  ArrowLeft: (event) => arrow(event, -1, 0),
  ArrowRight: (event) => arrow(event, 1, 0),
  Home: () => viewer.slice(0),
  End: () => viewer.slice(Infinity),
  t: () => viewer.sequence(viewer.facts.place + 1),
  a: () => viewer.window(STEP, 0),
  d: () => viewer.window(-STEP, 0),
  q: () => viewer.window(0, -STEP),
  e: () => viewer.window(0, STEP),
  "+": () => viewer.zoom(1.15),
  "=": () => viewer.zoom(1.15),
  "-": () => viewer.zoom(1 / 1.15),
  m: () => viewer.rulerByKeys(),
  r: () => viewer.reset(),
  h: () => heat(),
  o: () => form.choose(1),
  n: () => form.choose(0),
  c: () => form.toRating(),
  p: () => back(),
  Enter: () => finishCase(),
  "?": () => $("help").showModal(),
};

function arrow(event, x, y) {
  if (viewer.measures) viewer.moveRuler(x * (event.shiftKey ? 1 : 4), y * (event.shiftKey ? 1 : 4));
  else if (event.shiftKey) viewer.move(x * 20, y * 20);
  else return viewer.step(x + y);
}

function heat() {
  if (shown.aid?.heatmap) $("heat-large").hidden = !$("heat-large").hidden;
}

addEventListener("keydown", (event) => {
  if ($("reading").hidden || $("ask").open || $("help").open) return;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { target } = event;
  if (event.key === "Escape") {
    $("heat-large").hidden = true;
    return $("image").focus();
  }
  const writes = target.matches("textarea");
  const moves = target.matches("input") && /^(Arrow|Home|End|Page)/.test(event.key);
  const presses = target.matches("button, input") && [" ", "Enter"].includes(event.key);
  if (writes || moves || presses) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const tool = DRAGS[Number(key) - 1];
  if (!tool && !keys[key]) return;
  event.preventDefault();
  if ($("reading").classList.contains("waiting")) return;
  if (tool) viewer.use(tool);
  else attempt(() => keys[key](event));
});

let busy = false;
async function attempt(work) {
  if (busy) return;
  busy = true;
  try {
    await work();
  } catch (error) {
    fail(error);
  } finally {
    busy = false;
  }
}

for (const button of document.querySelectorAll("[data-tool]"))
  button.addEventListener("click", () => viewer.use(button.dataset.tool));
$("slice").addEventListener("input", () => viewer.slice(Number($("slice").value)));
$("reset").addEventListener("click", () => viewer.reset());
$("heat-button").addEventListener("click", heat);
$("heat-large").addEventListener("click", heat);
$("help-button").addEventListener("click", () => $("help").showModal());
$("start").addEventListener("click", () => attempt(begin));
$("pause").addEventListener("click", () => attempt(pause));
$("previous").addEventListener("click", () => attempt(back));
$("later").addEventListener("click", () => attempt(later));
$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(finishCase);
});
$("leave").addEventListener("click", () =>
  attempt(async () => {
    await call("POST", "leave");
    say("You are signed out. You can close this page.");
  }),
);
$("image").addEventListener("contextmenu", (event) => event.preventDefault());

setInterval(() => {
  if (!$("reading").hidden && !busy) reportTime().catch(() => {});
}, REPORT);

// A lid that closes, a tab that goes: what is said leaves before the page does.
addEventListener("visibilitychange", () => {
  if (document.visibilityState !== "hidden" || !shown || taught) return;
  const seconds = clock.take();
  const body = unsaved ? { answer: form.read(), complete: false, seconds } : { seconds };
  call(unsaved ? "PUT" : "POST", `readings/${shown.id}/${unsaved ? "answer" : "time"}`, body, {
    keepalive: true,
  }).catch(() => {});
});
addEventListener("beforeunload", (event) => {
  if (unsaved) event.preventDefault();
});

enterByLink()
  .then(overview)
  .catch(fail);
