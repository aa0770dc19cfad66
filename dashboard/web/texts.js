// What the dashboard says, in English and Chinese beside each other. Causes and problems come from the broker in the reader's language.
import { computed, effect, signal } from '@preact/signals';
import { stored } from './look.js';
import { texts } from './words.js';

const chosen = signal(stored.get('lang'));
export const lang = computed(() => chosen.value || ((navigator.languages || [navigator.language]).map(l => l.slice(0, 2)).find(l => l === 'zh' || l === 'en') || 'en'));
effect(() => { document.documentElement.lang = lang.value === 'zh' ? 'zh-CN' : 'en'; });

export function turnLang() {
  chosen.value = lang.value === 'zh' ? 'en' : 'zh';
  stored.set('lang', chosen.value);
}

// t is a text with its places filled in: t('ago', {time: '5 s'}).
export function t(key, values) {
  let text = texts[key][lang.value === 'zh' ? 1 : 0];
  if (values) for (const [name, value] of Object.entries(values)) text = text.split(`{${name}}`).join(value);
  return text;
}
