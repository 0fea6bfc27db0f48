// Server-sent events (WHATWG HTML, section 9.2), as far as our server writes them.

/** Cuts a growing text into events; what is not complete yet waits for the next call. */
export class EventReader {
  #read = 0;

  /** The events that `text`, the whole of it so far, has gained. */
  *more(text) {
    for (let end; (end = text.indexOf("\n\n", this.#read)) >= 0; this.#read = end + 2) {
      const fields = new Map();
      for (const line of text.slice(this.#read, end).split("\n")) {
        const colon = line.indexOf(":");
        if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trimStart());
      }
      if (fields.has("data")) yield [fields.get("event"), JSON.parse(fields.get("data"))];
    }
  }
}
