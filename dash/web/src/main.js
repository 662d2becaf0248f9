// Everything the dashboard runs in the browser, as one file: htmx and its stream extension must not be apart,
// or the extension can miss the page's own start.
import "htmx.org/dist/htmx.esm.js";
import "htmx.org/dist/ext/hx-sse.js";
import "./css/main.css";
import "./drop.js";
import "./forms.js";
import "./live.js";
import "./logs.js";
import "./time.js";
