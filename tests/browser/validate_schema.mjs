// Prints what the official parser of AsyncAPI says of each of the files, as a JSON array.
import { Parser } from "@asyncapi/parser";
import { readFile } from "node:fs/promises";

const parser = new Parser();
const answers = [];
for (const file of process.argv.slice(2)) {
  const { document, diagnostics } = await parser.parse(await readFile(file, "utf8"));
  const found = diagnostics.map(({ code, message, path }) => ({ code, message, path: path.join("/") }));
  answers.push({ parsed: document !== undefined, found });
}
console.log(JSON.stringify(answers));
