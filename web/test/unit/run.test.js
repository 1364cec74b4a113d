import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";

const RUN = fileURLToPath(new URL("../run.js", import.meta.url));
const { NODE_TEST_CONTEXT: _, ...env } = process.env;

/**
 * @param {import("node:test").TestContext} t
 * @param {Record<string, string>} files by name, what a test does
 */
function runs(t, files) {
  const folder = mkdtempSync(join(tmpdir(), "runs-"));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "package.json"), `{"type": "module"}`);
  for (const [name, body] of Object.entries(files)) {
    writeFileSync(join(folder, `${name}.test.js`), `import test from "node:test"; import { writeFileSync } from "node:fs"; ${body}`);
  }
  const { status, stdout } = spawnSync(process.execPath, [RUN, folder, "2"], { cwd: folder, env, encoding: "utf8" });
  return { status, stdout };
}

const FINE = `test("fine", () => {});`;
const FAILS = `test("outer", (t) => t.test("inner", () => { throw new Error("always"); }));`;
// "wx" fails where the file is there: so the test fails the first time alone.
const UNSTEADY = `test("unsteady", () => { let first = true; try { writeFileSync("seen", "", { flag: "wx" }); } catch { first = false; } if (first) throw new Error("once"); });`;

test("what fails once is named, and what fails twice fails", (t) => {
  assert.equal(runs(t, { a: FINE, b: FINE }).status, 0);
  const unsteady = runs(t, { a: FINE, b: UNSTEADY });
  assert.equal(unsteady.status, 0);
  assert.match(unsteady.stdout, /UNSTEADY, passed when it ran alone: \S+b\.test\.js/);
  const both = runs(t, { a: FAILS, b: UNSTEADY });
  assert.equal(both.status, 1);
  assert.match(both.stdout, /failed twice: \S+a\.test\.js/);
  assert.match(both.stdout, /^FAILED after [\d.]+ s: \S+a\.test\.js$/m, "each file tells how long it took");
  assert.match(unsteady.stdout, /^passed after [\d.]+ s: \S+a\.test\.js$/m);
  const ends = runs(t, { a: FINE, b: `process.exit(3);` });
  assert.equal(ends.status, 1);
});

test("where many fail nothing is run again", (t) => {
  const many = runs(t, { a: FAILS, b: FAILS, c: FAILS, d: FAILS });
  assert.equal(many.status, 1);
  assert.doesNotMatch(many.stdout, /once more/);
});

test("a folder without tests is an error", (t) => {
  assert.notEqual(runs(t, {}).status, 0);
});
