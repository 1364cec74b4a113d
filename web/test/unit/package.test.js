import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const web = fileURLToPath(new URL('../../', import.meta.url));
const NAME = 'hangarshare-realtime-client';

let folder;
before(async () => {
  folder = await realpath(await mkdtemp(path.join(os.tmpdir(), 'hangarshare-package-')));
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], { cwd: web });
  const [{ filename }] = JSON.parse(stdout);
  await writeFile(path.join(folder, 'package.json'), JSON.stringify({ name: 'portal', private: true, type: 'module' }));
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', path.join(folder, filename)], { cwd: folder });
});
after(() => rm(folder, { recursive: true, force: true }));

/** Runs a module where the package was installed. */
async function inFolder(source) {
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', source], { cwd: folder, env: { ...process.env, NODE_ENV: 'development' } });
  return JSON.parse(stdout);
}

/** Puts a React beside the package, as a portal has it. @param {string} version */
async function bringReact(version) {
  const from = createRequire(import.meta.url);
  const modules = path.join(folder, 'node_modules');
  const packages = { react: `react${version}`, 'react-dom': `react-dom${version}` };
  for (const [name, alias] of Object.entries(packages)) {
    await rm(path.join(modules, name), { recursive: true, force: true });
    await cp(path.dirname(from.resolve(`${alias}/package.json`)), path.join(modules, name), { recursive: true });
  }
  const dom = createRequire(from.resolve(`react-dom${version}/package.json`));
  await mkdir(path.join(modules, 'scheduler'), { recursive: true });
  await cp(path.dirname(dom.resolve('scheduler/package.json')), path.join(modules, 'scheduler'), { recursive: true });
}

test('the package holds the client and its types, and nothing of the page or the tests', async () => {
  const installed = path.join(folder, 'node_modules', NAME);
  const files = await readdir(installed, { recursive: true });
  assert.deepEqual(files.filter((file) => /(^|\/)(test|docs)(\/|$)|page\.|index\.html|\.go$/.test(file)), []);
  const { exports, sideEffects, dependencies, peerDependencies, peerDependenciesMeta } = JSON.parse(await readFile(path.join(installed, 'package.json'), 'utf8'));
  assert.deepEqual(Object.keys(exports), ['.', './element', './calendar', './notifications', './trends', './react', './types']);
  assert.deepEqual(sideEffects, ['./static/element.js', './static/calendar.js', './static/notifications.js', './static/trends.js']);
  assert.equal(dependencies, undefined);
  assert.deepEqual([peerDependencies, peerDependenciesMeta], [{ react: '>=18' }, { react: { optional: true } }]);
  for (const target of Object.values(exports).flatMap((conditions) => Object.values(conditions))) {
    for (const file of Object.values(target)) assert.ok(files.includes(path.normalize(file)), `${file} is in the package`);
  }
});

test('types name only files that are in the package', async () => {
  const installed = path.join(folder, 'node_modules', NAME, 'static');
  const files = await readdir(installed, { recursive: true });
  for (const file of files.filter((name) => /\.(js|d\.ts)$/.test(name))) {
    const source = await readFile(path.join(installed, file), 'utf8');
    for (const [, name] of source.matchAll(/from '(\.[^']+)'/g)) {
      const target = path.join(path.dirname(file), name);
      assert.ok(files.includes(target) || files.includes(target.replace(/\.js$/, '.d.ts')), `${file} names ${name}`);
    }
  }
});

test('client and element can be imported where there is neither page nor React', async () => {
  const found = await inFolder(`
    const before = Object.keys(globalThis).length;
    const client = await import('${NAME}');
    const element = await import('${NAME}/element');
    const calendar = await import('${NAME}/calendar');
    const notifications = await import('${NAME}/notifications');
    const trends = await import('${NAME}/trends');
    console.log(JSON.stringify({ client: Object.keys(client).sort(), element: Object.keys(element), calendar: Object.keys(calendar), notifications: Object.keys(notifications), trends: Object.keys(trends), globals: Object.keys(globalThis).length - before }));
  `);
  assert.deepEqual(found, {
    client: ['RealtimeError', 'createManager', 'getWebSocketManager', 'initWebSocket'], element: ['RealtimeMetricsDisplay'], calendar: ['BookingCalendar'],
    notifications: ['OwnerNotifications'], trends: ['OwnerTrends'], globals: 0,
  });
});

for (const version of ['18', '19']) {
  test(`a server renders hook and component with React ${version}, and dials nowhere`, async () => {
    await bringReact(version);
    const found = await inFolder(`
      let asked = 0;
      globalThis.fetch = globalThis.WebSocket = () => { asked++; throw new Error('no network here'); };
      const { createElement, version } = await import('react');
      const { default: { renderToString } } = await import('react-dom/server');
      const entry = await import('${NAME}/react');
      const props = { ownerId: '1', token: 'secret' };
      function Numbers() {
        const { metrics, bookingNotifications, occupancyChanges, isConnected } = entry.useRealtimeStats(props);
        return createElement('p', null, JSON.stringify([metrics, bookingNotifications, occupancyChanges, isConnected]));
      }
      console.log(JSON.stringify({
        version: version.split('.')[0], names: Object.keys(entry).sort(), asked,
        hook: renderToString(createElement(Numbers)), component: renderToString(createElement(entry.RealtimeMetricsDisplay, props)),
        disabled: renderToString(createElement(entry.RealtimeMetricsDisplay, { ...props, enabled: false })),
      }));
    `);
    assert.deepEqual(found, {
      version, names: ['BookingCalendar', 'NotificationCenter', 'OwnerTrends', 'RealtimeMetricsDisplay', 'useNotifications', 'useRealtimeStats'], asked: 0,
      hook: '<p>[null,[],[],false]</p>', component: '<realtime-metrics-display owner-id="1"></realtime-metrics-display>', disabled: '',
    });
  });
}
