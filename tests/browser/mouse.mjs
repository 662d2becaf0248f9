// The whole way with a mouse: from the set-up link to a rollback.
import { mkdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { open } from "./browser.mjs";
import { check, that, until } from "./check.mjs";
import * as settings from "./settings.mjs";
import { wire } from "./wire.mjs";

const { app, base, deployMs } = settings;

/** Drops a file on the page as a desktop would. */
export async function drop(page, path, name = basename(path)) {
  const transfer = await page.evaluateHandle(
    ({ content, name }) => {
      const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], name));
      return transfer;
    },
    { content: readFileSync(path).toString("base64"), name },
  );
  await page.dispatchEvent("main", "drop", { dataTransfer: transfer });
}

async function dropBroken(page) {
  await drop(page, settings.brokenFile, "broken");
  await page.getByRole("button", { name: "Deploy", exact: true }).click();
}

/** The sample obeys FAIL. The change is made past the page, which tells of it live, and leads to it. */
async function listenOnLoopback(page) {
  const answer = await page.request.patch(`${base}/v1/apps/${app}/env`, {
    headers: { authorization: `Bearer ${settings.token}` },
    data: { set: { FAIL: "loopback" } },
  });
  that(answer.status() === 202, `status ${answer.status()}: ${await answer.text()}`);
  await page.getByRole("link", { name: /Follow deploy/ }).click();
}

/** A log that is known: 300 lines at first, and seven more each time it is asked for. */
async function lines(page) {
  let count = 293;
  const line = (n) => JSON.stringify({ at: new Date(1e12 + n * 1000).toISOString(), instance: "abc123", stderr: false, text: `line ${n}.` });
  await page.route("**/ui/apps/*/logs*", (route) => {
    if (count < 307) count += 7;
    return route.fulfill({ contentType: "application/x-ndjson", body: `${Array.from({ length: count }, (_, n) => line(n)).join("\n")}\n` });
  });
}

/** Tells the page that it is, or is not, looked at. */
const look = (page, seen) =>
  page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
  }, !seen);

/** The app's page for the README: light, dark, and on a phone. */
async function pictures(page) {
  mkdirSync(settings.pictures, { recursive: true });
  await page.locator("#toasts").evaluate((toasts) => (toasts.style.display = "none"));
  await until("no tile shows a change", async () => (await page.locator(".tile.changed").count()) === 0);
  for (const [colorScheme, width] of [["light", 1280], ["dark", 1280], ["light", 390]]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 900 });
    await page.screenshot({ path: join(settings.pictures, `app-${colorScheme}-${width}.png`) });
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.locator("#toasts").evaluate((toasts) => (toasts.style.display = ""));
}

export const tiles = (page) => page.locator(".tile[data-status=Running]").count();

/** Waits until the deploy the page shows has ended well, by the live stream alone: the page is not loaded again. */
export async function succeeded(page) {
  await until("the deploy succeeds", async () => {
    const status = await page.locator("#deploy .status").textContent();
    that(status !== "failed", `the deploy failed: ${await page.locator("#outcome").textContent()}`);
    return status === "succeeded";
  }, deployMs);
}

