// The report of `headlight study`: the answer first, then its evidence, then how to repeat it.

import * as address from '../shared/address';
import { day } from '../shared/day';
import { h } from '../shared/dom';
import { show } from '../shared/show';
import { themeButton } from '../shared/theme_button';
import { headsSection } from './heads_section';
import { notesSection, repeatSection } from './repeat_section';
import { readReport } from './read';
import type { Report } from './report';
import { taskId, taskSection } from './task_section';
import { verdicts } from './verdict';

function header(report: Report): HTMLElement {
  const { date, machine } = report.made;
  return h('header', {},
    h('span', { class: 'brand' }, 'headlight', h('small', {}, ' study')),
    h('span', { class: 'made' }, [day(date), machine].filter(Boolean).join(' · ')), themeButton());
}

// Links within the page keep what is chosen in the address.
function contents(report: Report, sections: Set<string>): HTMLElement {
  const link = (id: string, text: string) => {
    const follow = (event: Event) => {
      event.preventDefault();
      address.write({ at: id });
      go(id);
    };
    return sections.has(id) ? h('a', { href: `#at=${id}`, onclick: follow }, text) : null;
  };
  return h('nav', { 'aria-label': 'Contents' },
           ...report.settings.tasks.map((task) => link(taskId(task), task.name)),
    link('heads', 'Heads'), link('notes', 'Limits'), link('repeat', 'Repeat'));
}

function go(id: string): void {
  const target = document.getElementById(id);
  target?.setAttribute('tabindex', '-1');
  target?.focus({ preventScroll: true });
  target?.scrollIntoView();
}

function page(report: Report): HTMLElement[] {
  const sections = [...report.settings.tasks.map((task) => taskSection(report, task)),
                    headsSection(report),
                    notesSection(report), repeatSection(report)]
    .filter((section) => section !== null);
  return [header(report), h('main', {}, verdicts(report),
    contents(report, new Set(sections.map((section) => section.id))), ...sections)];
}

show(readReport, page).then(() => {
  const at = address.read('at');
  if (at) requestAnimationFrame(() => go(at));
});
