// A request as code that runs as it is.
//
// `call` is { url, path, client, origin, stream, action, pk, data, reply, user, isStaff, isSuperuser,
// cookie, rows, model, key, inputs, standard, detail }: the addresses of the socket, also as its path alone, and of client.js;
// the request; its reply, if it was sent; who is logged in, as what, by which cookie; and of the stream: rows that the test
// needs, by their keys, its model, the fields that clients may write.

import { javascript, python } from "./literals.js";
import { testOf } from "./snippet_test.js";

export const SNIPPETS = {
  javascript: { make: asJavaScript, title: "JavaScript", note: "Runs in the browser's console on this site, and in any module there." },
  python: { make: asPython, title: "Python", note: "Needs the package websockets: pip install websockets" },
  test: {
    make: testOf, title: "a test",
    note: "Needs pytest and pytest-django. ANY stands for what the server makes: keys, clocks, computed fields.",
  },
};

function asJavaScript(call) {
  const lines = [
    `const { connect } = await import(${javascript(call.client)});`,
    "",
    `const api = connect(${javascript(call.url)});`,
  ];
  if (call.action === "subscribe" && call.standard) return [...lines, ...subscribing(call)].join("\n");
  if (call.reply?.response_status === 202 && !call.standard) return [...lines, ...following(call)].join("\n");
  return [...lines, "try {", `  console.log(await ${indent(invocation(call))});`, "} finally {", "  api.close();", "}", ""].join("\n");
}

function subscribing({ stream, pk, data }) {
  const filter = data?.filter;
  const options = [
    ...(pk === undefined ? [] : [`  pk: ${javascript(pk)},`]),
    ...(filter === undefined ? [] : [`  filter: ${indent(javascript(filter))},`]),
    "  onChange: (change) => console.log(change),",
  ];
  return [
    `const subscription = api.stream(${javascript(stream)}).subscribe({`,
    ...options,
    "});",
    "await subscription.ready;",
    "console.log([...subscription.rows.values()]);",
    "// Changes follow, until api.close().",
    "",
  ];
}

function following({ stream, action, pk, data }) {
  return [
    "try {",
    `  const task = ${indent(`api.stream(${javascript(stream)}).task(${javascript(action)}${fields(pk, data)})`)};`,
    "  for await (const state of task) console.log(state);",
    "} finally {",
    "  api.close();",
    "}",
    "",
  ];
}

function invocation({ stream, action, pk, data, standard }) {
  const start = `api.stream(${javascript(stream)})`;
  const given = (...values) => values.filter((value) => value !== undefined).map(javascript).join(", ");
  const row = pk !== undefined;
  const plain = {
    create: !row && data !== undefined && [data],
    list: !row && [data],
    retrieve: row && data === undefined && [pk],
    delete: row && data === undefined && [pk],
    update: row && data !== undefined && [pk, data],
    patch: row && data !== undefined && [pk, data],
  };
  if (standard && plain[action]) return `${start}.${action}(${given(...plain[action])})`;
  // Anything else, such as a request that is wrong on purpose: the reply as it comes.
  const method = standard ? "request" : "action";
  return `${start}.${method}(${javascript(action)}${fields(pk, data)})`;
}

function fields(pk, data) {
  const given = { ...(pk === undefined ? {} : { pk }), ...(data === undefined ? {} : { data }) };
  return Object.keys(given).length ? `, ${javascript(given)}` : "";
}

function asPython(call) {
  const { url, origin, stream, action, pk, data, user, cookie } = call;
  const payload = { action, ...(pk === undefined ? {} : { pk }), ...(data === undefined ? {} : { data }), request_id: 1 };
  return [
    "import json",
    "",
    "from websockets.sync.client import connect",
    "",
    `frame = ${python({ stream, payload })}`,
    "",
    "# Browsers say by themselves where a page comes from. A script has to, or is refused.",
    ...(user ? [`# As ${python(user)}: additional_headers=${python({ Cookie: `${cookie}=...` })}`] : []),
    `with connect(${python(url)}, origin=${python(origin)}) as socket:`,
    "    socket.send(json.dumps(frame))",
    ...hearing(call),
    "",
  ].join("\n");
}

function hearing({ action, standard, reply }) {
  const show = "print(json.dumps(json.loads(text), indent=2, ensure_ascii=False))";
  if (action === "subscribe" && standard) return ["    for text in socket:", `        ${show}`];
  if (reply?.response_status !== 202) return ["    text = socket.recv()", `    ${show}`];
  return [
    "    # 202 for each state of the task, then another status.",
    "    for text in socket:",
    `        ${show}`,
    '        if json.loads(text)["payload"]["response_status"] != 202:',
    "            break",
  ];
}

function indent(text) {
  return text.replaceAll("\n", "\n  ");
}
