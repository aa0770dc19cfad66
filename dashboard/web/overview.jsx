// The overview: is all well, and what is going on.
import { effect, signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { may, usePoll } from './api.js';
import { Chart } from './chart.jsx';
import { bytes, number, span } from './format.js';
import { live, moment } from './live.js';
import { Card, Empty, Facts, Head, Marked, Table, Text, Waiting } from './parts.jsx';
import { Attempts } from './refused.jsx';
import { to } from './route.js';
import { lang, t } from './texts.js';

const kept = 121; // two minutes

// readings are those of the last two minutes, also while another page is open.
const readings = signal([]);

// Each moment that the broker tells of becomes a reading.
effect(() => {
  const m = moment.value;
  if (m) note(m);
});

function note(m) {
  const at = Date.parse(m.at) / 1000;
  const all = readings.peek();
  const before = all[all.length - 1];
  if (before && at <= before.at) return;
  const of = name => m.figures[name] || 0;
  const { causes } = m.status;
  const counters = { in: of('publish_received_total'), out: of('publish_sent_total'), bytesIn: of('received_bytes_total'), bytesOut: of('sent_bytes_total'), refused: Object.values(causes).reduce((sum, n) => sum + n, 0) };
  const now = { at, counters, causes, connected: m.status.clients, rising: [] };
  if (before && at - before.at < 30) {
    for (const [name, value] of Object.entries(counters)) now[name] = value < before.counters[name] ? null : (value - before.counters[name]) / (at - before.at);
    now.rising = Object.keys(causes).filter(id => causes[id] > (before.causes[id] || 0));
    if (now.refused !== undefined && now.refused !== null) now.refused *= 60;
  }
  readings.value = [...all, now].slice(-kept);
}

// series are the data of a chart.
const series = (...names) => [readings.value.map(r => r.at), ...names.map(name => readings.value.map(r => r[name] ?? null))];

const place = l => (l.path ? l.path : `${l.address || '*'}:${l.port}`);

// troubles are what is not well: {text, remedy, cause}. about is the catalogue by ids.
function troubles(status, listeners) {
  const all = [];
  for (const what of status.load.short) all.push({ text: t('shortOf', { what: { cpu: t('cpu'), memory: t('memory'), descriptors: t('descriptors'), store: t('store') }[what] || what }), cause: what === 'store' ? 'disk-full' : 'overloaded' });
  if (status.store && status.store.failing) all.push({ cause: status.store.failing, bad: true });
  if (status.maintenance) all.push({ text: t('inMaintenance'), remedy: t('openAgain') });
  for (const b of status.bridges || []) if (!b.connected) all.push({ text: t('bridgeDown', { name: b.name }), cause: b.cause, bad: true });
  for (const b of status.backends || []) if (b.down_since) all.push({ text: t('backendDown', { name: b.name, error: b.last_error }), cause: 'auth-backend-down', bad: true });
  for (const l of listeners || []) {
    const c = l.certificate;
    if (c && c.error) all.push({ text: t('certBad', { listener: place(l), error: c.error }), remedy: t('certRemedy'), bad: true });
    else if (c && c.days_left < 0) all.push({ text: t('certEnded', { listener: place(l) }), remedy: t('certRemedy'), bad: true });
    else if (c && c.days_left < 1) all.push({ text: t('certToday', { listener: place(l) }), remedy: t('certRemedy'), bad: true });
    else if (c && c.days_left < 14) all.push({ text: t('certEnds', { listener: place(l), n: c.days_left }), remedy: t('certRemedy') });
    if (l.no_users) all.push({ text: t('nobodyIn', { listener: place(l) }), remedy: t('nobodyRemedy') });
    else if (l.anonymous === 'true' && !/^(127\.|::1|localhost)/.test(l.address) && !l.path) all.push({ text: t('openToAll', { listener: place(l) }), remedy: t('openRemedy') });
  }
  return all;
}

function Trouble({ of }) {
  const about = usePoll(of.cause ? `causes?id=${of.cause}` : null, 0);
  const known = about.data && about.data.items[0];
  return <li><b>{of.text || (known && known.title) || of.cause}</b>{(of.remedy || known) && <p><Marked text={of.remedy || known.remedy} /></p>}</li>;
}

function Judgement({ status, listeners }) {
  const all = troubles(status, listeners);
  if (all.length === 0) return <div class="notice good" role="status"><b>● {t('allWell')}</b></div>;
  return <div class={`notice ${all.some(one => one.bad) ? 'bad' : 'warn'}`} role="status"><b>▲ {t('notWell')}</b><ul>{all.map((one, i) => <Trouble key={(one.text || one.cause) + i} of={one} />)}</ul></div>;
}

function Causes() {
  const all = usePoll('causes?counted=true', 5000, 'refused lost');
  if (!all.data) return <Waiting error={all.error} />;
  const rising = (readings.value[readings.value.length - 1] || { rising: [] }).rising;
  const rows = all.data.items.sort((a, b) => b.count - a.count).slice(0, 12);
  return <Table label={t('causesSince')} rows={rows} keyOf={c => c.id} empty={t('noneRefused')} columns={[
    { label: t('cause'), cell: c => <details><summary>{c.title}{rising.includes(c.id) && <span class="badge warn"> {t('justNow')}</span>}</summary><p><Marked text={c.explain} /></p><p><span class="label">{t('remedy')}</span> <Marked text={c.remedy} /></p><p class="small quiet">{c.id}</p></details> },
    { label: t('count'), num: true, cell: c => number(c.count) },
  ]} />;
}

export function Overview() {
  const asked = usePoll(live.value ? null : 'status', 2000);
  const s = (live.value && moment.value.status) || asked.data;
  const { error } = asked;
  const listeners = usePoll('listeners', 60000);
  useEffect(() => { document.title = 'Picket'; }, [lang.value]);
  if (!s) return <><Head title={t('overview')} /><Waiting error={error} /></>;
  const tile = (name, value, below, href) => <a class="card tile" href={href}><span class="label">{name}</span><b>{value}</b><span class="quiet small">{below}</span></a>;
  return (
    <>
      <Head title={t('overview')} />
      <Judgement status={s} listeners={listeners.data && listeners.data.listeners} />
      <div class="tiles">
        {tile(t('connected'), number(s.clients), s.load.connection_limit ? t('ofLimit', { limit: number(s.load.connection_limit) }) : '', to('clients'))}
        {tile(t('sessions'), number(s.sessions), t('away', { n: number(s.sessions - s.clients) }), to('clients', { view: 'all' }))}
        {tile(t('subscriptions'), number(s.subscriptions), '', to('clients', { view: 'subs' }))}
        {tile(t('retained'), number(s.retained_messages), '', to('topics'))}
        {tile(t('queued'), bytes(s.waiting_bytes), s.store ? number(s.store.messages) : '', to('clients', { view: 'backlog' }))}
        {tile(t('memory'), bytes(s.load.memory_bytes), t('ofLimit', { limit: bytes(s.load.memory_limit_bytes) }), to('broker'))}
      </div>
      <div class="charts">
        <Chart title={t('messages')} series={[{ label: t('messagesIn'), color: '--one' }, { label: t('messagesOut'), color: '--two' }]} data={series('in', 'out')} />
        <Chart title={t('connected')} series={[{ label: t('connected'), color: '--one' }]} data={series('connected')} />
        <Chart title={t('traffic')} series={[{ label: t('messagesIn'), color: '--one' }, { label: t('messagesOut'), color: '--two' }]} data={series('bytesIn', 'bytesOut')} show={bytes} />
        <Chart title={t('refusals')} series={[{ label: t('refusals'), color: '--three' }]} data={series('refused')} />
      </div>
      <div class="halves">
        <Card title={t('causesSince')}><Causes /></Card>
        {may('operator') ? <Card title={t('lastRefused')} actions={<a href={to('refused')}>{t('all')}</a>}><Attempts most={5} /></Card> : null}
      </div>
      <Card><Facts of={[[t('version'), s.version], [t('uptime'), span(s.uptime_seconds)], s.store && [t('disk'), bytes(s.store.disk_bytes)]]} /></Card>
    </>
  );
}
