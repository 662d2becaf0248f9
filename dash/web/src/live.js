// The page's one stream. htmx opens it, morphs what it brings and closes it while the tab is hidden;
// this file says so when it is lost, and greys the live parts when it stays lost.
import htmx from "htmx.org/dist/htmx.esm.js";
import { clock } from "./time.js";

/** After this long without a stream, what stands on the page is shown as old. */
const GREY_AFTER_MS = 10_000;
/** The server sends a beat every five seconds, so this much silence is a dead connection. */
const SILENT_AFTER_MS = 12_000;
/** Wait before a first connection that failed is tried again. */
const RETRY_MS = 2_000;

let heard = Date.now();
let lostAt = null;

const source = () => document.getElementById("live");
const isSource = (event) => source() !== null && event.target === source();

function lost() {
  if (lostAt !== null || document.hidden || !source()) return;
  lostAt = Date.now();
  const note = document.getElementById("stale");
  note.textContent = `As of ${clock(new Date(heard))}, reconnecting…`;
  note.hidden = false;
}

function back() {
  heard = Date.now();
  if (lostAt === null) return;
  lostAt = null;
  document.getElementById("stale").hidden = true;
  document.body.removeAttribute("data-stale");
}

function icon() {
  const state = document.querySelector("[data-icon]")?.dataset.icon;
  const link = document.getElementById("icon");
  if (!state || !link) return;
  const href = link.href.replace(/icon-\w+\.svg/, `icon-${state}.svg`);
  if (link.href !== href) link.href = href;
}

for (const name of ["htmx:sse:after:connection", "htmx:sse:after:message", "beat"]) {
  document.addEventListener(name, (event) => isSource(event) && back());
}
document.addEventListener("htmx:after:swap", icon);
document.addEventListener("htmx:sse:before:connection", (event) => {
  if (isSource(event) && event.detail.connection.attempt > 0) lost();
});
document.addEventListener("htmx:sse:error", (event) => {
  if (!isSource(event)) return;
  // The session ended: the server answers a reload with the sign-in page.
  if (event.detail.status === 401) location.reload();
  lost();
});
for (const name of ["htmx:response:error", "htmx:error"]) {
  document.addEventListener(name, (event) => {
    if (!isSource(event)) return;
    if (event.detail.ctx?.response?.status === 401) location.reload();
    lost();
    setTimeout(() => source() && htmx.trigger(source(), "reconnect"), RETRY_MS);
  });
}
// What the page is about was deleted.
document.addEventListener("gone", (event) => {
  if (isSource(event)) location.assign(`/apps?gone=${encodeURIComponent(location.pathname.split("/")[2] ?? "")}`);
});
document.addEventListener("visibilitychange", () => {
  // A stream closed on purpose is not lost; it gets its time to come back.
  if (!document.hidden) heard = Date.now();
});
setInterval(() => {
  if (document.hidden || !source()) return;
  if (Date.now() - heard > SILENT_AFTER_MS) lost();
  if (lostAt !== null && Date.now() - lostAt > GREY_AFTER_MS) document.body.setAttribute("data-stale", "");
}, 1_000);

// A tile whose state changes shows it for a moment.
htmx.registerExtension("dinp-tiles", {
  htmx_before_morph_attr: (element, { attrName }) => {
    if (attrName !== "data-status") return;
    setTimeout(() => element.classList.add("changed"));
    element.addEventListener("animationend", () => element.classList.remove("changed"), { once: true });
  },
});
