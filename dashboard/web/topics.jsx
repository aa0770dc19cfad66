// The tree of topics that have retained messages, level by level, and the message of one.
import { useEffect, useState } from 'preact/hooks';
import { ask, may, query, usePoll } from './api.js';
import { bytes, number, span } from './format.js';
import { Ask, Card, Facts, Form, Head, Need, open, ProblemBox, say, shut, Table, Text, Waiting } from './parts.jsx';
import { route, to } from './route.js';
import { Listen } from './streams.jsx';
import { t } from './texts.js';

const shownBytes = 16384;

const hex = text => Array.from(atob(text), c => c.charCodeAt(0).toString(16).padStart(2, '0')).join(' ').replace(/(.{48})/g, '$1\n');

// asJSON is a text as JSON for people; null: it is none.
function asJSON(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === 'object' && value !== null ? JSON.stringify(value, null, 2) : null;
  } catch {
    return null;
  }
}

function Payload({ of: m }) {
  const json = m.payload !== undefined && !m.cut ? asJSON(m.payload) : null;
  return (
    <>
      <p class="label">{m.payload === undefined ? t('asHex') : json ? t('asJSON') : t('asText')}</p>
      <pre class="payload" dir="auto" tabIndex="0">{m.payload === undefined ? hex(m.payload_base64 || '') : json || m.payload}</pre>
      {m.cut && <p class="small quiet">{t('cut', { n: bytes(shownBytes) })}</p>}
    </>
  );
}

export const askDelete = (topic, done) => open(<Ask title={t('deleteValue')} text={t('deleteTopicText', { topic })} label={t('deleteValue')} danger done={done}
  run={async () => { const r = await ask(query('retained', { topic }), { method: 'DELETE' }); return t('deleted', { n: number(r.count) }); }} />);

const askSet = (topic, text, done) => open(<Ask title={t('setValue')} text={<Text>{topic}</Text>} label={t('setValue')} done={done} fields={[{ name: 'payload', label: t('payload'), type: 'area', value: text, required: true }]}
  run={async v => { await ask(query('retained', { topic }), { method: 'PUT', body: { payload: v.payload, qos: 1 } }); return t('done'); }} />);

// Value shows the retained message of a topic, if it has one, which the list of its level says.
function Value({ topic, gone }) {
  const at = topic.lastIndexOf('/');
  const parent = at < 0 ? {} : { under: topic.slice(0, at) };
  const path = `topics?${new URLSearchParams({ limit: 1, ...parent, from: topic.slice(at + 1) })}`;
  const level = usePoll(path, 3000);
  const self = level.data && level.data.items[0];
  return self && self.topic === topic && self.retained ? <Retained topic={topic} gone={() => { gone(); level.again(); }} /> : null;
}

function Retained({ topic, gone }) {
  const one = usePoll(query('retained', { topic, payload: shownBytes }), 3000);
  const m = one.data;
  if (!m || one.error) return <Waiting error={one.error} />;
  return (
    <Card title={t('value')} actions={<>
      <button type="button" onClick={() => askSet(topic, m.payload || '', one.again)}>{t('setValue')}</button>
      <button type="button" onClick={() => askDelete(topic, gone)}>{t('deleteValue')}</button>
    </>}>
      <Payload of={m} />
      <Facts of={[[t('size'), bytes(m.payload_bytes)], [t('qos'), m.qos], m.from && [t('from'), <Text>{m.from}</Text>], m.user && [t('user'), <Text>{m.user}</Text>], m.expires_in_seconds && [t('expires'), span(m.expires_in_seconds)],
        m.content_type && [t('contentType'), <Text>{m.content_type}</Text>], m.user_properties && [t('properties'), m.user_properties.map((p, i) => <div key={i}><Text>{p.key}</Text>: <Text>{p.value}</Text></div>)]]} />
    </Card>
  );
}

// Removal asks what a filter would delete, and then deletes exactly that.
function Removal({ filter: at, done }) {
  const [found, set] = useState(null);
  if (!found) {
    return <><h2 id="dialog-title">{t('deleteBelow')}</h2><Form key="preview" cancel label={t('preview')} fields={[{ name: 'filter', label: t('filter'), value: at, required: true }]}
      run={async v => ({ filter: v.filter, ...await ask(query('retained', { filter: v.filter }), { method: 'DELETE' }) })} done={set} /></>;
  }
  const many = found.count > 100;
  return (
    <>
      <h2 id="dialog-title"><Text>{found.filter}</Text></h2>
      {found.count === 0 ? <><p>{t('nothingFits')}</p><div class="buttons"><button type="button" class="primary" onClick={shut}>{t('close')}</button></div></> : (
        <Form key="delete" cancel danger label={t('deleteThem', { n: number(found.count) })} fields={many ? [{ name: 'typed', label: t('typeCount', { n: found.count }) }] : []} ready={v => !many || v.typed.trim() === String(found.count)}
          run={() => ask(query('retained', { filter: found.filter, confirm: found.confirm }), { method: 'DELETE' })} done={r => { shut(); say(t('deleted', { n: number(r.count) })); done(); }}>
          <p>{t('wouldDelete', { n: number(found.count), bytes: bytes(found.payload_bytes) })}</p>
          <ul class="names">{found.topics.map(name => <li key={name}><Text>{name}</Text></li>)}{found.count > found.topics.length && <li class="quiet">{t('andMore', { n: number(found.count - found.topics.length) })}</li>}</ul>
        </Form>
      )}
    </>
  );
}

