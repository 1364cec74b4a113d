/**
 * The declarations of the package, as a portal's compiler reads them: strictly, from each kind of
 * module, with both Reacts.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const web = fileURLToPath(new URL('../../', import.meta.url));
const modules = fileURLToPath(new URL('../node_modules/', import.meta.url));
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const NAME = 'hangarshare-realtime-client';

let folder = '';
before(async () => {
  folder = await realpath(await mkdtemp(path.join(os.tmpdir(), 'hangarshare-types-')));
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], { cwd: web });
  await mkdir(path.join(folder, 'node_modules', NAME), { recursive: true });
  await run('tar', ['-xzf', path.join(folder, JSON.parse(stdout)[0].filename), '--strip-components=1', '-C', path.join(folder, 'node_modules', NAME)]);
  await cp(path.join(modules, 'jose'), path.join(folder, 'node_modules/jose'), { recursive: true });
  await cp(path.join(modules, 'csstype'), path.join(folder, 'node_modules/csstype'), { recursive: true });
  await cp(path.join(modules, '@types/prop-types'), path.join(folder, 'node_modules/@types/prop-types'), { recursive: true });
});
after(() => rm(folder, { recursive: true, force: true }));

/** Puts the declarations of a React beside the package. @param {'18' | '19'} version */
async function withReact(version) {
  const at = path.join(folder, 'node_modules/@types/react');
  await rm(at, { recursive: true, force: true });
  await cp(path.join(modules, version === '18' ? 'types-react18' : '@types/react'), at, { recursive: true });
}

/**
 * What the compiler says of some files.
 * @param {Record<string, string>} files @param {object} options
 */
async function complaints(files, options) {
  const at = path.join(folder, 'src');
  await rm(at, { recursive: true, force: true });
  await mkdir(at);
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(at, name)), { recursive: true });
    await writeFile(path.join(at, name), text);
  }
  await writeFile(path.join(at, 'tsconfig.json'), JSON.stringify({
    compilerOptions: { strict: true, noEmit: true, target: 'ES2022', lib: ['ES2023', 'DOM', 'DOM.Iterable'], types: [], jsx: 'react-jsx', exactOptionalPropertyTypes: true, ...options },
  }));
  return run(process.execPath, [tsc, '-p', at]).then(() => '', ({ stdout }) => stdout);
}

const BUNDLER = { module: 'ESNext', moduleResolution: 'bundler' };
const NODE = { module: 'nodenext', moduleResolution: 'nodenext' };

const VALUES = `
import { RealtimeError, createManager, getWebSocketManager, initWebSocket, type Token } from '${NAME}';
import { RealtimeMetricsDisplay } from '${NAME}/element';
import type { Overview } from '${NAME}/types';
import { useRealtimeStats } from '${NAME}/react';
const token: Token = async () => null;
const manager = initWebSocket('1', token);
manager.on('overview_updated', ({ data }) => { const { spaces }: Overview = data; console.log(spaces.offered); });
manager.on('booking_created', ({ data }) => console.log(data.guestName.length));
const cause = manager.getState().error;
if (cause instanceof RealtimeError) console.log(cause.kind === 'origin');
const display: RealtimeMetricsDisplay = document.createElement('realtime-metrics-display');
display.token = null;
display.addEventListener('unreadchange', ({ detail }) => console.log(detail.unread.toFixed()));
console.log(createManager, getWebSocketManager, useRealtimeStats);
`;
const LIES = `
import { RealtimeMetricsDisplay } from '${NAME}';
import { initWebSocket } from '${NAME}/element';
import { createManager } from '${NAME}/types';
console.log(new RealtimeMetricsDisplay(), initWebSocket, createManager('1', 'a'));
`;
const JSX = `
import { RealtimeMetricsDisplay, useRealtimeStats } from '${NAME}/react';
export function Live({ token }: { token: string | null }) {
  const { metrics } = useRealtimeStats({ ownerId: '1', token });
  return <main>{metrics?.revenueToday}<RealtimeMetricsDisplay ownerId="1" token={token} /><realtime-metrics-display owner-id="1" server="https://a.example" /></main>;
}
`;

describe('types', { concurrency: false }, () => {
  for (const version of /** @type {const} */ (['18', '19'])) {
    test(`a bundler, with React ${version}, and every example of the documentation`, async () => {
      await withReact(version);
      assert.equal(await complaints({ 'values.ts': VALUES, 'live.tsx': JSX, ...await examples() }, BUNDLER), '');
    });
  }

  test('each entry declares its own, and no more', async () => {
    const said = await complaints({ 'lies.ts': LIES }, BUNDLER);
    for (const name of ['RealtimeMetricsDisplay', 'initWebSocket', 'createManager']) assert.match(said, new RegExp(`no exported member '?${name}|'${name}' cannot be used as a value|has no exported member.*${name}`), said);
  });

  test('node16 resolution, from a module and from CommonJS', async () => {
    await withReact('19');
    assert.equal(await complaints({ 'values.mts': VALUES, 'values.cts': VALUES }, NODE), '');
  });
});

/**
 * The code of the documentation's page: the files of the example as they are, and each other block
 * as a file of its own.
 */
async function examples() {
  const page = await readFile(path.join(web, 'docs/client/index.html'), 'utf8');
  const text = (/** @type {string} */ html) => html.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&amp;', '&');
  const blocks = [...page.matchAll(/<pre[^>]*>([\s\S]*?)<\/pre>/g)].map(([, html]) => text(html)).filter((code) => /^import |\nimport /.test(code));
  assert.ok(blocks.length >= 4, `${blocks.length} examples`);
  const files = Object.fromEntries(blocks.filter((code) => !code.startsWith('// app/'))
    .map((code, i) => [`example${i}.tsx`, `${code.replaceAll(/'\/client\/(element|calendar|notifications|trends)\.js'/g, `'${NAME}/$1'`)}\nexport {};\n`]));
  for (const file of ['session.ts', 'token.ts', 'live.tsx', 'today.tsx', 'api/realtime-token/route.ts']) {
    files[`app/${file}`] = await readFile(path.join(web, '../examples/nextjs/app', file), 'utf8');
  }
  // What an example leaves to its reader.
  return { ...files, 'around.d.ts': `declare const token: string;\ndeclare function draw(...what: unknown[]): void;\ndeclare const process: { env: Record<string, string | undefined> };\n` };
}

test('every file that the package says it has is in it, with its README and licence', async () => {
  const at = path.join(folder, 'node_modules', NAME);
  const files = await readdir(at, { recursive: true });
  for (const name of ['README.md', 'LICENSE', 'package.json', 'static/element.css']) assert.ok(files.includes(name), name);
  const { exports } = JSON.parse(await readFile(path.join(at, 'package.json'), 'utf8'));
  const targets = JSON.stringify(exports).match(/\.\/static\/[^"]+/g) ?? [];
  assert.ok(targets.length >= 14);
  for (const target of targets) assert.ok(files.includes(path.normalize(target)), target);
  for (const file of files.filter((name) => /\.js$/.test(name))) {
    const source = await readFile(path.join(at, file), 'utf8');
    for (const [, name] of source.matchAll(/(?:from|import\() ?'(\.[^']+)'/g)) {
      const target = path.join(path.dirname(file), name);
      assert.ok(files.includes(target) || files.includes(target.replace(/\.js$/, '.d.ts')), `${file} imports ${name}`);
    }
  }
});
