// A finished page without training: node preview.mjs OUTFILE [REPORT.json | small | large | odd]
import { readFileSync, writeFileSync } from 'node:fs';
import { fill, template } from './build.mjs';
import { sample } from './sample.mjs';

const [out, what = 'small'] = process.argv.slice(2);
if (!out) {
  console.error('usage: node preview.mjs OUTFILE [REPORT.json | small | large | odd]');
  process.exit(2);
}
const report = what.endsWith('.json') ? JSON.parse(readFileSync(what, 'utf8')) : sample(what);
// headlight.diff/1 is shown by src/diff.
const kind = report.schema.replace(/^headlight\.|\/.*$/g, '');
writeFileSync(out, fill(await template(kind), report));
