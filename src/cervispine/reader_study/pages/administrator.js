// Who is how far; no answers.

import { call, enterByLink } from "/pages/api.js";

const $ = (id) => document.getElementById(id);
const moment = (text) => (text ? new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) : "–");

const STATES = { locked: "locked", open: "open", later: "later" };

function cell(content, kind = "td", className = "") {
  const made = Object.assign(document.createElement(kind), { className });
  made.append(content);
  return made;
}

function bar(done, total) {
  return Object.assign(document.createElement("progress"), { value: done, max: total });
}

async function refresh() {
  const { title, readers } = await call("GET", "administrator");
  $("title").textContent = title;
  $("rows").replaceChildren(
    ...readers.flatMap((reader) =>
      reader.sessions.map((session, place) => {
        const row = document.createElement("tr");
        row.className = place === 0 ? "first" : "";
        row.append(
          cell(place === 0 ? reader.reader : "", "th"),
          cell(session.number === 0 ? "training" : String(session.number)),
          cell(`${session.done} of ${session.total}`),
          cell(bar(session.done, session.total)),
          cell(session.deferred ? String(session.deferred) : "–"),
          cell(String(Math.round(session.seconds / 60))),
          cell(STATES[session.state] ?? `opens ${moment(session.opens)}`, "td", "when"),
          cell(place === 0 ? moment(reader.last) : "", "td", "when"),
          cell(place === 0 ? linkButton(reader) : ""),
        );
        return row;
      }),
    ),
  );
  $("message").hidden = true;
  $("progress-page").hidden = false;
}

function linkButton(reader) {
  const button = Object.assign(document.createElement("button"), { textContent: "New link" });
  button.addEventListener("click", () =>
    call("POST", "administrator/links", { number: reader.number })
      .then(({ token }) => {
        $("link").hidden = false;
        $("link-for").textContent = reader.reader;
        $("link-text").value = `${location.origin}/#${token}`;
        $("link-text").select();
      })
      .catch(fail),
  );
  return button;
}

function fail(error) {
  const text = {
    401: "You are not signed in here. Open the administrator's link; `cervispine read serve` prints a new one at every start.",
    403: "This browser is signed in as a reader. Use another browser, or sign out first.",
  };
  $("message").textContent = text[error.status] ?? "The server does not answer. Reload the page in a while.";
  $("message").hidden = false;
}

$("refresh").addEventListener("click", () => refresh().catch(fail));
enterByLink().then(refresh).catch(fail);
