// Who has changed what.
import { useEffect, useState } from 'preact/hooks';
import { ask, query, usePoll } from './api.js';
import { time } from './format.js';
import { Badge, Card, Head, Need, ProblemBox, Table, Text, Waiting } from './parts.jsx';
import { t } from './texts.js';

const part = 50;
const kind = result => ({ done: 'good', begun: 'off', ended: 'off', 'not done': 'bad' }[result] || 'warn');

// Result says what has become of a request; what stands behind "ended" is the stream's own.
const Result = ({ of: e }) => {
  const word = { done: t('wasDone'), begun: t('wasBegun'), ended: t('wasEnded'), 'not done': t('wasNotDone'), 'done in part': t('wasDoneInPart') }[e.result];
  return <><Badge kind={kind(e.result)}>{word || e.result}</Badge>{e.why && <p class="small"><Text>{e.why}</Text></p>}</>;
};

// Lines are the newest entries, and below them what has been asked for so far.
function Lines() {
  const newest = usePoll(query('audit', { limit: part }), 0);
  const [older, add] = useState([]);
  const [error, fail] = useState(null);
  useEffect(() => {
    add([]);
    fail(null);
  }, [newest.data]);
  if (!newest.data) return <Waiting error={newest.error} />;
  const pages = [newest.data, ...older];
  const { next } = pages[pages.length - 1];
  const more = () => ask(query('audit', { limit: part, cursor: next })).then(page => add([...older, page]), fail);
  return (
    <>
      <Table label={t('audit')} rows={pages.flatMap(p => p.items)} empty={t('noAudit')} columns={[
        { label: t('when'), cell: e => <span class="when">{time(e.time)}</span> }, { label: t('who'), cell: e => <><Text>{e.by}</Text>{e.role && <span class="quiet small"> {t(e.role)}</span>}</> },
        { label: t('address'), cell: e => e.from && <Text>{e.from}</Text> }, { label: t('request'), cell: e => <><Text>{e.request}</Text>{e.what && <p class="small"><Text>{e.what}</Text></p>}</> },
        { label: t('result'), cell: e => <Result of={e} /> },
      ]} />
      <ProblemBox error={error} />
      <p class="foot">{next && <button type="button" onClick={more}>{t('more')}</button>} <button type="button" onClick={newest.again}>{t('refresh')}</button></p>
    </>
  );
}

export const Audit = () => <><Head title={t('audit')} /><p class="quiet">{t('auditText')}</p><Need role="admin"><Card><Lines /></Card></Need></>;
