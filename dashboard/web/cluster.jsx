// The nodes of a cluster, as this one sees them.
import { query, usePoll } from './api.js';
import { bytes, number, time } from './format.js';
import { Ago, Badge, Card, Empty, Facts, Head, Marked, Table, Text, Waiting } from './parts.jsx';
import { t } from './texts.js';

// Why says why something is not connected, and what to do about it, in the catalogue's words.
function Why({ of: s }) {
  const about = usePoll(s.cause ? query('causes', { id: s.cause }) : null, 0);
  const found = about.data && about.data.items[0];
  if (!s.cause) return null;
  return <><p class="small"><Text>{s.text || s.cause}</Text></p>{found && <p class="small quiet">{t('remedy')}: <Marked text={found.remedy} /></p>}</>;
}

// standing is how it is with this node: what is wrong first.
function standing(c) {
  if (!c.number) return ['bad', t('notJoined')];
  if (!c.leased) return ['bad', t('notLeased')];
  return c.serving ? ['good', t('serves')] : ['warn', t('learns')];
}

function Self({ of: c }) {
  const [kind, text] = standing(c);
  const r = c.redis;
  return (
    <div class="halves">
      <Card title={t('thisNode')}>
        <p><Badge kind={kind}>{text}</Badge>{c.held_back && <> <Badge kind="warn">{t('heldBack')}</Badge></>}</p>
        <Facts of={[
          [t('name'), <Text>{c.name}</Text>], [t('address'), <Text>{c.address}</Text>], c.number && [t('nodeNumber'), number(c.number)], c.fenced && [t('fencedAt'), time(c.fenced)],
          [t('wantedFilters'), number(c.routes)], [t('unsettled'), `${number(c.unsettled)} · ${bytes(c.unsettled_bytes)}`], [t('droppedQoS0'), number(c.dropped)],
        ]} />
      </Card>
      <Card title="Redis">
        <p>{r.answers ? <Badge kind="good">{t('answers')}</Badge> : <Badge kind="bad">{t('noAnswer')}</Badge>} {r.since && <span class="quiet small"><Ago at={r.since} /></span>}</p>
        <Why of={r} />
        <Facts of={[[t('address'), <Text>{r.address}</Text>], r.answers && [t('copies'), r.servers > 1 ? number(r.servers) : t('masterOnly')]]} />
      </Card>
    </div>
  );
}

const NodeState = ({ of: n }) => {
  if (n.dead) return <Badge kind="bad">{t('nodeDead')}</Badge>;
  return <>{n.linked ? <Badge kind="good">{t('linked')}</Badge> : <Badge kind="bad">{t('unlinked')}</Badge>} {n.since && <span class="quiet small"><Ago at={n.since} /></span>}{!n.linked && <Why of={n} />}</>;
};

// NodeWaits is what waits for a node, as far as anything does.
const NodeWaits = ({ of: n }) => [['framesWait', n.waiting], ['unsettled', n.unsettled], ['unseen', n.unseen]].filter(([, count]) => count > 0)
  .map(([name, count]) => <p key={name} class="small">{t(name)}: {number(count)}</p>);

export function Cluster() {
  const all = usePoll('status', 3000);
  const c = all.data && all.data.cluster;
  return (
    <>
      <Head title={t('cluster')} />
      {!all.data ? <Waiting error={all.error} /> : !c ? <Card><Empty>{t('noCluster')}</Empty></Card> : (
        <>
          <Self of={c} />
          <Card title={t('otherNodes')}><Table label={t('otherNodes')} rows={c.nodes || []} keyOf={n => n.number} empty={t('noNodes')} columns={[
            { label: t('name'), cell: n => <><Text>{n.name}</Text><br /><span class="quiet small">{number(n.number)} · <Text>{n.address}</Text></span></> }, { label: t('state'), cell: n => <NodeState of={n} /> },
            { label: t('wantedFilters'), num: true, cell: n => number(n.routes) }, { label: t('messagesIn'), num: true, cell: n => number(n.in) }, { label: t('messagesOut'), num: true, cell: n => number(n.out) },
            { label: t('droppedQoS0'), num: true, cell: n => number(n.dropped) }, { label: t('waiting'), cell: n => <NodeWaits of={n} /> },
          ]} /></Card>
        </>
      )}
    </>
  );
}