// Path is the way to a topic, level by level.
function Path({ under }) {
  const levels = under === undefined ? [] : under.split('/');
  return (
    <nav class="path" aria-label={t('topic')}>
      <a href={to('topics')}>{t('root')}</a>
      {levels.map((level, i) => <span key={i}> / <a href={to('topics', { in: JSON.stringify(levels.slice(0, i + 1).join('/')) })}>{level ? <Text>{level}</Text> : t('emptyLevel')}</a></span>)}
    </nav>
  );
}

// where is the topic that is looked at: undefined is above all, and "" a level without a name.
function where() {
  try {
    return JSON.parse(route.value.params.in);
  } catch {
    return undefined;
  }
}

export function Topics() {
  const under = where();
  const path = under === undefined ? 'topics?limit=200' : `topics?limit=200&under=${encodeURIComponent(under)}`;
  const first = usePoll(path, 3000);
  const [more, set] = useState({ path, items: [] });
  useEffect(() => set({ path, items: [] }), [path]);
  const rest = more.path === path ? more : { items: [] };
  const items = first.data ? [...first.data.items, ...rest.items] : [];
  const next = first.data && (rest.items.length ? rest.next : first.data.next);
  const further = async () => {
    try {
      const answer = await ask(`${path}&from=${encodeURIComponent(next)}`);
      set({ path, items: [...rest.items, ...answer.items], next: answer.next });
    } catch (error) {
      set({ ...rest, path, error });
    }
  };
  const again = () => { set({ path, items: [] }); first.again(); };
  return (
    <>
      <Head title={t('topics')}>{may('operator') && <button type="button" onClick={() => open(<Removal filter={under === undefined ? '#' : `${under}/#`} done={again} />)}>{t('deleteBelow')}</button>}</Head>
      <p class="quiet">{t('topicsText')}</p>
      <Path under={under} />
      {under !== undefined && <Need role="operator" quiet><Value key={under} topic={under} gone={again} /></Need>}
      <Card>
        {first.data ? <Table label={t('topics')} rows={items} keyOf={l => l.topic} empty={under === undefined ? t('noTopics') : t('noneBelow')} columns={[
          { label: t('level'), cell: l => <a href={to('topics', { in: JSON.stringify(l.topic) })}>{l.name ? <Text>{l.name}</Text> : t('emptyLevel')}</a> },
          { label: t('size'), num: true, cell: l => (l.retained ? bytes(l.payload_bytes || 0) : '–') }, { label: t('below'), num: true, cell: l => number(l.below) + (l.below_more ? '+' : '') },
          may('operator') && { label: t('actions'), act: true, cell: l => l.retained && !l.topic.startsWith('$') && <button type="button" onClick={() => askDelete(l.topic, again)}>{t('deleteValue')}</button> },
        ]} /> : <Waiting error={first.error} />}
        <ProblemBox error={rest.error} />
        {next && <p class="foot"><button type="button" onClick={further}>{t('more')}</button></p>}
      </Card>
    </>
  );
}

export function Publish() {
  return (
    <>
      <Head title={t('publish')} />
      <Need role="operator">
        <Card>
          <Form label={t('publish')} fields={[
            { name: 'topic', label: t('topic'), required: true, value: route.value.params.topic }, { name: 'payload', label: t('payload'), type: 'area' }, { name: 'qos', label: t('qos'), options: [['0', '0'], ['1', '1'], ['2', '2']] },
            { name: 'retain', label: t('retain'), type: 'checkbox' }, { name: 'expires', label: t('expireAfter'), type: 'number', min: 0, max: 4294967295, value: '0' }, { name: 'user', label: t('asUser') },
          ]} run={v => ask('publish', { method: 'POST', body: { topic: v.topic, payload: v.payload, qos: Number(v.qos), retain: v.retain, expires_seconds: Number(v.expires) || undefined, as_user: v.user || undefined } })}
            done={r => say(t('published', { topic: r.topic, bytes: bytes(r.payload_bytes) }))} />
        </Card>
        <p class="quiet small">{t('publishNote')}</p>
        <Listen />
      </Need>
    </>
  );
}