/** `signedIn` is told of the session, for what comes after. */
export async function mouse(signedIn) {
  const { context, page, errors } = await open();

  await check("the set-up link lands signed in on the running sample", page, async () => {
    await page.goto(settings.link);
    await page.waitForURL(/\/apps\/hello/);
    await page.getByRole("heading", { level: 1, name: "hello" }).waitFor();
    await page.locator("#head .status", { hasText: "Running" }).waitFor();
    that((await tiles(page)) >= 1, "no instance is shown as running");
  });
  signedIn(context);
  await check("a drop zone stands beside it", page, async () => {
    that(await page.locator("drop-zone").isVisible(), "no drop zone");
    const [zone, panel] = [await page.locator("drop-zone").boundingBox(), await page.locator("#instances").boundingBox()];
    that(zone.x > panel.x + panel.width / 2, "the drop zone is not beside the instances");
  });
  await check("the link works once", page, async () => {
    const other = await open();
    await other.page.goto(settings.link);
    await other.page.getByRole("heading", { name: "This link works no more" }).waitFor();
    await other.context.close();
  });
  await check("the session is closed to scripts and to other sites", page, async () => {
    const cookie = (await context.cookies()).find((each) => each.name.endsWith("dinp_session"));
    that(cookie?.httpOnly && cookie.sameSite === "Strict", JSON.stringify({ ...cookie, value: "hidden" }));
  });

  await check("a dropped file suggests a name and says what it makes", page, async () => {
    await page.goto(`${base}/apps`);
    await drop(page, settings.file);
    await page.locator("#drop-app").waitFor();
    await until("a name is suggested", () => page.locator("#drop-app").inputValue());
    await page.locator("#drop-app").fill("Not A Name");
    await page.locator("#drop-hint", { hasText: "lowercase" }).waitFor();
    await page.locator("#drop-app").fill(app);
    await page.locator("#drop-hint", { hasText: "A new app at http" }).waitFor();
  });
  await check("deploying opens the deploy's page", page, async () => {
    await page.getByRole("button", { name: "Deploy", exact: true }).click();
    await page.waitForURL(new RegExp(`/apps/${app}/deploys/1$`));
  });
  await check("the kind that was detected is said", page, async () => {
    await page.locator("[data-kind]").waitFor({ timeout: deployMs });
  });
  await check("the build's log is shown", page, async () => {
    await page.locator("log-view[data-ends] .line").first().waitFor({ timeout: deployMs });
  });
  await check("the rollout is shown to its end", page, async () => {
    await succeeded(page);
    for (const step of ["Build", "Start", "Healthy", "Routed"]) await page.locator(`li.done[data-step=${step}]`).waitFor();
    await until("the title says so", async () => (await page.title()) === `✓ v1 live – ${app}`);
  });
  await check("the address is given, and answers", page, async () => {
    const address = await page.getByRole("link", { name: "Open", exact: true }).getAttribute("href");
    that(new URL(address).hostname.startsWith(`${app}.`), address);
    if (!settings.traffic) return;
    const other = await context.newPage();
    that((await other.goto(address)).status() === 200, "it does not answer 200");
    await other.close();
  });

  await check("the stepper scales, live, and the page stays", page, async () => {
    await page.goto(`${base}/apps/${app}`);
    await page.getByRole("button", { name: "One instance more" }).click();
    await page.getByRole("button", { name: "One instance more" }).click();
    await page.locator("[data-change]", { hasText: "1 → 3" }).waitFor();
    await page.getByRole("button", { name: "Scale" }).click();
    await page.locator(".toast", { hasText: "3 instances" }).waitFor();
    await until("three run", async () => (await tiles(page)) === 3, deployMs);
    await until("the stepper follows", async () => (await page.locator("#wanted").inputValue()) === "3");
    that(page.url() === `${base}/apps/${app}`, "the page changed");
  });
  if (settings.pictures) await pictures(page);
  await check("undo takes a scale back", page, async () => {
    await page.getByRole("button", { name: "Undo" }).click();
    await until("one runs", async () => (await tiles(page)) === 1, deployMs);
  });
  await check("a number that makes no sense is refused in words", page, async () => {
    const answer = await page.request.post(`${base}/apps/${app}/scale`, {
      form: { instances: "-1" },
      headers: { "sec-fetch-site": "same-origin" },
    });
    that(answer.status() === 422 && (await answer.text()).includes("1 to 1000 instances"), `status ${answer.status()}`);
  });

  await check("the log follows", page, async () => {
    await page.goto(`${base}/apps/${app}/logs`);
    await page.locator("log-view .line").first().waitFor();
    await page.locator("[data-log-state]", { hasText: "following" }).waitFor();
  });
  await check("scrolling up pauses the log, and it says how much is new", page, async () => {
    await lines(page);
    await page.goto(`${base}/apps/${app}/logs`);
    const log = page.locator("log-view [role=log]");
    await page.locator("log-view .line", { hasText: "line 299." }).waitFor();
    await until("it stands at its end", () => log.evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight < 2));
    await log.hover();
    await page.mouse.wheel(0, -400);
    // The connection ends and is taken up again: seven lines are new, the others were shown before.
    await page.getByRole("button", { name: "Paused · 7 new · Jump to live" }).click();
    await page.locator("log-view .line", { hasText: "line 306." }).waitFor();
    that((await page.locator("log-view .line").count()) === 307, "lines are missing, or shown twice");
    that(!(await page.locator("[data-log-jump]").isVisible()), "it is still paused");
    await page.unroute("**/ui/apps/*/logs*");
  });

  await check("a new version is dropped on the app's own page", page, async () => {
    await page.goto(`${base}/apps/${app}`);
    await drop(page, settings.secondFile);
    await page.locator("#drop-hint", { hasText: `A new version of ${app}` }).waitFor();
    that((await page.locator("#drop-app").inputValue()) === app, "the app's name is not kept");
    await page.getByRole("button", { name: "Deploy", exact: true }).click();
    await page.waitForURL(/\/deploys\/\d+$/);
    await succeeded(page);
    await page.locator("#deploy", { hasText: "v1 → v2" }).waitFor();
  });
  await check("a release that served can be gone back to", page, async () => {
    await page.goto(`${base}/apps/${app}/releases`);
    await page.getByRole("link", { name: "Roll back to v1" }).click();
    await page.getByRole("heading", { name: "Roll back to v1" }).waitFor();
    await page.getByRole("button", { name: "Roll back to v1" }).click();
    await page.waitForURL(/\/deploys\/\d+$/);
    await succeeded(page);
  });
  await check("events say what happened", page, async () => {
    await page.goto(`${base}/apps/${app}/events`);
    await until("at least three events", async () => (await page.locator(".events li").count()) >= 3);
    that((await page.locator(".events li p").first().innerText()).length > 8, "the newest event has no words");
  });

  await check("a deploy that cannot work says why, what serves, and what to do", page, async () => {
    await page.goto(`${base}/apps/${app}`);
    await (settings.brokenFile ? dropBroken(page) : listenOnLoopback(page));
    await page.waitForURL(/\/deploys\/\d+$/);
    await page.locator("#deploy .status", { hasText: "failed" }).waitFor({ timeout: deployMs });
    for (const word of ["Why", "Now", "Try"]) await page.locator("#outcome dt", { hasText: word }).waitFor();
    await until("the title says so", async () => (await page.title()) === `✗ deploy failed – ${app}`);
  });

  await check("no script failed on any page so far", page, async () => that(errors.length === 0, errors.join("; ")));
  await check("a hidden tab closes its streams, and opens them when it is looked at", page, async () => {
    const streams = new Set();
    const own = (request) => /\/ui\/(stream|apps\/.*\/logs)/.test(request.url());
    page.on("request", (request) => own(request) && streams.add(request));
    for (const name of ["requestfailed", "requestfinished"]) page.on(name, (request) => streams.delete(request));
    await page.goto(`${base}/apps/${app}`);
    await until("both streams are open", () => streams.size === 2);
    await look(page, false);
    await until("no stream is open", () => streams.size === 0);
    await look(page, true);
    await until("both streams are open again", () => streams.size === 2);
  });
  await check("a lost stream says so, greys the page, and heals", page, async () => {
    const cable = await wire(base);
    await page.goto(`${cable.base}/apps/${app}`);
    await page.locator("log-view .line").first().waitFor();
    cable.cut();
    await page.locator("#stale", { hasText: "reconnecting" }).waitFor({ timeout: 20_000 });
    await page.locator("body[data-stale]").waitFor({ timeout: 15_000 });
    cable.mend();
    await page.locator("#stale").waitFor({ state: "hidden", timeout: 15_000 });
    that((await page.locator("body[data-stale]").count()) === 0, "the page is still grey");
    await page.goto(`${base}/apps`);
    cable.close();
  });
  await check("a name mistyped in the address finds the app meant", page, async () => {
    const answer = await page.goto(`${base}/apps/${app}p`);
    that(answer.status() === 404, `status ${answer.status()}`);
    await page.getByRole("link", { name: app, exact: true }).waitFor();
  });
}
