// npm's socket.io-client against scripts/socketio_echo.py: what Socket.IO v5 promises, on each transport.
//
// usage: node echo_socketio.js URL TRANSPORT..., where the transports are tried in this order.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Manager } from "socket.io-client";

const [url, ...transports] = process.argv.slice(2);
const opened = [];

function manager(options = {}) {
  opened.push(new Manager(url, { transports, reconnection: false, ...options }));
  return opened.at(-1);
}

after(() => opened.forEach((one) => one._close()));

async function next(emitter, event) {
  return await new Promise((resolve) => emitter.once(event, (...told) => resolve(told)));
}

async function connected(namespace = "/", auth = {}, over = manager()) {
  const socket = over.socket(namespace, { auth });
  const told = next(socket, "auth");
  await next(socket, "connect");
  assert.deepEqual(await told, [auth]);
  return socket;
}

// What is sent must come back; the library answers binary with Buffers.
async function comesBack(socket, ...sent) {
  const told = next(socket, "message-back");
  socket.emit("message", ...sent);
  assert.deepEqual(await told, sent);
}

const BYTES = Buffer.from([0, 1, 2, 255]);
const MESSAGES = {
  nothing: [],
  "one of each kind": [1, "two", null, true, { three: [4.5, "5"] }],
  "a text that is long and not ASCII": ["Grüße, 世界 😀 ".repeat(2000)],
  "what looks like a packet": ["42/custom,[\"a\"]", "\u001e", "_placeholder"],
  binary: [BYTES],
  "binary in the depths": [{ a: [BYTES, { b: BYTES }], c: "between" }, BYTES, Buffer.alloc(0)],
  "a large binary": [Buffer.alloc(300_000, 7)],
};

for (const namespace of ["/", "/custom"]) {
  for (const [name, sent] of Object.entries(MESSAGES)) {
    test(`${namespace}: ${name} comes back as a message`, async () => {
      await comesBack(await connected(namespace), ...sent);
    });

    test(`${namespace}: ${name} comes back as an answer`, async () => {
      const socket = await connected(namespace);
      const answer = new Promise((resolve) => socket.emit("message-with-ack", ...sent, (...told) => resolve(told)));
      assert.deepEqual(await answer, sent);
    });
  }

  test(`${namespace}: the handshake's payload is told`, async () => {
    await connected(namespace, { token: "123", deep: { list: [1, 2] } });
  });

  test(`${namespace}: a thousand messages keep their order`, async () => {
    const socket = await connected(namespace);
    const told = [];
    const all = new Promise((resolve) => socket.on("message-back", (number) => told.push(number) === 1000 && resolve()));
    for (let number = 0; number < 1000; number++) socket.emit("message", number, number % 100 ? "" : BYTES);
    await all;
    assert.deepEqual(told, [...Array(1000).keys()]);
  });
}

test("two namespaces share a connection, and one of them ends alone", async () => {
  const both = manager();
  const [root, custom] = await Promise.all([connected("/", {}, both), connected("/custom", {}, both)]);
  assert.notEqual(root.id, custom.id);
  await Promise.all([comesBack(root, "root", BYTES), comesBack(custom, "custom", BYTES)]);
  root.disconnect();
  await comesBack(custom, "still here");
});

test("who left a namespace can enter it again", async () => {
  const over = manager();
  const custom = await connected("/custom", {}, over);
  const root = await connected("/", {}, over);
  const before = root.id;
  root.disconnect();
  const told = next(root, "auth");
  root.connect();
  await told;
  assert.notEqual(root.id, before);
  await comesBack(root, "again");
  custom.disconnect();
});

test("an unknown namespace is refused, and the others are not", async () => {
  const over = manager();
  const root = await connected("/", {}, over);
  const [error] = await next(over.socket("/unknown"), "connect_error");
  assert.equal(error.message, "Invalid namespace");
  await comesBack(root, "unharmed");
});

test("the connection outlives many heartbeats", async () => {
  const socket = await connected();
  for (let beat = 0; beat < 5; beat++) await next(socket.io, "ping");
  await comesBack(socket, "alive");
});

test("the connection is carried as it should be", async () => {
  const over = manager();
  const { engine } = over;
  assert.equal(engine.transport.name, transports[0]);
  if (transports[0] === "polling" && transports.length > 1) await next(engine, "upgrade");
  assert.equal(engine.transport.name, transports.at(-1));
  const socket = await connected("/", {}, over);
  await comesBack(socket, "carried", BYTES);
});
