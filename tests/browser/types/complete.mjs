// What an editor offers at each `/*name*/` of a file: the compiler is asked as editors ask it, by the
// language server protocol. Usage: node complete.mjs COMPILER FILE; prints {"name": [labels]}.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [compiler, file] = process.argv.slice(2);
const text = readFileSync(file, "utf8");
const uri = pathToFileURL(resolve(file)).href;
const stdio = ["pipe", "pipe", "inherit"];
const server = spawn(process.execPath, [compiler, "--lsp", "--stdio"], { stdio });
const waiting = new Map();
let lastId = 0;
let received = Buffer.alloc(0);

function send(message) {
  const body = JSON.stringify({ jsonrpc: "2.0", ...message });
  server.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

function ask(method, params) {
  lastId += 1;
  send({ id: lastId, method, params });
  return new Promise((settle) => waiting.set(lastId, settle));
}

function take({ id, method, result, error }) {
  if (method === undefined) waiting.get(id)(result ?? error);
  // The server asks as well, and waits for answers.
  else if (id !== undefined) send({ id, result: null });
}

server.stdout.on("data", (bytes) => {
  received = Buffer.concat([received, bytes]);
  for (let head; (head = received.indexOf("\r\n\r\n")) >= 0; ) {
    const end = head + 4 + Number(/Content-Length: (\d+)/i.exec(received.subarray(0, head))[1]);
    if (received.length < end) return;
    take(JSON.parse(received.subarray(head + 4, end)));
    received = received.subarray(end);
  }
});

await ask("initialize", { processId: process.pid, rootUri: null, capabilities: {} });
send({ method: "initialized", params: {} });
const textDocument = { uri, languageId: "typescript", version: 1, text };
send({ method: "textDocument/didOpen", params: { textDocument } });
const found = {};
for (const { 1: name, index } of text.matchAll(/\/\*(\w+)\*\//g)) {
  const lines = text.slice(0, index).split("\n");
  const position = { line: lines.length - 1, character: lines.at(-1).length };
  const { items } = await ask("textDocument/completion", { textDocument: { uri }, position });
  found[name] = items.map((item) => item.label).sort();
}
server.kill();
console.log(JSON.stringify(found));
