// The small parts of the pages, without a browser; the types; and the sample against its schema.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inflateSync } from 'node:zlib';
import { build } from 'esbuild';
import { fill, PLACEHOLDER } from '../build.mjs';
import { sample } from '../sample.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'headlight-parts-'));
let parts;

before(async () => {
  const outfile = join(folder, 'parts.mjs');
  await build({ bundle: true, format: 'esm', platform: 'node', outfile, logLevel: 'error', stdin: {
    resolveDir: here('../src'), loader: 'ts', contents: `
      import '../test/no_browser.mjs';
      export * as number from './shared/number';
      export { csv, fileName } from './shared/save';
      export { spread } from './shared/plot';
      export { seriesColour, palette, toggleTheme, mode } from './shared/theme';
      export { curvesTitle, resultTitle, differencesTitle, flowTitle,
               FLOW_PICTURES } from './study/titles';
      export { pooled } from './study/curves';
      export { decode, weight } from './heads/map';
      export { roleLetter, roleWords } from './heads/roles';` } });
  parts = await import(pathToFileURL(outfile));
});

after(() => rmSync(folder, { recursive: true, force: true }));

describe('numbers', () => {
  test('keep three digits and say what cannot be drawn', () => {
    const { short } = parts.number;
    for (const [value, text] of [
      [null, '–'], [undefined, '–'], ['inf', '∞'], ['-inf', '−∞'], [0, '0'], [NaN, '–'],
      [0.002981, '0.00298'], [0.99951, '1.00'], [9.996, '10.0'], [12.34, '12.3'], [99.96, '100'],
      [4096, '4,096'], [-2.5, '−2.50'], [1.5e-9, '1.5 × 10⁻⁹']]) {
      assert.equal(short(value), text, String(value));
    }
  });

  test('write shares and differences', () => {
    const { percent, points, probability, counted } = parts.number;
    assert.equal(percent(0.998), '99.8\u00a0%');
    assert.equal(points(0.591), '+59.1');
    assert.equal(points(-0.193), '−19.3');
    assert.equal(points(-0.0001), '0.0');
    assert.equal(probability(0.0002), '< 0.001');
    assert.equal(counted(1, 'head'), '1 head');
    assert.equal(counted(1600, 'run'), '1,600 runs');
  });

  test('leave the page as CSV that spreadsheets read', () => {
    assert.equal(parts.csv(['a', 'b,c'], [['say "x"', null], [1.5, 'two\nlines']]),
      'a,"b,c"\n"say ""x""",\n1.5,"two\nlines"\n');
    assert.equal(parts.fileName('fetch(16,2,6)', 'curves'), 'fetch-16-2-6-curves');
  });
});

describe('labels at the ends of lines', () => {
  test('never overlap, keep their order and stay inside', () => {
    let state = 1;
    const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
    for (let round = 0; round < 300; ++round) {
      const wanted = Array.from({ length: 1 + Math.floor(random() * 7) },
                                () => random() ** 3 * 300);
      const placed = parts.spread(wanted, 18, 0, 300);
      const order = wanted.map((_, i) => i).sort((a, b) => wanted[a] - wanted[b]);
      order.forEach((label, k) => {
        assert.ok(placed[label] >= -1e-9 && placed[label] <= 300 + 1e-9);
        if (k > 0) assert.ok(placed[label] - placed[order[k - 1]] >= 18 - 1e-6,
                             `${wanted} -> ${placed}`);
      });
    }
  });

  test('stay where they are when there is room', () => {
    assert.deepEqual(parts.spread([10, 100, 50], 18, 0, 200), [10, 100, 50]);
  });
});

