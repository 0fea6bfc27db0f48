// Where the page is: the address, in which a video's answer has its own, and the tab's title.
const NAME = "topgenre";
const video = () => new URLSearchParams(location.search).get("v");

let here = video();

/** The id of the video that the page is about, or null. */
export const at = () => here;

/** The page is now about this video, or about none; `replace` leaves no way back to what it was. */
export function place(id, { title = NAME, replace = false } = {}) {
  document.title = title;
  if ((id ?? null) === here) return;
  here = id ?? null;
  const address = id ? `?v=${id}` : location.pathname;
  history[replace ? "replaceState" : "pushState"](null, "", address);
}

/** `onMove(id)` hears when back or forward leads to another video, or to none. */
export function watchPlace(onMove) {
  addEventListener("popstate", () => {
    if (video() === here) return; // a place within the page
    here = video();
    document.title = NAME;
    onMove(here);
  });
}
