// The dashboard in a real browser: `DINP_LINK=... DINP_TOKEN=... DINP_FILE=... node flow.mjs`, see settings.mjs.
import { browser } from "./browser.mjs";
import { finish, flow } from "./check.mjs";
import { keyboard } from "./keyboard.mjs";
import { looks } from "./looks.mjs";
import { mouse } from "./mouse.mjs";

let session;
await flow("with a mouse", () => mouse((context) => (session = context)));
await flow("by keyboard alone", keyboard);
await flow("how it looks", async () => {
  if (!session) throw new Error("nobody is signed in");
  await looks(session);
});
await browser.close();
process.exit(finish());
