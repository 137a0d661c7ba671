// The calls of the server. Tokens are sent, never kept where a script could find them again.

export class Refused extends Error {
  constructor(status, answer) {
    super(answer.reason ?? String(status));
    this.status = status;
    this.reason = answer.reason;
    this.answer = answer;
  }
}

let csrf = "";

export async function call(method, path, body, more = {}) {
  const response = await fetch(`/api/${path}`, {
    method,
    headers: {
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...(method === "GET" ? {} : { "X-CSRF-Token": csrf }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
    credentials: "same-origin",
    ...more,
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, answer);
  if (answer.csrf) csrf = answer.csrf;
  return answer;
}

export async function bytes(path) {
  const response = await fetch(`/api/${path}`, { credentials: "same-origin" });
  if (!response.ok) throw new Refused(response.status, await response.json().catch(() => ({})));
  return response.arrayBuffer();
}

export async function picture(path) {
  return URL.createObjectURL(new Blob([await bytes(path)], { type: "image/png" }));
}

// A link carries its token behind the #, which no browser sends and no log sees.
export async function enterByLink() {
  const token = location.hash.slice(1);
  if (!token) return;
  history.replaceState(null, "", location.pathname);
  try {
    await call("POST", "enter", { token });
  } catch (error) {
    // A link that was used already: perhaps by this very browser, which is signed in then.
    if (error.status !== 401) throw error;
  }
}
