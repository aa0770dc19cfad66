// A line chart of the last two minutes.
import uPlot from 'uplot';
import { useEffect, useRef } from 'preact/hooks';
import { theme } from './look.js';
import { number } from './format.js';

const color = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Chart draws series: [{label, color}], data: [times, values…]; the figures beside it are for those who cannot see it.
export function Chart({ title, series, data, show = number, note }) {
  const place = useRef(null);
  const plot = useRef(null);
  const mode = theme.value;
  useEffect(() => {
    const at = place.current;
    const grid = { stroke: color('--line'), width: 1 };
    const axis = { stroke: color('--quiet'), grid, ticks: { show: false }, font: '11px system-ui, sans-serif' };
    const size = () => ({ width: Math.max(120, at.clientWidth), height: 140 });
    plot.current = new uPlot({
      ...size(),
      cursor: { show: false },
      legend: { show: false },
      padding: [8, 18, 0, 0],
      scales: { x: { time: true }, y: { range: (u, min, max) => [0, Math.max(4, (max || 0) * 1.15)] } },
      axes: [{ ...axis, size: 26, space: 70, values: (u, all) => all.map(x => new Date(x * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' })) },
        { ...axis, size: 52, space: 34, values: (u, all) => all.map(v => show(v)) }],
      series: [{}, ...series.map(s => ({ label: s.label, stroke: color(s.color), width: 2, points: { show: false }, fill: series.length === 1 ? color(`${s.color}-soft`) : undefined }))],
    }, data, at);
    const watch = new ResizeObserver(() => plot.current.setSize(size()));
    watch.observe(at);
    return () => {
      watch.disconnect();
      plot.current.destroy();
    };
  }, [mode, series.map(s => s.label).join()]);
  useEffect(() => plot.current.setData(data));
  const last = i => {
    const all = data[i + 1];
    const value = all[all.length - 1];
    return value === undefined || value === null ? '–' : show(value);
  };
  return (
    <figure class="card chart">
      <figcaption>
        <span class="label">{title}</span>
        <span class="values">{series.map((s, i) => (
          <span key={s.label} class="value"><i class={`dot ${s.color.slice(2)}`} aria-hidden="true" />{series.length > 1 && <span class="quiet">{s.label} </span>}<b>{last(i)}</b></span>
        ))}</span>
      </figcaption>
      <div ref={place} class="plot" aria-hidden="true" />
      {note && <p class="quiet small">{note}</p>}
    </figure>
  );
}
