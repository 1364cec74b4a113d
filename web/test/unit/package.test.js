import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

test('every export of the package can be imported where there is no page', async () => {
  const root = new URL('../../', import.meta.url);
  const { exports, sideEffects } = JSON.parse(await readFile(new URL('package.json', root), 'utf8'));
  const globals = Object.keys(globalThis).length;
  for (const target of Object.values(exports)) {
    if (target.default) await import(new URL(target.default, root).href);
    await readFile(new URL(target.types, root));
  }
  const client = await import('../../static/client.js');
  assert.deepEqual(Object.keys(client).sort(), ['RealtimeError', 'createManager', 'getWebSocketManager', 'initWebSocket']);
  assert.equal(Object.keys(globalThis).length, globals, 'importing left no globals');
  assert.deepEqual(sideEffects, ['./static/element.js']);
});
