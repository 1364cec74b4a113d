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
 * @param {string[]} files
 * @param {number} concurrency how many files at a time
 * @returns {Promise<string[]>} the files that failed
 */
function failing(files, concurrency) {
  return new Promise((done, fail) => {
    const failed = new Set();
    const tests = run({ files, concurrency });
    // A test that is meant to fail one day (todo) tells so in the same way.
    tests.on("test:fail", (event) => event.todo === undefined && failed.add(event.file ?? resolve(event.name)));
    tests.on("error", fail);
    const told = tests.compose(new spec());
    told.on("end", () => done([...failed]));
    told.pipe(process.stdout, { end: false });
  });
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
