// Puts a report's page into the document, or says in words why it cannot be shown.

import { h } from './dom';
import { apply } from './theme';

export function show<Report>(read: () => Promise<Report>,
                             page: (report: Report) => HTMLElement[]): Promise<void> {
  const root = document.getElementById('page') as HTMLElement;
  apply();
  return read().then((report) => root.append(...page(report))).catch((error) => {
    root.append(h('p', { class: 'broken', role: 'alert' },
                  `This report cannot be shown. ${String(error)}`));
    throw error;
  });
}
