// The server's API, as the page uses it.
import { EventReader } from "./events.js";
import { say } from "./text.js";

const KEY = "topgenre.key";
const address = (path) => new URL(path, document.baseURI);

/**
 * What went wrong: the server's own text and code, or `unreachable` where it said nothing.
 * `wait` is the number of seconds after which it is worth another try, where the server told it.
 */
export class Problem extends Error {
  constructor({ error = "", code = "unreachable", retryable = true, request_id: id } = {}, wait = 0) {
    super(error);
    Object.assign(this, { code, retryable, id, wait });
  }
}

/** The page of a video at YouTube: what the server takes for it, and where people watch it. */
export const watchPage = (id) => `https://www.youtube.com/watch?v=${id}`;

/** Keep the API key as long as this tab lives. */
export const useKey = (key) => sessionStorage.setItem(KEY, key);

function headers(more = {}) {
  // A header takes no invisible characters, which come along when a key is pasted: keys have none.
  const key = sessionStorage.getItem(KEY)?.replace(/[^\x21-\x7e]/g, "");
  return key ? { Authorization: `Bearer ${key}`, ...more } : more;
}

async function get(path, signal) {
  let response;
  try {
    response = await fetch(address(path), { headers: headers(), signal });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Problem();
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(body, Number(response.headers.get("Retry-After")));
  return body;
}

/** The id and the plain address of the video that a link names; nothing is fetched. */
export const check = (url, signal) => get(`check?${new URLSearchParams({ url })}`, signal);

/** The model and the limits. */
export const info = () => get("info");

/** Whether tracks are taken. */
export const ready = () => get("health/ready").then(() => true, () => false);

/** Throws where the browser can't read a file: it is a folder, or has been moved, changed or locked. */
export async function readable(file) {
  try {
    await (file.size ? file.slice(0, 1) : file).arrayBuffer();
  } catch {
    throw new Problem({ error: say("file.unreadable", { name: file.name }), code: "unreadable" });
  }
}

/**
 * Ask for the genre of `{ url }` or of `{ file }`, and resolve to the answer.
 *
 * `onProgress` hears the server's progress events, and `uploading` of an upload before them. It is
 * an XMLHttpRequest because fetch does not tell how much of an upload has left.
 */
export function predict({ url, file }, { signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const reader = new EventReader();
    let ended = false;

    function end(settle, value) {
      ended = true;
      settle(value);
    }
    function read() {
      if (request.status !== 200) return;
      for (const [name, data] of reader.more(request.responseText)) {
        if (name === "progress") onProgress(data);
        else if (name === "result") end(resolve, data);
        else if (name === "error") end(reject, new Problem(data, data.retry_after_s));
      }
    }

    request.open("POST", address("predict?include=clips,mel"));
    const sent = url ? "application/json" : /^(audio|video)\//.test(file.type) ? file.type : "application/octet-stream";
    const named = url ? {} : { "X-Filename": encodeURIComponent(file.name) };
    const all = headers({ Accept: "text/event-stream", "Content-Type": sent, ...named });
    for (const [name, value] of Object.entries(all)) request.setRequestHeader(name, value);
    if (file)
      request.upload.onprogress = ({ loaded, total }) =>
        onProgress({ stage: "uploading", fraction: total ? loaded / total : null });
    request.onprogress = read;
    request.onload = () => {
      read();
      if (!ended) end(reject, new Problem(parsed(request), Number(request.getResponseHeader("Retry-After"))));
    };
    // A file that vanishes while it is sent looks like a server that does.
    request.onerror = () => (file ? readable(file) : Promise.resolve()).then(() => end(reject, new Problem()), reject);
    request.onabort = () => end(reject, new DOMException("cancelled", "AbortError"));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(url ? JSON.stringify({ url }) : file);
  });
}

function parsed(request) {
  if (request.status === 200) return {}; // it broke off
  try {
    return JSON.parse(request.responseText);
  } catch {
    return {};
  }
}
