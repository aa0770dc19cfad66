// One connection to the broker, over u8-mqtt. Everything fails with a Failure that names a cause of the catalogue.
import { mqtt_v5 } from 'u8-mqtt/esm/web/basic-v5.js';

// A Failure is a step that went wrong: the id of its cause, what the broker said (its reason string without the id), and for the
// steps where nobody said anything, the name of a text of the page.
export class Failure {
  constructor(cause, said, seen) {
    this.cause = cause;
    this.said = said || '';
    this.seen = seen || '';
  }
}

// What stands behind a reason code when the broker sends no words with it, by the packet it came in.
const codes = {
  connack: { 0x84: 'protocol-version', 0x85: 'client-id-refused', 0x86: 'bad-credentials', 0x87: 'bad-credentials', 0x88: 'maintenance',
    0x89: 'overloaded', 0x8a: 'rate-limit-or-ban', 0x97: 'server-full', 0x9c: 'maintenance', 0x9d: 'maintenance', 0x9f: 'rate-limit-or-ban' },
  suback: { 0x87: 'acl-subscribe-denied', 0x8f: 'filter-invalid', 0x97: 'subscriptions-full' },
  puback: { 0x87: 'acl-publish-denied', 0x90: 'topic-invalid', 0x97: 'queue-full', 0x99: 'payload-format-invalid' },
  disconnect: { 0x87: 'no-longer-allowed', 0x89: 'overloaded', 0x8b: 'server-shutting-down', 0x8d: 'keepalive-missed', 0x8e: 'session-taken-over',
    0x90: 'topic-invalid', 0x98: 'disconnected-by-admin', 0x9c: 'maintenance', 0x9d: 'maintenance' },
};

// refusal makes a Failure of a packet that says no. A reason string begins with the id of its cause.
function refusal(kind, code, props) {
  const reason = (props && props.reason_string) || '';
  const m = /^([a-z0-9]+(?:-[a-z0-9]+)*)(?:: (.*))?$/.exec(reason);
  const cause = m ? m[1] : codes[kind][code] || 'protocol-violation';
  return new Failure(cause, (m ? m[2] : reason) || kind.toUpperCase() + ' 0x' + code.toString(16));
}

// within settles as p does, or fails after some seconds without an answer: a phone on a bad network needs a few.
function within(seconds, p, cause, gone) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Failure(cause, '', 'noAnswer')), seconds * 1000);
    const settle = f => v => { clearTimeout(timer); f(v); };
    p.then(settle(resolve), settle(reject));
    gone.then(settle(reject));
  });
}

export const patience = 15;

export class Connection {
  // on has the functions message(topic, text) and ended(failure), the latter called once and only after connect has succeeded.
  constructor(url, on) {
    this.opened = false;
    this.live = false;
    this.over = false;
    this.goodbye = null; // the broker's DISCONNECT
    this.socket = new WebSocket(url, ['mqtt']);
    const nothing = () => {};
    this.client = mqtt_v5({
      sess_stg: null,
      log_conn: nothing, on_error: nothing, on_live: nothing, on_disconnect: nothing,
      on_mqtt_type: {
        mqtt_publish: pkt => on.message(pkt.topic, pkt.text()),
        mqtt_disconnect: pkt => { this.goodbye = refusal('disconnect', +(pkt.reason || 0), pkt.props); },
      },
    });
    this.client.with_websock(this.socket);
    this.gone = new Promise(resolve => {
      this.socket.addEventListener('close', () => {
        const why = this.goodbye || new Failure('connection-lost', '', this.live ? 'dropped' : 'closedEarly');
        const live = this.live && !this.over;
        this.over = true;
        this.client.conn.ping(0); // no more keep alive
        resolve(why);
        if (live) on.ended(why);
      });
    });
  }

  // open waits for the WebSocket. A browser does not say why one fails.
  open() {
    return within(patience, new Promise(resolve => this.socket.addEventListener('open', () => { this.opened = true; resolve(); })), 'proxy-no-upgrade', this.gone);
  }

  async connect(user, password, id) {
    const packet = { client_id: id, keep_alive: 30, flags: { clean_start: 1, username: user !== '', password: password !== '' } };
    if (user !== '') packet.username = user;
    if (password !== '') packet.password = password;
    try {
      await within(patience, this.client.connect(packet), 'overload-or-storm', this.gone);
      this.live = true;
    } catch (e) {
      if (!e.mqtt_pkt) throw e;
      const f = refusal('connack', +e.reason, e.mqtt_pkt.props);
      if (f.cause === 'bad-credentials' && user === '') f.cause = 'anonymous-refused';
      throw f;
    }
  }

  async subscribe(topic) {
    this.ready();
    const pkt = await this.answer(this.client.subscribe(topic, { qos: 0 }));
    const code = +pkt.answers[0];
    if (code >= 0x80) throw refusal('suback', code, pkt.props);
  }

  // publish sends with QoS 1, so that a refusal is heard of.
  async publish(topic, text) {
    this.ready();
    const pkt = await this.answer(this.client.send(topic, text));
    const code = +(pkt.reason || 0);
    if (code >= 0x80) throw refusal('puback', code, pkt.props);
  }

  // ping resolves when the broker has answered a PINGREQ. Like the others it is rejected when nothing can be sent, and never throws: a timer calls it.
  async ping() {
    this.ready();
    return this.client.ping();
  }

  // ready fails when nothing can be sent any more; a browser complains of a try.
  ready() {
    if (this.socket.readyState !== 1) throw new Failure('connection-lost', '', 'dropped');
  }

  async answer(p) {
    const [pkt] = await within(patience, p, 'connection-lost', this.gone);
    if (!pkt) throw new Failure('connection-lost', '', 'noAnswer');
    return pkt;
  }

  close() {
    const live = this.live;
    this.over = true;
    this.client.conn.ping(0);
    if (live && this.socket.readyState === 1) this.client.disconnect().then(null, () => {}); // it is being closed anyway
    this.socket.close();
  }
}