// Machado, Oliveira & Fernandes 2009, severity 1: how the colours look without one kind of cone.
const BLINDNESS = {
  protan: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
           [-0.003882, -0.048116, 1.051998]],
  deutan: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
           [-0.011820, 0.042940, 0.968881]],
};
const channel = (x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
const linear = (hex) => [1, 3, 5].map((i) => channel(parseInt(hex.slice(i, i + 2), 16) / 255));
const LUMINANCE = [0.2126, 0.7152, 0.0722];
const luminance = (hex) => linear(hex).reduce((sum, x, i) => sum + x * LUMINANCE[i], 0);
const contrast = (a, b) => {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
};
function lab(rgb) {
  const [r, g, b] = rgb.map((x) => Math.min(1, Math.max(0, x)));
  const f = (t) => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116);
  const [x, y, z] = [(0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505,
                     0.2126 * r + 0.7152 * g + 0.0722 * b,
    (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089].map(f);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

for (const theme of ['light', 'dark']) {
  describe(`${theme} colours`, () => {
    before(() => { if (parts.mode() !== theme) parts.toggleTheme(); });

    test('of five head counts stay apart for colour-blind readers', () => {
      for (const [kind, matrix] of Object.entries(BLINDNESS)) {
        const seen = [0, 1, 2, 3, 4].map((i) => lab(matrix.map((row) =>
          linear(parts.seriesColour(i, 5)).reduce((sum, x, k) => sum + x * row[k], 0))));
        seen.forEach((a, i) => seen.slice(0, i).forEach((b, j) => {
          const distance = Math.hypot(...a.map((x, k) => x - b[k]));
          assert.ok(distance > 11, `${kind}: ${i} and ${j} are ${distance.toFixed(1)} apart`);
        }));
      }
    });

    test('of text can be read', () => {
      const { ink, muted, accent, paper } = parts.palette();
      for (const text of [ink, muted, accent]) assert.ok(contrast(text, paper) >= 4.5, text);
      for (const i of [0, 1, 2, 3, 4]) {
        assert.ok(contrast(parts.seriesColour(i, 5), paper) >= 2.5, parts.seriesColour(i, 5));
      }
    });
  });
}

describe('titles', () => {
  const task = { name: 't', steps: 800 };
  const row = (heads, steps, reached = 5) =>
    ({ task: 't', heads, steps_to_target_mean: steps, reached, of: 5 });
  test('name the fastest head count and those that never arrive', () => {
    const plain = (rows) => parts.curvesTitle(task, rows, 0.95).replaceAll('\u00a0', ' ');
    assert.equal(plain([row(1, null, 0), row(8, 460), row(16, 530)]),
      '8 heads reach 95 % first, at step 460; 1 head never does');
    assert.equal(plain([row(1, null, 0), row(4, 470), row(8, 460), row(16, 530)]),
      '4 and 8 heads reach 95 % first, at about step 460; 1 head never does');
    assert.equal(plain([row(1, 100), row(2, 98)]), 'All head counts reach 95 % at about step 98');
    assert.equal(plain([row(1, null, 0), row(2, null, 0)]),
                 'No head count reaches 95 % in 800 steps');
    assert.equal(plain([row(1, 250), row(2, 900)]),
      '1 head reaches 95 % first, at step 250; the slowest, 2 heads, at 900');
  });

  test('sum up the differences to the fewest heads', () => {
    const title = (...verdicts) => parts.differencesTitle(
      verdicts.map((verdict, i) => ({ heads: 2 << i, verdict })), 1);
    assert.equal(title('no difference', 'worse', 'worse'),
                 '4 and 8 heads are worse than 1 head; 2 heads are no different');
    assert.equal(title('better', 'better'), 'Every other head count is better than 1 head');
    assert.equal(title('no difference', 'no difference'), 'No head count differs from 1 head');
    assert.equal(title('not decided'), '2 heads are not decided against 1 head');
  });

  test('set trained heads beside untrained ones', () => {
    const [hitting] = parts.FLOW_PICTURES;
    const pair = (trained, untrained) => ({ hitting_mean: trained,
                                            untrained: { hitting_mean: untrained } });
    assert.equal(parts.flowTitle(hitting, [pair(3, 4), pair(4, 4)]),
                 'Hitting time: below untrained heads at 1 of 2 head counts');
    assert.equal(parts.flowTitle(hitting, [pair(4, 4)]), 'Hitting time: as in untrained heads');
    assert.equal(parts.flowTitle(hitting, [{ hitting_mean: 3 }]), 'Hitting time');
  });
});

describe('parts of the head view', () => {
  test('curves pool seeds step by step and leave out what is undefined', () => {
    const curve = (values) =>
      values.map((value, i) => ({ step: 10 * (i + 1), test_accuracy: value }));
    const runs = [{ heads: 4, seed: 0, curve: curve([0.2, 0.4]) },
                  { heads: 4, seed: 1, curve: curve([0.4, null]) }];
    const points = parts.pooled(runs, (point) => point.test_accuracy);
    assert.deepEqual(points.map((p) => [p.step, Number(p.mean.toFixed(6)), p.low, p.high]), [[10, 0.3, 0.2, 0.4], [20, 0.4, 0.4, 0.4]]);
  });

  test('maps that do not hold what they say are refused', () => {
    const maps = (text) => ({ rows: 2, columns: 2, queries: 2, keys: 2, heads: [text] });
    const good = parts.decode(maps(Buffer.from([255, 0, 128, 128]).toString('base64')), 0);
    assert.equal(parts.weight(good, 0, 0), 1);
    assert.ok(Math.abs(parts.weight(good, 1, 1) - 0.252) < 0.001);
    for (const bad of ['', '!!!', 'AAAA', undefined]) {
      assert.equal(parts.decode(maps(bad), 0), null);
    }
  });

  test('positional roles show their offset', () => {
    assert.equal(parts.roleLetter('positional(-3)'), '−3');
    assert.equal(parts.roleWords('positional(-3)'), 'looks 3 places back');
    assert.equal(parts.roleWords('positional(+1)'), 'looks 1 place ahead');
    assert.equal(parts.roleLetter('some future role'), '?');
  });
});

describe('the page as a whole', () => {
  test('passes the type checker', () => {
    const compiler = here('../node_modules/typescript/bin/tsc');
    const checked = spawnSync(process.execPath, [compiler, '-p', here('..')], { encoding: 'utf8' });
    assert.equal(checked.stdout + checked.stderr, '');
  });

  test('data cannot end the script that holds it', () => {
    const filled = fill(`<script>${PLACEHOLDER}</script>`, { a: '</script>\u2028$&' });
    const [, packed] = filled.match(/^<script>([A-Za-z0-9+\/]+=*)<\/script>$/);
    assert.deepEqual(JSON.parse(inflateSync(Buffer.from(packed, 'base64'))),
                     { a: '</script>\u2028$&' });
  });
});

const python = [here('../../build/venv/bin/python'), 'python3'].find((path) => {
  if (path.includes('/') && !existsSync(path)) return false;
  return spawnSync(path, ['-c', 'import jsonschema']).status === 0;
});

describe('the schema', { skip: python ? false : 'no Python with jsonschema' }, () => {
  const CHECK = `
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
print(json.dumps([len(list(validator.iter_errors(report))) for report in json.load(sys.stdin)]))`;
  const schema = here('../../schema/study.schema.json');
  const errors = (reports) => JSON.parse(execFileSync(python, ['-c', CHECK, schema],
    { input: JSON.stringify(reports), maxBuffer: 1 << 28 }));

  test('fits what a study writes and refuses what it must not', () => {
    const report = sample('large');
    report.runs = report.runs.filter((run) => run.heads === 4 && run.seed === 0);
    const broken = (change) => {
      const copy = structuredClone(report);
      change(copy);
      return copy;
    };
    const [good, ...bad] = errors([report,
      broken((r) => { r.schema = 'headlight.study/2'; }),
      broken((r) => { r.runs[0].test_accuracy = 1.5; }),
      broken((r) => { r.runs[0].heads = 0; }),
      broken((r) => { delete r.runs[0].checkpoint; }),
      broken((r) => { r.runs[0].layers[0].roles[0] = ['clever']; }),
      broken((r) => { r.runs[0].layers[0].flow.heads[0].fidelity = 'NaN'; }),
      broken((r) => { r.runs[0].maps[0].heads[0] = 'not base64!'; }),
      broken((r) => { r.comparisons[0].verdict = 'good'; }),
      broken((r) => { r.verdict['fetch(16,2,6)'] = ''; }),
      broken((r) => { r.summary[0].untrained = undefined; }),
      broken((r) => { r.extra = 1; })]);
    assert.equal(good, 0);
    assert.deepEqual(bad.map((count) => count > 0), bad.map(() => true));
  });
});
