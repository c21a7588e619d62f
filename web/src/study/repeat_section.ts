// What these effects are and are not, and everything needed to make the study again.

import { command } from '../shared/command';
import { h } from '../shared/dom';
import { saveText } from '../shared/save';
import { signs } from '../shared/number';
import { reportText } from './read';
import type { Report } from './report';

export function notesSection(report: Report): HTMLElement | null {
  if (!report.notes?.length) return null;
  return h('section', { id: 'notes' },
    h('h2', {}, 'What this shows, and what it does not'),
    h('ul', { class: 'notes' }, ...report.notes.map((note) => h('li', {}, note))));
}

export function repeatSection(report: Report): HTMLElement {
  const { tasks, ...settings } = report.settings;
  return h('section', { id: 'repeat' },
    h('h2', {}, 'Make it again'),
    report.command ? command(report.command) : null,
    h('div', { class: 'settings' },
      list('Settings', settings), list('Made with', report.made),
      ...tasks.map((task) => list(task.name, { ...task, name: null, about: null, note: null }))),
    h('p', {}, h('button', { type: 'button', onclick: async () =>
      saveText('report.json', 'application/json', await reportText()) },
      'Save report.json'), ' The data of this page, every run and every head included.'));
}

function list(title: string, values: Record<string, unknown>): HTMLElement {
  const entries = Object.entries(values)
    .filter(([, value]) => value !== null && value !== undefined);
  return h('div', {}, h('h3', {}, title),
    h('dl', {}, ...entries.flatMap(([name, value]) =>
      [h('dt', {}, name.replaceAll('_', ' ')), h('dd', {}, show(value))])));
}

function show(value: unknown): string {
  if (Array.isArray(value)) return value.map(show).join(', ');
  if (typeof value === 'number') return signs(String(Number(value.toPrecision(6))));
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
