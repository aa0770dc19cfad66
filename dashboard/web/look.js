// Light or dark: what the system says, until somebody chooses.
import { computed, effect, signal } from '@preact/signals';

const dark = matchMedia('(prefers-color-scheme: dark)');
const system = signal(dark.matches);
dark.addEventListener('change', e => { system.value = e.matches; });

export const stored = {
  get: name => { try { return localStorage.getItem(`picket-${name}`); } catch { return null; } },
  set: (name, value) => { try { localStorage.setItem(`picket-${name}`, value); } catch { /* it is forgotten with the tab */ } },
};

const chosen = signal(stored.get('theme'));
export const theme = computed(() => chosen.value || (system.value ? 'dark' : 'light'));
effect(() => { document.documentElement.dataset.theme = theme.value; });

export function turnTheme() {
  chosen.value = theme.value === 'dark' ? 'light' : 'dark';
  stored.set('theme', chosen.value);
}
