// What all pages are made of.
import { signal } from '@preact/signals';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { may, me } from './api.js';
import { ago, time } from './format.js';
import { t } from './texts.js';

// Marked shows a text of the catalogue: what is between backticks is code.
export const Marked = ({ text }) => <>{(text || '').split('`').map((part, i) => (i % 2 ? <code key={i}>{part}</code> : part))}</>;

// What would change the direction of a text, or cannot be seen, is shown by its number, so that no name looks like another one.
const hidden = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const plain = text => text.replace(hidden, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

// Text shows what somebody else has chosen: a name, a topic. It stays in its own direction, and wraps anywhere.
export const Text = ({ children }) => <bdi class="free">{typeof children === 'string' ? plain(children) : children}</bdi>;

// Address is one, which wraps only where there is no room at all.
export const Address = ({ of: at }) => <bdi class="address">{at}</bdi>;

// Ago says how long ago something was; the exact time is its title.
export const Ago = ({ at }) => <time class="when" title={time(at)}>{ago(at)}</time>;

export function ProblemBox({ error, title }) {
  if (!error || error.aborted) return null;
  if (!error.status) return <div class="notice bad" role="alert">{t('unreachable')}</div>;
  return (
    <div class="notice bad" role="alert">
      <b>{title || error.title || t('failed')}</b>
      {error.detail && error.detail !== error.title && <p><Text>{error.detail}</Text></p>}
      {error.remedy && <p><span class="label">{t('remedy')}</span> <Marked text={error.remedy} /></p>}
      {error.cause && <p class="small quiet">{error.cause}</p>}
    </div>
  );
}

// Waiting stands for what has been asked for and is not there.
export const Waiting = ({ error }) => (error ? <ProblemBox error={error} /> : <p class="quiet" aria-busy="true">{t('loading')}</p>);

export const Empty = ({ children }) => <p class="empty">{children}</p>;

export const Head = ({ title, children }) => <header class="head"><h1 tabIndex="-1" id="title">{title}</h1><div class="actions">{children}</div></header>;

export const Card = ({ title, children, actions }) => (
  <section class="card">
    {(title || actions) && <div class="cardhead">{title && <h2>{title}</h2>}{actions && <div class="actions">{actions}</div>}</div>}
    {children}
  </section>
);

export const Facts = ({ of }) => <dl class="facts">{of.filter(Boolean).map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>;

// Badge says a state by a word and a shape; colour comes last.
export const Badge = ({ kind, children }) => <span class={`badge ${kind}`}><i aria-hidden="true">{{ good: '●', bad: '▲', off: '○', warn: '■' }[kind]}</i>{children}</span>;

// Table is one; on a narrow screen its rows are cards, which the roles keep a table.
export function Table({ label, columns, rows, keyOf, empty }) {
  const shown = columns.filter(Boolean);
  if (rows.length === 0) return <Empty>{empty}</Empty>;
  return (
    <table role="table" aria-label={label}>
      <thead role="rowgroup"><tr role="row">{shown.map(c => <th key={c.label} role="columnheader" scope="col" class={c.num ? 'num' : ''}>{c.act ? <span class="ears">{c.label}</span> : c.label}</th>)}</tr></thead>
      <tbody role="rowgroup">
        {rows.map((row, i) => (
          <tr key={keyOf ? keyOf(row) : i} role="row">
            {shown.map(c => <td key={c.label} role="cell" class={c.num ? 'num' : c.act ? 'act' : ''} data-label={c.act ? undefined : c.label}>{c.cell(row)}</td>)}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

// Need shows what is in it to whoever has a role, and to others why it is not there, or nothing.
export function Need({ role, quiet, children }) {
  if (may(role)) return children;
  return quiet ? null : <Empty>{t('needsRole', { role: t(role), mine: t(me.value.role) })}</Empty>;
}

// said is what is told for a moment at the lower edge.
export const said = signal('');
let forget;
export function say(text) {
  said.value = text;
  clearTimeout(forget);
  forget = setTimeout(() => { said.value = ''; }, 5000);
}

// asked is the dialog that is open.
export const asked = signal(null);
export const open = element => { asked.value = element; };
export const shut = () => { asked.value = null; };

export function Dialogs() {
  const at = useRef(null);
  const { value } = asked;
  useEffect(() => {
    if (value && at.current && !at.current.open) at.current.showModal();
  }, [value]);
  return value && <dialog ref={at} aria-labelledby="dialog-title" onClose={shut} onCancel={shut}>{value}</dialog>;
}

// Field is one of a form: {name, label, type, options, note, required}.
function Field({ field: f, value, set }) {
  const id = useId();
  const note = f.note && <span class="quiet small" id={`${id}-note`}>{f.note}</span>;
  const common = { id, name: f.name, required: f.required, 'aria-describedby': f.note ? `${id}-note` : undefined };
  if (f.type === 'checkbox') return <label class="check" for={id}><input {...common} type="checkbox" checked={value} onChange={e => set(e.currentTarget.checked)} />{f.label}{note}</label>;
  let input = <input {...common} type={f.type || 'text'} min={f.min} max={f.max} value={value} autocomplete={f.type === 'password' ? 'new-password' : 'off'} autocapitalize="none" spellcheck={false} onInput={e => set(e.currentTarget.value)} />;
  if (f.type === 'area') input = <textarea {...common} rows="5" spellcheck={false} value={value} onInput={e => set(e.currentTarget.value)} />;
  if (f.options) input = <select {...common} value={value} onChange={e => set(e.currentTarget.value)}>{f.options.map(([v, label]) => <option key={v} value={v}>{label}</option>)}</select>;
  return <div class="field"><label for={id}>{f.label}</label>{input}{note}</div>;
}

const before = f => f.value ?? (f.type === 'checkbox' ? false : f.options ? f.options[0][0] : '');

// Form asks for values and does something with them: run(values). What it returns is shown, or told for a moment.
export function Form({ fields = [], label, danger, run, children, cancel, done, ready = () => true }) {
  const [values, set] = useState(() => Object.fromEntries(fields.map(f => [f.name, before(f)])));
  const [error, fail] = useState(null);
  const [busy, work] = useState(false);
  const submit = async e => {
    e.preventDefault();
    if (busy || !ready(values)) return;
    work(true);
    fail(null);
    try {
      const result = await run(values);
      work(false);
      if (done) done(result, values);
    } catch (problem) {
      work(false);
      fail(problem);
    }
  };
  return (
    <form onSubmit={submit}>
      {children}
      {fields.filter(f => !f.when || f.when(values)).map(f => <Field key={f.name} field={f} value={values[f.name]} set={v => set(old => ({ ...old, [f.name]: v }))} />)}
      <ProblemBox error={error} />
      <div class="buttons">
        {cancel && <button type="button" class="plain" onClick={shut}>{t('cancel')}</button>}
        <button type="submit" class={danger ? 'danger' : 'primary'} disabled={busy || !ready(values)}>{label}</button>
      </div>
    </form>
  );
}

// Ask is a form in a dialog, which it closes when it is done.
export const Ask = ({ title, text, done, ...form }) => (
  <>
    <h2 id="dialog-title">{title}</h2>
    <Form {...form} cancel done={result => {
      shut();
      if (typeof result === 'string') say(result);
      if (done) done(result);
    }}>{text && <p>{text}</p>}</Form>
  </>
);

// Secret shows something once.
export const Secret = ({ text, value }) => (
  <>
    <h2 id="dialog-title">{text}</h2>
    <p class="secret"><code>{value}</code></p>
    <div class="buttons">
      <button type="button" class="plain" onClick={() => navigator.clipboard && navigator.clipboard.writeText(value).then(() => say(t('copied')))}>{t('copy')}</button>
      <button type="button" class="primary" onClick={shut}>{t('close')}</button>
    </div>
  </>
);
