/** What the client weighs on the wire: each module gzipped by itself, unminified, as the server sends it. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

const root = new URL('../../static/', import.meta.url);
const CORE_BYTES = 9 * 1024;
const CORE_MODULES = 6;

const STATIC = /^(?:import|export)\s[^'"]*?from\s+'(\.{1,2}\/[^']+)'|^import\s+'(\.{1,2}\/[^']+)'/gm;

const weigh = (source) => gzipSync(source, { level: 9 }).length;

/** The modules that one of them imports statically, itself included. */
async function reached(entry) {
  const found = new Map();
  for (const queue = [new URL(entry, root).href]; queue.length > 0;) {
    const url = queue.shift();
    if (found.has(url)) continue;
    const source = await readFile(new URL(url), 'utf8');
    found.set(url, weigh(source));
    for (const match of source.matchAll(STATIC)) queue.push(new URL(match[1] ?? match[2], url).href);
  }
  return found;
}

const sum = (sizes) => [...sizes.values()].reduce((total, size) => total + size, 0);

test('the core of the client stays within 9 KB', async (t) => {
  const core = await reached('client.js');
  t.diagnostic(`core: ${sum(core)} bytes in ${core.size} modules`);
  assert.ok(core.size > 1 && core.size <= CORE_MODULES, `${core.size} modules`);
  assert.ok(sum(core) <= CORE_BYTES, `${sum(core)} bytes: ${[...core].map(([url, size]) => `${url.slice(root.href.length)} ${size}`).join(', ')}`);
});
