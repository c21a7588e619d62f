// The page of headlight rank in a browser, the words of its titles, and its sample against the
// schema. HEADLIGHT_RANK_PAGE=rank.html looks at that file as well.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { rankSample } from '../sample/rank.mjs';
import { browserPath, drawn, launch, pages, visit } from './browser.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const skip = browserPath() ? false : 'no Chromium on the PATH';
const SAMPLES = {
  one: rankSample(),
  several: rankSample({ encoder: [2, 4], decoder: [2, 4], cross: [2, 4] }),
  grouped: rankSample({ self: [4, 32] }, { groupSize: 4 }),
  odd: rankSample({ self: [1, 3] }, { odd: true }),
};
let browser, written;
const urls = {};

before(async () => {
  if (skip) return;
  written = await pages('rank');
  for (const [name, report] of Object.entries(SAMPLES)) urls[name] = written.write(name, report);
  urls.other = written.write('other', { schema: 'headlight.study/1' });
  if (process.env.HEADLIGHT_RANK_PAGE) {
    urls.given = pathToFileURL(resolve(process.env.HEADLIGHT_RANK_PAGE)).href;
  }
  browser = await launch();
});

after(async () => {
  await browser?.close();
  written?.remove();
});

const looked = [...Object.keys(SAMPLES), ...(process.env.HEADLIGHT_RANK_PAGE ? ['given'] : [])];
for (const name of looked) {
  describe(`the ${name} ranking`, { skip }, () => {
    let opened;
    before(async () => { opened = await visit(browser, urls[name]); });
    after(() => opened?.close());

    test('loads alone and without a complaint', () => {
      assert.deepEqual(opened.messages, []);
      assert.equal(opened.requests.filter((url) => !/^(data|blob):/.test(url)).length, 1);
    });

    test('draws every picture, with a title and words for those who cannot see it', async () => {
      const figures = await opened.page.locator('figure').evaluateAll((all) => all.map((one) => ({
        title: one.querySelector('h3')?.textContent ?? '',
        words: one.querySelector('svg')?.getAttribute('aria-label') ?? '',
        marks: one.querySelectorAll('svg path, svg rect, svg circle').length,
      })));
      assert.ok(figures.length >= 3);
      for (const figure of figures) {
        assert.ok(figure.title.length > 8 && figure.words.includes(figure.title));
        assert.ok(figure.marks >= 3, JSON.stringify(figure));
      }
      assert.doesNotMatch(await opened.page.locator('main').innerText(),
                          /NaN|undefined|Infinity|\[object/);
    });

    test('gives every control and table a name', async () => {
      const nameless = await opened.page.evaluate(() => [...document.querySelectorAll(
        'button, a, [tabindex="0"], table')].filter((element) =>
        !(element.getAttribute('aria-label') || element.textContent.trim())).length);
      assert.equal(nameless, 0);
    });

    test('needs no sideways scrolling from phone to desktop', async () => {
      for (const width of [390, 768, 1440]) {
        await opened.page.setViewportSize({ width, height: 900 });
        await opened.page.evaluate(() => new Promise((done) =>
          requestAnimationFrame(() => requestAnimationFrame(done))));
        const wide = await opened.page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= width, `${wide} > ${width}`);
      }
    });
  });
}

describe('a ranking', { skip }, () => {
  const on = (name, options, body) => async () => {
    const opened = await visit(browser, urls[name], options);
    try {
      await body(opened.page);
    } finally {
      await opened.close();
    }
  };

  test('says first how many heads can go', on('one', {}, async (page) => {
    const free = Math.max(SAMPLES.one.gate_free, SAMPLES.one.greedy_free);
    assert.equal(await page.locator('h1').innerText(),
                 `${free} of 72 heads can go for 0.01 nats of loss`);
  }));

  test('has a cell for every head and a grid for every stack', on('several', {}, async (page) => {
    const cells = await page.locator('#heads figure').evaluateAll((all) =>
      all.map((one) => one.querySelectorAll('[aria-label="cell"] rect').length));
    assert.deepEqual(cells, [8, 8, 8]);
  }));

  test('lists the least needed head first and saves every number', on('one', {}, async (page) => {
    const { self } = SAMPLES.one.ablation_zero;
    const least = Math.min(...self.flat());
    const layer = self.findIndex((heads) => heads.includes(least));
    const first = await page.locator('#numbers tbody th').first().innerText();
    assert.equal(first, `self.${layer}.${self[layer].indexOf(least)}`);
    const [download] = await Promise.all([page.waitForEvent('download'),
      page.getByRole('button', { name: 'Save rank.json' }).click()]);
    assert.deepEqual(JSON.parse(readFileSync(await download.path(), 'utf8')), SAMPLES.one);
  }));

  test('shows groups beside heads where they share keys', on('grouped', {}, async (page) => {
    assert.equal(await page.locator('#budget figure').count(), 2);
    assert.equal(await page.locator('#numbers table').nth(1).locator('tbody tr').count(), 32);
  }));

  test('follows the colours of the system', on('one', { dark: true }, async (page) => {
    const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = await paper();
    await page.getByRole('button', { name: 'Switch to light colours' }).click();
    await drawn(page);
    assert.notEqual(await paper(), dark);
  }));

  test('refuses another kind of report in plain words', async () => {
    const { page, close } = await visit(browser, urls.other, { wait: false });
    assert.match(await page.getByRole('alert').innerText(), /cannot be shown/);
    await close();
  });
});

describe('the titles of a ranking', () => {
  const folder = mkdtempSync(join(tmpdir(), 'headlight-rank-parts-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  let parts;
  before(async () => {
    const outfile = join(folder, 'parts.mjs');
    const contents = `
      import '../test/no_browser.mjs';
      export { agreementTitle } from './rank/agreement';
      export { curveTitle } from './rank/curve';`;
    await build({ bundle: true, format: 'esm', platform: 'node', outfile, logLevel: 'error',
                  stdin: { resolveDir: here('../src'), loader: 'ts', contents } });
    parts = await import(pathToFileURL(outfile));
  });

  test('do not praise what is bad', () => {
    assert.match(parts.agreementTitle(0.9), /much as real removals do: rank correlation 0.90/);
    assert.match(parts.agreementTitle(0.6), /roughly/);
    assert.match(parts.agreementTitle(-0.1), /poor guess .* −0.10/);
    assert.equal(parts.agreementTitle(null), 'Gate gradients beside real removals');
    assert.equal(parts.curveTitle(0.01, { one: 'head', free: 0, of: 8 }),
                 'No head can go for 0.01 nats of loss');
    assert.equal(parts.curveTitle(0.01, { one: 'group', free: 3, of: 8 }),
                 '3 of 8 groups can go for 0.01 nats of loss');
  });
});

const python = [here('../../build/venv/bin/python'), 'python3'].find((path) => {
  if (path.includes('/') && !existsSync(path)) return false;
  return spawnSync(path, ['-c', 'import jsonschema']).status === 0;
});

test('the schema fits the samples', { skip: python ? false : 'no Python with jsonschema' }, () => {
  const CHECK = 'import json, sys, jsonschema; schema = json.load(open(sys.argv[1]));' +
    '[jsonschema.validate(report, schema) for report in json.load(sys.stdin)]';
  execFileSync(python, ['-c', CHECK, here('../../schema/rank.schema.json')],
               { input: JSON.stringify(Object.values(SAMPLES)) });
});
