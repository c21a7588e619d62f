// The types of headlight inspect's report (schema headlight.inspect/1), and how it is read.

import type { Layer, Maps } from '../study/report';
import { evenOutLayer, reportText } from '../study/read';

export interface InspectReport {
  schema: string;
  model: string;
  examples: number;
  tokens?: string[];
  target_tokens?: string[];
  weight: "attention" | "norm";
  random_repeat: number;
  sentences: string[];
  notes: string[];
  layers: (Layer & { queries: number; keys: number; map?: Maps })[];
}

export async function readReport(): Promise<InspectReport> {
  const report = JSON.parse(await reportText()) as InspectReport;
  if (!report.schema?.startsWith('headlight.inspect/')) {
    throw new Error('This page shows reports of headlight inspect, and the data in it is ' +
      'something else.');
  }
  report.layers.forEach(evenOutLayer);
  return report;
}
