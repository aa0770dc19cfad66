// What clients have done wrong lately, and what to do.
import { may, usePoll } from './api.js';
import { askBan } from './bans.jsx';
import { number } from './format.js';
import { Address, Ago, Card, Head, Marked, Need, Table, Text, Waiting } from './parts.jsx';
import { t } from './texts.js';

export function Attempts({ most }) {
  const all = usePoll('attempts', 3000, 'refused lost');
  if (!all.data) return <Waiting error={all.error} />;
  return <Table label={t('refused')} rows={all.data.items.slice(0, most)} keyOf={a => `${a.address} ${a.at} ${a.cause} ${a.client} ${a.user}`} empty={t('noAttempts')} columns={[
    { label: t('when'), cell: a => <Ago at={a.at} /> },
    { label: t('address'), cell: a => <Address of={a.address} /> },
    { label: t('what'), cell: a => <details><summary>{a.title || a.cause}</summary><p><span class="label">{t('remedy')}</span> <Marked text={a.remedy} /></p><p class="small quiet">{a.cause}</p></details> },
    !most && { label: t('clientID'), cell: a => a.client && <Text>{a.client}</Text> },
    !most && { label: t('user'), cell: a => a.user && <Text>{a.user}</Text> },
    !most && { label: t('port'), num: true, cell: a => a.port },
    { label: t('count'), num: true, cell: a => number(a.count) },
    !most && may('operator') && { label: t('actions'), act: true, cell: a => <button type="button" onClick={() => askBan({ kind: 'address', value: a.address })}>{t('banAddress')}</button> },
  ]} />;
}

export const Refused = () => <><Head title={t('refused')} /><p class="quiet">{t('refusedText')}</p><Need role="operator"><Card><Attempts /></Card></Need></>;
