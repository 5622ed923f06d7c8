// What all programs for Node have in common.
import assert from "node:assert";
import readline from "node:readline";

export const ports = process.argv.slice(2).map(Number);
export const same = assert.deepStrictEqual;

// These packages; ends the program where one is not installed.
export async function need(...names) {
  try {
    return await Promise.all(names.map((name) => import(name)));
  } catch (error) {
    console.log(`not installed: ${error.message.split("\n")[0]}`);
    process.exit(77);
  }
}

// Wait until the test goes on.
export async function halfway() {
  const lines = readline.createInterface({ input: process.stdin });
  console.log("halfway");
  await new Promise((resolve) => lines.once("line", resolve));
  lines.close();
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function done() {
  console.log("done");
  process.exit(0);
}
