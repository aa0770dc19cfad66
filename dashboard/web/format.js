// Figures and times as people read them.
import { lang, t } from './texts.js';

const locale = () => (lang.value === 'zh' ? 'zh-CN' : 'en-GB');

export const number = n => (n === undefined || n === null ? '–' : n.toLocaleString(locale(), { maximumFractionDigits: n !== 0 && Math.abs(n) < 10 ? 1 : 0 }));

export function bytes(n) {
  if (n === undefined || n === null) return '–';
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let i = 0;
  for (; Math.abs(n) >= 1000 && i < units.length - 1; i++) n /= 1000;
  return `${n.toLocaleString(locale(), { maximumFractionDigits: i > 0 && n < 10 ? 1 : 0 })} ${units[i]}`;
}

export function span(seconds) {
  if (seconds === undefined || seconds === null) return '–';
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return t('seconds', { n: s });
  if (s < 3600) return t('minutes', { n: Math.floor(s / 60) });
  if (s < 86400) return t('hours', { n: Math.floor(s / 3600), m: Math.floor(s / 60) % 60 });
  return t('days', { n: Math.floor(s / 86400), h: Math.floor(s / 3600) % 24 });
}

export const time = at => (at ? new Date(at).toLocaleString(locale(), { dateStyle: 'medium', timeStyle: 'medium' }) : '–');
export const ago = at => t('ago', { time: span((Date.now() - new Date(at)) / 1000) });
