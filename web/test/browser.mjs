// What the page tests share: pages from samples, and a browser that reports everything it does.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { fill, template } from '../build.mjs';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export function browserPath() {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of NAMES) if (existsSync(join(folder, name))) return join(folder, name);
  }
  return null;
}

export function launch() {
  return chromium.launch({ executablePath: browserPath(), args: ARGUMENTS });
}

// Writes pages of one kind into a folder of its own; remove() takes it away.
export async function pages(kind = 'study') {
  const folder = mkdtempSync(join(tmpdir(), 'headlight-page-'));
  const html = await template(kind);
  return {
    write(name, report) {
      const path = join(folder, `${name}.html`);
      writeFileSync(path, fill(html, report));
      return pathToFileURL(path).href;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

// Opens `url` and keeps what went wrong: console messages, exceptions, requests.
export async function visit(browser, url, { width = 1280, dark = false, wait = true } = {}) {
  const context = await browser.newContext({ viewport: { width, height: 900 },
    colorScheme: dark ? 'dark' : 'light', reducedMotion: 'reduce' });
  const page = await context.newPage();
  const messages = [], requests = [];
  page.on('console', (message) => messages.push(message.text()));
  page.on('pageerror', (error) => messages.push(error.message));
  page.on('request', (request) => requests.push(request.url()));
  await page.goto(url);
  if (wait) await drawn(page);
  return { page, messages, requests, close: () => context.close() };
}

// Pictures are drawn when their frame has got a size.
export function drawn(page) {
  return page.waitForFunction(() => document.getElementById('page').hasChildNodes() &&
    [...document.querySelectorAll('figure .stage')]
    .every((stage) => stage.querySelector('svg')));
}
