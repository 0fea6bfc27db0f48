// What went wrong, in the server's words, and what to do about it in ours.
import { $, make, show, visit } from "./dom.js";
import { known, lasting, say } from "./text.js";
import { countdown } from "./waiting.js";

let shown = new AbortController();

/** Show a failure; `retry`, if given, is what its button does, once `wait` seconds are over. */
export function showProblem({ code, message, id, wait }, retry) {
  hideProblem();
  const words = message || say("problem.unreachable");
  const next = known(`next.${code}`) ? say(`next.${code}`) : say("next.other");
  const button = retry && retryButton(retry, wait);
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

// It counts down to itself; a disabled button would lose the keyboard.
function retryButton(retry, wait) {
  const button = make("button", { type: "button", class: "main", id: "retry", "aria-live": "off" }, say("problem.retry"));
  shown = new AbortController();
  const tell = (left) => { button.textContent = say("problem.retry.in", { time: lasting(left) }); };
  const ready = () => {
    button.textContent = say("problem.retry");
    button.removeAttribute("aria-disabled");
    button.addEventListener("click", retry);
  };
  if (wait) {
    button.setAttribute("aria-disabled", "true");
    countdown(wait, tell, shown.signal).then((over) => over && ready());
  } else ready();
  return button;
}

/** Take it away. */
export function hideProblem() {
  shown.abort();
  show($("problem"), false);
}
