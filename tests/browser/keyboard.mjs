// Once by keyboard alone: sign in, deploy, scale, roll back, stop, delete. Nothing is clicked.
import { open } from "./browser.mjs";
import { check, that, until } from "./check.mjs";
import { succeeded, tiles } from "./mouse.mjs";
import * as settings from "./settings.mjs";

const { base, deployMs, keyboardApp: app } = settings;

/** Tabs a page may have before the one that is looked for. */
const TABS = 80;

/** Presses Tab until the focus is on what `name` says, as somebody hears it, and that it can be seen. */
async function tabTo(page, name) {
  for (let n = 0; n < TABS; n += 1) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const on = document.activeElement;
      const label = on.labels?.[0]?.textContent;
      const outline = getComputedStyle(on).outlineStyle;
      return { name: (on.getAttribute("aria-label") ?? label ?? on.textContent ?? "").trim(), outline, on: on !== document.body };
    });
    if (at.on && at.name === name) {
      that(at.outline !== "none", `the focus on "${name}" cannot be seen`);
      return;
    }
  }
  throw new Error(`no Tab leads to "${name}"`);
}

const press = async (page, name, key = "Enter") => {
  await tabTo(page, name);
  await page.keyboard.press(key);
};

export async function keyboard() {
  const { page, errors, context } = await open();

  await check("keyboard: signing in with a token, to the page that was asked for", page, async () => {
    await page.goto(`${base}/apps?q=`);
    await page.waitForURL(/\/login/);
    await page.keyboard.type("dinp_pat_wrong");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    await page.keyboard.type(settings.token);
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/apps/);
  });
  await check("keyboard: skipping to the content", page, async () => {
    await press(page, "Skip to the content");
    that(await page.evaluate(() => document.activeElement.id === "main"), "the focus is not on the content");
  });
  await check("keyboard: choosing a file and deploying it", page, async () => {
    await page.reload();
    const [chooser] = await Promise.all([page.waitForEvent("filechooser"), press(page, "Choose a file")]);
    await chooser.setFiles(settings.file);
    await page.locator("#drop-app").waitFor();
    await until("a name is suggested", () => page.locator("#drop-app").inputValue());
    that(await page.evaluate(() => document.activeElement.textContent === "Deploy"), "the focus is not on Deploy");
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Control+A");
    await page.keyboard.type(app);
    await page.locator("#drop-hint", { hasText: app }).waitFor();
    await page.keyboard.press("Enter");
    await page.waitForURL(new RegExp(`/apps/${app}/deploys/1$`));
    await succeeded(page);
  });
  await check("keyboard: scaling", page, async () => {
    await page.goto(`${base}/apps/${app}`);
    await tabTo(page, "Instances wanted");
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("Enter");
    await until("two run", async () => (await tiles(page)) === 2, deployMs);
    that(await page.evaluate(() => document.activeElement.id === "wanted"), "the focus did not stay");
  });
  await check("keyboard: a second release, and back", page, async () => {
    await page.goto(`${base}/apps/${app}`);
    const [chooser] = await Promise.all([page.waitForEvent("filechooser"), press(page, "Choose a file")]);
    await chooser.setFiles(settings.secondFile);
    await page.locator("#drop-hint", { hasText: "new version" }).waitFor();
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/deploys\/\d+$/);
    await succeeded(page);
    await page.goto(`${base}/apps/${app}`);
    await press(page, "Releases");
    await page.waitForURL(/releases$/);
    await press(page, "Roll back to v1");
    await page.waitForURL(/rollback$/);
    await press(page, "Roll back to v1");
    await page.waitForURL(/\/deploys\/\d+$/);
    await succeeded(page);
  });
  await check("keyboard: stopping and starting", page, async () => {
    await page.goto(`${base}/apps/${app}/settings`);
    await press(page, "Stop");
    await page.waitForURL(/\/deploys\/\d+$/);
    await succeeded(page);
    await page.goto(`${base}/apps/${app}`);
    await page.locator("#head .status", { hasText: "Stopped" }).waitFor();
    await press(page, "Start");
    await page.waitForURL(/\/deploys\/\d+$/);
    await succeeded(page);
  });
  await check("keyboard: deleting needs the name, and leaves nothing", page, async () => {
    await page.goto(`${base}/apps/${app}/settings`);
    await tabTo(page, `Type ${app} to confirm`);
    await page.keyboard.type("other");
    that(await page.getByRole("button", { name: `Delete ${app}` }).isDisabled(), "Delete is not disabled");
    await page.keyboard.press("Control+A");
    await page.keyboard.type(app);
    await press(page, `Delete ${app}`);
    await page.waitForURL(/\/apps\?gone=/, { timeout: deployMs });
    await page.getByRole("status").filter({ hasText: `The app ${app} is gone.` }).waitFor();
    that((await page.request.get(`${base}/apps/${app}`)).status() === 404, "its page still answers");
  });
  await check("keyboard: signing out ends the session", page, async () => {
    await page.goto(`${base}/apps`);
    const cookies = await context.cookies();
    await press(page, "Sign out");
    await page.waitForURL(/\/login/);
    await context.addCookies(cookies);
    await page.goto(`${base}/apps`);
    await page.waitForURL(/\/login/);
  });
  await check("keyboard: no script failed on any page", page, async () => that(errors.length === 0, errors.join("; ")));
}
