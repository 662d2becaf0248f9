// "2 min ago" grows older by itself; the exact time stands in the title.

const STEP_MS = 15_000;

export function ago(seconds) {
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

export const clock = (date) => date.toTimeString().slice(0, 8);

function refresh() {
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const at = Date.parse(time.dateTime);
    if (Number.isNaN(at)) continue;
    time.textContent = ago(Math.max(0, (Date.now() - at) / 1000));
  }
}

setInterval(refresh, STEP_MS);
