// Reads the report that stands in the page, and evens out what may be written in more than one way.

import type { Num } from '../shared/number';
import type { Layer, Maps, Numbers, Report, Run } from './report';

// report.json as it stands in the page: compressed (zlib) and in base64.
export async function reportText(): Promise<string> {
  const packed = atob(document.getElementById('report')?.textContent ?? '');
  const json = new Blob([Uint8Array.from(packed, (letter) => letter.charCodeAt(0))]).stream()
    .pipeThrough(new DecompressionStream('deflate'));
  return new Response(json).text();
}

export async function readReport(): Promise<Report> {
  const report = JSON.parse(await reportText()) as Report;
  if (!report.schema?.startsWith('headlight.study/')) {
    throw new Error('This page shows reports of headlight study, and the data in it is ' +
      'something else.');
  }
  report.runs.forEach(evenOut);
  return report;
}

function evenOut(run: Run): void {
  run.layers?.forEach(evenOutLayer);
  run.untrained_layers?.forEach(evenOutLayer);
  run.maps?.forEach(maps);
}

export function evenOutLayer(entry: Layer): void {
  const flow = Array.isArray(entry.flow) ? (entry.flow[0] as Layer['flow']) : entry.flow;
  entry.flow = flow && {
    heads: flow.heads.map(single),
    combined_uniform: flow.combined_uniform && single(flow.combined_uniform),
    combined_output_norm: flow.combined_output_norm && single(flow.combined_output_norm),
  };
}

interface Spread {
  mean?: Num;
  standard_deviation?: Num;
  median?: Num;
  infinite?: number;
}

// Numbers over several sequences become their mean, or their median where some are infinite; the
// standard deviation goes beside them as name_deviation.
function single(numbers: Record<string, unknown>): Numbers {
  const result: Numbers = {};
  for (const [name, value] of Object.entries(numbers)) {
    if (value === null || typeof value !== 'object') {
      result[name] = value as Num;
    } else if (!Array.isArray(value)) {
      const spread = value as Spread;
      result[name] = spread.mean ?? spread.median ?? (spread.infinite ? 'inf' : null);
      if (typeof spread.mean === 'number') result[name + '_deviation'] = spread.standard_deviation;
    }
  }
  return result;
}

function maps(entry: Maps & { size?: number }): void {
  entry.rows ??= Math.min(entry.size ?? entry.queries, entry.queries);
  entry.columns ??= Math.min(entry.size ?? entry.keys, entry.keys);
}
