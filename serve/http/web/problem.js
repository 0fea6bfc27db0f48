// What went wrong, in the server's words, and what to do about it in ours.
import { $, make, show, visit } from "./dom.js";
import { known, say } from "./text.js";

/** Show a failure; `retry`, if given, is what its button does. */
export function showProblem({ code, message, id }, retry) {
  const words = message || say("problem.unreachable");
  const next = known(`next.${code}`) ? say(`next.${code}`) : say("next.other");
  const button = retry && make("button", { type: "button", class: "main", id: "retry", onclick: retry }, say("problem.retry"));
  $("problem").replaceChildren(
    make("h2", { tabindex: "-1" }, say("problem.title")),
    make("p", { class: "words" }, words),
    make("p", {}, next),
    ...(button ? [make("div", { class: "buttons" }, button)] : []),
    ...(id ? [make("p", { class: "fine" }, say("problem.id", { id }))] : []),
  );
  $("problem").dataset.code = code;
  show($("problem"));
  visit(button ?? $("problem").firstChild);
}

/** Take it away. */
export const hideProblem = () => show($("problem"), false);
