// Builds a report page: node build.mjs OUTFILE [PAGE], where src/PAGE/page.ts is what it shows.
// One HTML file with all code and style inside, and PLACEHOLDER where the report's JSON goes.
import { build } from 'esbuild';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { deflateSync } from 'node:zlib';

export const PLACEHOLDER = '__HEADLIGHT_REPORT__';
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

export async function template(page) {
  const options = { bundle: true, minify: true, write: false, logLevel: 'warning',
                    charset: 'utf8' };
  const [script, style, html] = await Promise.all([
    build({ ...options, entryPoints: [here(`src/${page}/page.ts`)], format: 'iife', target: 'es2022',
            tsconfig: here('tsconfig.json'), legalComments: 'none' }),
    build({ ...options, entryPoints: [here('src/page.css')] }),
    readFile(here('src/page.html'), 'utf8'),
  ]);
  // A replacement function, because "$&" in code would otherwise be read as a pattern.
  return html
    .replace('Headlight study', () => `Headlight ${page}`)
    .replace('/* style */', () => style.outputFiles[0].text.trim())
    .replace('/* script */', () =>
      script.outputFiles[0].text.trim().replaceAll('</script', '<\\/script'));
}

// What src/report/page.cpp does: compressed JSON as text.
export function fill(template, report) {
  const packed = deflateSync(JSON.stringify(report)).toString('base64');
  return template.replace(PLACEHOLDER, () => packed);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  if (!process.argv[2]) {
    console.error('usage: node build.mjs OUTFILE [PAGE]');
    process.exit(2);
  }
  await writeFile(process.argv[2], await template(process.argv[3] ?? 'study'));
}
