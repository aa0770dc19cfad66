// Bundles the dashboard into dist, from where dashboard.go embeds it.
import { build } from 'esbuild';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';

await build({
  entryPoints: { dashboard: 'web/main.jsx' },
  outdir: 'dist',
  bundle: true,
  minify: true,
  charset: 'utf8',
  logLevel: 'warning',
  format: 'iife',
  target: 'es2020',
  jsx: 'automatic',
  jsxImportSource: 'preact',
});
await build({ entryPoints: { dashboard: 'web/dashboard.css' }, outdir: 'dist', bundle: true, minify: true, logLevel: 'warning', target: ['chrome88', 'safari14', 'firefox90'] });
copyFileSync('web/index.html', 'dist/index.html');
const licenses = ['preact', '@preact/signals', '@preact/signals-core', 'uplot'].map(name => `${name}\n\n${readFileSync(`node_modules/${name}/LICENSE`, 'utf8')}`);
writeFileSync('dist/licenses.txt', licenses.join('\n\n'));
