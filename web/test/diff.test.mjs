// The page of `headlight diff` in a browser.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { browserPath, launch, pages, visit } from './browser.mjs';

const skip = browserPath() ? false : 'no Chromium on the PATH';

// Two layers of four heads: the second one lost head 1, and heads 2 and 3 changed places.
function sample() {
  const match = (a, b, change, distance) => ({ a, b, change, distance,
    interval: distance === null ? null : { low: distance / 2, high: Math.min(1, distance * 1.5) },
    pattern_distance: distance, output_distance: distance, runner_up: distance && 0.7 });
  const layer = (number, matches) => ({ stack: 'self', layer: number,
    heads_a: [0, 1, 2, 3], heads_b: number ? [0, 2, 3] : [0, 1, 2, 3],
    roles_a: ['previous', 'sink', 'mixed', null],
    roles_b: number ? ['previous', 'mixed', 'sink'] : ['previous', 'sink', 'mixed', null],
    relative_norm_a: [1, 1, 1, 1], relative_norm_b: number ? [1, 1, 1] : [1, 1, 1, 1], matches,
    distance: [0, 1, 2, 3].map((a) => (number ? [0, 2, 3] : [0, 1, 2, 3]).map((b) =>
      (a === b ? 0.02 : 0.6))), pattern_distance: [], output_distance: [] });
  return { schema: 'headlight.diff/1', a: 'before/<b>model</b>', b: 'after/', examples: 4, rows: 61,
    by: 'both', thresholds: { moved: 0.1, apart: 0.5, silent: 0.1 }, max_shift: null, passed: true,
    counts: { same: 5, moved: 2, died: 1, appeared: 0, renumbered: 2 },
    notes: ['A note.'], layers: [
      layer(0, [0, 1, 2, 3].map((h) => match(h, h, 'same', 0.02))),
      layer(1, [match(0, 0, 'same', 0), match(1, null, 'died', null), match(2, 3, 'moved', 0.4),
                match(3, 2, 'moved', 0.3)])] };
}

describe('the page of a diff', { skip }, () => {
  let browser, written, opened;
  before(async () => {
    written = await pages('diff');
    browser = await launch();
    opened = await visit(browser, written.write('sample', sample()));
  });
  after(async () => {
    await browser?.close();
    written?.remove();
  });

  test('loads alone, without a complaint, and shows names as text', async () => {
    const { page, messages, requests } = opened;
    assert.deepEqual(messages, []);
    const outside = requests.filter((url) => !url.startsWith('data:') && !url.startsWith('blob:'));
    assert.equal(outside.length, 1, `asked for ${outside}`);
    assert.doesNotMatch(await page.locator('main').innerText(), /NaN|undefined|Infinity|\[object/);
    assert.match(await page.locator('.two-grids h3').first().innerText(), /<b>model<\/b>/);
  });

  test('says in a sentence what changed', async () => {
    assert.match(await opened.page.locator('.lead').innerText(),
                 /2 heads moved, 1 died; 5 heads stayed the same.*2 heads are found under another/s);
  });

  test('has every head of both models, and begins with the one that moved most', async () => {
    const { page } = opened;
    assert.equal(await page.locator('.chip').count(), 15);
    assert.match(await page.locator('.head h3').innerText(), /self\.1\.2 of before/);
    assert.match(await page.locator('.head').innerText(), /is head 3 of the second: moved/);
    assert.equal(await page.locator('.chip.partner').count(), 1);
    assert.match(await page.locator('.chip.partner').getAttribute('title'), /self\.1\.3/);
  });

  test('tells of a head that died when it is chosen', async () => {
    const { page } = opened;
    await page.getByRole('button', { name: /self\.1\.1, sink, died/ }).click();
    assert.match(await page.locator('.head').innerText(), /died: no head of the second model/);
    assert.equal(await page.locator('.chip.partner').count(), 0);
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-pressed')),
                 'true');
  });

  test('draws the distances of the layer with a title and words', async () => {
    const figure = opened.page.locator('figure');
    assert.match(await figure.locator('h4').innerText(), /self layer 1/);
    assert.ok(await figure.locator('svg rect, svg path').count() >= 12);
  });

  test('goes to a layer by its name', async () => {
    const { page } = opened;
    await page.getByRole('button', { name: 'Layer self 0' }).click();
    assert.match(await page.locator('.head h3').innerText(), /self\.0\.0/);
    assert.match(await page.locator('figure h4').innerText(), /self layer 0/);
    const pressed = page.locator('.choice button[aria-pressed="true"]');
    assert.equal(await pressed.innerText(), 'self 0');
  });

  test('needs no sideways scrolling from phone to desktop', async () => {
    const { page } = opened;
    for (const width of [390, 768, 1440]) {
      await page.setViewportSize({ width, height: 900 });
      await page.evaluate(() => new Promise((done) =>
        requestAnimationFrame(() => requestAnimationFrame(done))));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `${wide} > ${width}`);
    }
  });

  test('refuses another kind of report in plain words', async () => {
    const other = written.write('other', { schema: 'headlight.study/1' });
    const { page, close } = await visit(browser, other, { wait: false });
    assert.match(await page.getByRole('alert').innerText(), /cannot be shown/);
    await close();
  });
});
