// The page of headlight inspect, on the layers of a sample study.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { sample } from '../sample.mjs';
import { browserPath, launch, pages, visit } from './browser.mjs';

const skip = browserPath() ? false : 'no Chromium on the PATH';
const WORDS = Array.from({ length: 32 }, (_, i) => (i === 3 ? '<script>' : `w${i}`));
let browser, written, urls;

// What `headlight inspect --html` puts into its page.
function report(changes = {}) {
  const run = sample('small').runs.find((one) => one.heads === 4 && one.layers?.length);
  const layers = run.layers.map((layer, l) => ({
    ...layer, queries: 32, keys: 32, map: { ...run.maps[l], tokens: WORDS } }));
  return { schema: 'headlight.inspect/1', model: 'models/<b>tiny</b>', examples: 1, tokens: WORDS,
           weight: 'attention', random_repeat: 25, sentences: ['self.0.1 looks at the token before.'],
           notes: ['Roles are rules of thumb.'], layers, ...changes };
}

before(async () => {
  if (skip) return;
  written = await pages('inspect');
  const bare = report({ sentences: [], notes: [], examples: 3, weight: 'norm' });
  for (const layer of bare.layers) {
    delete layer.map;
    layer.heads = [0, 2, 5, 7];
    layer.roles = ['sink', 'mixed', 'previous', 'self'];
  }
  urls = { whole: written.write('whole', report()), bare: written.write('bare', bare),
           other: written.write('other', { schema: 'headlight.study/1' }) };
  browser = await launch();
});

after(async () => {
  await browser?.close();
  written?.remove();
});

function on(name, options, body) {
  return async () => {
    const opened = await visit(browser, urls[name], options);
    try {
      await body(opened);
    } finally {
      await opened.close();
    }
  };
}

describe('the page of an inspection', { skip }, () => {
  for (const name of ['whole', 'bare']) {
    for (const dark of [false, true]) {
      test(`${name}, ${dark ? 'dark' : 'light'}: loads alone, complains of nothing, fits a phone`,
           on(name, { width: 390, dark }, async ({ page, messages, requests }) => {
        assert.deepEqual(messages, []);
        assert.equal(requests.filter((url) => !/^(data|blob):/.test(url)).length, 1);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= 390);
        assert.doesNotMatch(await page.locator('main').innerText(),
                            /NaN|undefined|Infinity|\[object/);
      }));
    }
  }

  test('says first what stands out', on('whole', {}, async ({ page }) => {
    assert.match(await page.locator('.opening').innerText(),
                 /4 heads in 1 layer, on one text of 32 tokens\.[^]*looks at the token before/);
  }));

  test('opens on a head that looks somewhere of its own', on('bare', {}, async ({ page }) => {
    assert.match(await page.locator('section.head h3').innerText(), /Head self\.0\.5/);
  }));

  test('says what its weights are', on('bare', {}, async ({ page }) => {
    assert.match(await page.locator('.opening').innerText(), /on 3 texts of up to 32 tokens, weights by norm\./);
  }));

  test('shows the head that is chosen, with links between its words',
       on('whole', {}, async ({ page }) => {
    await page.locator('.cell').nth(2).click();
    assert.match(await page.locator('section.head h3').innerText(), /Head self\.0\.2/);
    const links = page.locator('figure', { hasText: 'What self.0.2 links' });
    assert.equal(await links.locator('svg text').count(), 64);
    assert.ok(await links.locator('svg path').count() >= 16);
    assert.ok((await links.locator('svg text').allTextContents()).includes('<script>'));
  }));

  test('a word that is pointed at keeps its own links alone', on('whole', {}, async ({ page }) => {
    const links = page.locator('figure', { hasText: 'links' }).first();
    const visible = () => links.locator('svg path:not([visibility="hidden"])').count();
    const all = await visible();
    await links.locator('svg text').nth(20).hover();
    const own = await visible();
    assert.ok(own > 0 && own < all, `${own} of ${all}`);
  }));

  test('heads that pruning has left keep their numbers', on('bare', {}, async ({ page }) => {
    assert.deepEqual(await page.locator('.cell-name span').allInnerTexts(), ['0', '2', '5', '7']);
    await page.locator('.cell').nth(2).click();
    assert.match(page.url(), /head=self\.0\.5/);
  }));

  test('other data is refused in words', on('other', { wait: false }, async ({ page }) => {
    assert.match(await page.locator('[role="alert"]').innerText(), /headlight inspect/);
  }));
});
