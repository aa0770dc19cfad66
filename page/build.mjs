// Bundles the page into dist, from where page.go embeds it. Browsers of 2016 can run the result: syntax of ES2015, no modern CSS.
import { build, transform } from 'esbuild';
import { copyFileSync, readFileSync } from 'node:fs';

// esbuild's own helpers use what is missing, too, so it comes before them.
const polyfill = await transform(readFileSync('web/polyfill.js', 'utf8'), { minify: true, target: 'es2015' });
const common = { outdir: 'dist', bundle: true, minify: true, charset: 'utf8', logLevel: 'warning' };
await build({
  ...common,
  entryPoints: ['web/page.js'],
  format: 'iife',
  target: 'es2015',
  banner: { js: polyfill.code },
  define: { globalThis: 'window' }, // newer than ES2015
});
await build({ ...common, entryPoints: ['web/page.css'], target: ['chrome49', 'safari10'] });
copyFileSync('web/index.html', 'dist/index.html');
copyFileSync('node_modules/u8-mqtt/LICENSE', 'dist/licenses.txt');
