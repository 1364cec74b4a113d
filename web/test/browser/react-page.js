/**
 * A page in which a React version of one's choice runs, as the modules that an import map names.
 * React comes as CommonJS files: they are put into one script, the development builds, since only
 * these mount twice in StrictMode.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

const here = createRequire(import.meta.url);

/**
 * The files that a module needs, with their sources.
 * @param {string} entry @param {string} version
 * @param {Map<string, {source: string, needs: Record<string, string>}>} found
 */
async function collect(entry, version, found) {
  if (found.has(entry)) return;
  const source = await readFile(entry, 'utf8');
  /** @type {Record<string, string>} */
  const needs = {};
  found.set(entry, { source, needs });
  const own = createRequire(entry);
  for (const [, name] of source.matchAll(/require\(['"]([^'"]+)['"]\)/g)) {
    if (/production/.test(name)) continue;
    const alias = /^(react|react-dom)(\/|$)/.test(name);
    needs[name] = alias ? here.resolve(name.replace(/^(react-dom|react)/, `$1${version}`)) : own.resolve(name);
    await collect(needs[name], version, found);
  }
}

/** @param {string} version '18' or '19' */
async function bundle(version) {
  const found = new Map();
  const entries = [here.resolve(`react${version}`), here.resolve(`react-dom${version}/client`)];
  for (const entry of entries) await collect(entry, version, found);
  const names = [...found.keys()];
  const modules = [...found.values()].map(({ source, needs }) => {
    const ids = Object.fromEntries(Object.entries(needs).map(([name, file]) => [name, names.indexOf(file)]));
    return `[${JSON.stringify(ids)}, function (module, exports, require, process) {\n${source}\n}]`;
  });
  return `const modules = [${modules.join(',\n')}];
const loaded = [];
function load(id) {
  if (!loaded[id]) {
    const module = loaded[id] = { exports: {} };
    const [needs, run] = modules[id];
    run(module, module.exports, (name) => load(needs[name]), { env: { NODE_ENV: 'development' } });
  }
  return loaded[id].exports;
}
export const react = load(${names.indexOf(entries[0])});
export const client = load(${names.indexOf(entries[1])});
`;
}

/**
 * The files of a page with that React, for a server that has the client below /client/.
 * @param {string} version '18' or '19'
 */
export async function reactFiles(version) {
  const names = Object.keys(here(`react${version}`)).filter((name) => /^[A-Za-z]+$/.test(name));
  return {
    '/react/bundle.js': await bundle(version),
    '/react/react.js': `import { react } from './bundle.js';\nexport const { ${names.join(', ')} } = react;`,
    '/react/client.js': "import { client } from './bundle.js';\nexport const { createRoot, hydrateRoot } = client;",
    '/react/harness.js': await readFile(new URL('react-harness.js', import.meta.url), 'utf8'),
    '/react/index.html': `<!DOCTYPE html><html lang="en"><title>React ${version}</title><link rel="icon" href="data:,">
      <script type="importmap">{"imports": {"react": "/react/react.js", "react-dom/client": "/react/client.js"}}</script>
      <main></main><script type="module" src="/react/harness.js"></script>`,
  };
}
