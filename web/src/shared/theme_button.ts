// The button that switches between light and dark.

import { h } from './dom';
import { mode, onTheme, toggleTheme } from './theme';

export function themeButton(): HTMLElement {
  const button = h('button', { type: 'button', class: 'theme', onclick: toggleTheme });
  const name = () => {
    button.textContent = mode() === 'dark' ? 'Light' : 'Dark';
    button.setAttribute('aria-label', `Switch to ${mode() === 'dark' ? 'light' : 'dark'} colours`);
  };
  name();
  onTheme(name);
  return button;
}
