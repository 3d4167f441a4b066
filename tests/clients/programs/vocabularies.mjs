// Of each package that is named: how many tokens its vocabulary makes of each code point, four times in a row.
// `node vocabularies.mjs FOLDER NAME...` prints a line of JSON for each: [name, [[code point, tokens], ...]].
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, ...names] = process.argv.slice(2);
const packages = createRequire(pathToFileURL(`${folder}/package.json`));
const ASSIGNED = 0x32400, STEP = 1021;
const points = [];
for (let point = 1; point < 0x110000; point += point < ASSIGNED ? 1 : STEP) {
  if (point < 0xd800 || point >= 0xe000) points.push(point);
}
for (const name of names) {
  const vocabulary = (await import(pathToFileURL(packages.resolve(name)))).fromPreTrained();
  const counts = points.map((point) => [point, vocabulary.encode(String.fromCodePoint(point).repeat(4), { add_special_tokens: false }).length]);
  console.log(JSON.stringify([name, counts]));
}
