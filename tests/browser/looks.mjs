// Every page, light and dark, wide and narrow: no axe violation, nothing that scrolls sideways, and small enough.
import { createRequire } from "node:module";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { open } from "./browser.mjs";
import { glance, that } from "./check.mjs";
import * as settings from "./settings.mjs";

const { app, base } = settings;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const BUDGET_BYTES = 60_000;
/** As separate scripts, htmx and its stream extension lost some of so many. */
const LOADS = 50;

/** What a page violates, in words. Evaluated through the debugger, which the pages' own policy does not stop. */
async function violations(page) {
  await page.evaluate(axe);
  const found = await page.evaluate((rules) => window.axe.run(document, { runOnly: rules }), RULES);
  return found.violations.map((each) => `${each.id} (${each.nodes.map((node) => node.target.join(" ")).slice(0, 3).join(", ")}): ${each.help}`);
}

function pages(failed) {
  const own = `/apps/${app}`;
  const list = [
    ["apps", "/apps", "main table"],
    ["apps without a match", "/apps?q=nothing-like-this", ".empty"],
    ["app", own, ".tile"],
    ["releases", `${own}/releases`, "main table"],
    ["rollback", `${own}/releases/1/rollback`, "form"],
    ["logs", `${own}/logs`, "log-view .line"],
    ["events", `${own}/events`, ".events li"],
    ["settings", `${own}/settings`, "form"],
    ["deploy", `${own}/deploys/1`, ".steps"],
    ["no such app", "/apps/shopp", "h1"],
    ["no such page", "/nothing-here", "h1"],
  ];
  return failed ? [...list, ["failed deploy", `${own}/deploys/${failed}`, "#outcome dt"]] : list;
}

/** Pages of the README: [page, scheme, width, file]. */
const PICTURES = [
  ["apps", "light", 1280, "apps-light-1280.png"],
  ["deploy", "light", 1280, "deploy-light-1280.png"],
  ["failed deploy", "light", 1280, "failed-light-1280.png"],
];

async function picture(page, name, scheme, width) {
  const found = PICTURES.find((each) => each[0] === name && each[1] === scheme && each[2] === width);
  if (!settings.pictures || !found) return;
  mkdirSync(settings.pictures, { recursive: true });
  await page.screenshot({ path: join(settings.pictures, found[3]) });
}

async function failedDeploy(page) {
  await page.goto(`${base}/apps/${app}/releases`);
  const row = page.locator("#deploys tr", { has: page.locator(".status.bad") }).first();
  if ((await row.count()) === 0) return null;
  return (await row.getAttribute("id")).slice("d-".length);
}

export async function looks(context) {
  const cookies = await context.cookies();
  const finder = await open({ storageState: { cookies, origins: [] } });
  const failed = await failedDeploy(finder.page);
  await finder.context.close();
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1280, 390]) {
      const { context, page } = await open({ colorScheme, viewport: { width, height: 900 }, storageState: { cookies, origins: [] } });
      for (const [name, path, ready] of pages(failed)) {
        await glance(`${name}, ${colorScheme}, ${width}: axe finds nothing`, page, async () => {
          await page.goto(base + path);
          await page.locator(ready).first().waitFor();
          const found = await violations(page);
          that(found.length === 0, found.join("\n"));
          const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
          that(over <= 0, `the page is ${over} px wider than the window`);
          await picture(page, name, colorScheme, width);
        });
      }
      await context.close();
      await signedOut(colorScheme, width);
    }
  }
  await small(cookies);
}

/** The pages of somebody who is not signed in. */
async function signedOut(colorScheme, width) {
  const { context, page } = await open({ colorScheme, viewport: { width, height: 900 } });
  await glance(`login, ${colorScheme}, ${width}: axe finds nothing`, page, async () => {
    await page.goto(`${base}/login`);
    const found = await violations(page);
    that(found.length === 0, found.join("\n"));
  });
  await glance(`set-up, ${colorScheme}, ${width}: axe finds nothing`, page, async () => {
    // Held back, so that the page which submits itself can be looked at.
    await page.route("**/setup", (route) => (route.request().method() === "POST" ? route.fulfill({ status: 204 }) : route.continue()));
    await page.goto(settings.link, { waitUntil: "commit" });
    await page.getByRole("button", { name: "Open the dashboard" }).waitFor();
    const found = await violations(page);
    that(found.length === 0, found.join("\n"));
  });
  await page.unroute("**/setup");
  await glance(`a link that has ended, ${colorScheme}, ${width}: axe finds nothing`, page, async () => {
    await page.goto(settings.link);
    await page.getByRole("heading", { name: "This link works no more" }).waitFor();
    const found = await violations(page);
    that(found.length === 0, found.join("\n"));
  });
  await context.close();
}

async function small(cookies) {
  const { context, page } = await open({ viewport: { width: 320, height: 640 }, storageState: { cookies, origins: [] } });
  await glance("the app's page reflows at 320 pixels", page, async () => {
    await page.goto(`${base}/apps/${app}`);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    that(over <= 0, `the page is ${over} px wider than the window`);
  });
  await glance(`${LOADS} loads in a row all go live`, page, async () => {
    for (let n = 1; n <= LOADS; n += 1) {
      const stream = page.waitForResponse((answer) => answer.url().includes("/ui/stream"), { timeout: 5_000 });
      const [, answer] = await Promise.all([page.goto(`${base}/apps/${app}`), stream.catch(() => null)]);
      that(answer?.status() === 200, `load ${n} opened no stream`);
    }
  });
  await glance(`markup, styles and scripts have at most ${BUDGET_BYTES} bytes, gzipped`, page, async () => {
    const html = await (await page.request.get(`${base}/apps/${app}`)).text();
    const assets = [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+\.(?:js|css))"/g)].map((found) => found[1]);
    that(assets.length === 2, `${assets.length} assets`);
    let bytes = gzipSync(html).length;
    for (const asset of assets) {
      const answer = await page.request.get(base + asset);
      that(answer.headers()["content-encoding"] === "gzip", `${asset} is not compressed`);
      that(answer.headers()["cache-control"].includes("immutable"), `${asset} is not kept`);
      bytes += gzipSync(await answer.body(), { level: 9 }).length;
    }
    console.log(`        ${bytes} bytes`);
    that(bytes <= BUDGET_BYTES, `${bytes} bytes`);
  });
  await context.close();
}
