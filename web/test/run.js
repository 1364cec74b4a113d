/**
 * Runs the tests in a folder: `node test/run.js FOLDER [FILES AT A TIME]`. What fails is run once
 * more, alone, and named, whatever comes of it: a busy machine must not look like a fault, and a
 * test that needs a second run is one to mend. Where many files fail there is a fault, and nothing
 * is run again.
 */
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";

/** Of more files than these that fail, none is run again. */
const FEW = 3;

/**
 * Runs a file, and writes what its tests said, and how long it took, once it has ended.
 * @param {string} file
 * @returns {Promise<boolean>} whether it failed
 */
function fails(file) {
  return new Promise((done, fail) => {
    const begun = performance.now();
    let failed = false;
    let said = "";
    const tests = run({ files: [file] });
    // A test that is meant to fail one day (todo) tells so in the same way.
    tests.on("test:fail", (event) => { failed ||= event.todo === undefined; });
    tests.on("error", fail);
    const told = tests.compose(new spec());
    told.on("data", (text) => { said += text; });
    told.on("end", () => {
      process.stdout.write(`${said}${failed ? "FAILED" : "passed"} after ${((performance.now() - begun) / 1000).toFixed(1)} s: ${file}\n\n`);
      done(failed);
    });
  });
}

/**
 * @param {string[]} files
 * @param {number} atATime
 * @returns {Promise<string[]>} the files that failed
 */
async function failing(files, atATime) {
  const waiting = files.values();
  /** @type {string[]} */
  const failed = [];
  await Promise.all(Array.from({ length: atATime }, async () => {
    for (const file of waiting) if (await fails(file)) failed.push(file);
  }));
  return failed;
}

const [folder, atATime = "1"] = process.argv.slice(2);
const files = readdirSync(folder).filter((name) => name.endsWith(".test.js")).sort().map((name) => resolve(join(folder, name)));
if (files.length === 0) throw new Error(`${folder} has no *.test.js`);
let failed = await failing(files, Number(atATime));
if (failed.length > 0 && failed.length <= FEW) {
  const first = failed;
  process.stdout.write(`\nonce more, alone: ${first.join(", ")}\n`);
  failed = await failing(first, 1);
  for (const file of first) process.stdout.write(`${failed.includes(file) ? "failed twice" : "UNSTEADY, passed when it ran alone"}: ${file}\n`);
}
if (failed.length > 0) process.exitCode = 1;
