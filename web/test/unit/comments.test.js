import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

const root = new URL('../../', import.meta.url);
const files = ['static', 'docs', 'dev', 'root', 'test/unit', 'test/browser', 'test/browsers', 'test/examples']
  .flatMap((folder) => readdirSync(new URL(folder, root), { recursive: true }).map((name) => `${folder}/${name}`))
  .filter((name) => /\.(js|ts|css)$/.test(name));

/** Lines that are a comment and nothing else, without those of types. @param {string} text */
const comments = (text) => text.split('\n').map((line, i) => ({ line, at: i + 1 }))
  .filter(({ line }) => /^\s*(\/\/|\/\*|\*( |$))/.test(line) && !/@(type|typedef|param|returns|template|import)\b|^\s*\* \{|\*\/.*\S/.test(line));

test('people in comments are users, owners and guests', () => {
  const found = files.flatMap((name) => comments(readFileSync(new URL(name, root), 'utf8'))
    .filter(({ line }) => /\b(he|him|his|she|her|whoever|somebody|nobody|anybody|everybody)\b/i.test(line)).map(({ line, at }) => `${name}:${at} ${line.trim()}`));
  assert.deepEqual(found, []);
});
