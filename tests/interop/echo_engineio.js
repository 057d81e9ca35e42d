// npm's engine.io-client against scripts/engineio_echo.py: what Engine.IO v4 promises, on each transport.
//
// usage: node echo_engineio.js URL TRANSPORT..., where the transports are tried in this order.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Socket } from "engine.io-client";

const [url, ...transports] = process.argv.slice(2);
const opened = [];

after(() => opened.forEach((one) => one.close()));

async function next(emitter, event) {
  return await new Promise((resolve) => emitter.once(event, resolve));
}

async function open(options = {}) {
  const socket = new Socket(url, { path: "/engine.io/", transports, ...options });
  opened.push(socket);
  await next(socket, "open");
  return socket;
}

async function comesBack(socket, sent) {
  const told = next(socket, "message");
  socket.send(sent);
  assert.deepEqual((await told) ?? "", sent); // the library gives an empty text as undefined
}

const MESSAGES = {
  "a text": "hello",
  "an empty text": "",
  "a text that is not ASCII": "Grüße, 世界 😀",
  binary: Buffer.from([0, 1, 2, 255]),
  "an empty binary": Buffer.alloc(0),
  "a large text": "é".repeat(200_000),
  "a large binary": Buffer.alloc(500_000, 7),
};

for (const [name, sent] of Object.entries(MESSAGES)) {
  test(`${name} comes back`, async () => {
    await comesBack(await open(), sent);
  });
}

test("the handshake tells what was agreed", async () => {
  const socket = new Socket(url, { path: "/engine.io/", transports });
  opened.push(socket);
  const agreed = await next(socket, "handshake");
  assert.equal(typeof agreed.sid, "string");
  assert.deepEqual([agreed.pingInterval, agreed.pingTimeout, agreed.maxPayload], [300, 200, 1_000_000]);
  assert.deepEqual(agreed.upgrades, transports[0] === "polling" ? ["websocket"] : []);
});

test("texts and binary keep their order through an upgrade", async () => {
  const socket = await open();
  const told = [];
  const all = new Promise((resolve) => socket.on("message", (data) => told.push(String(data)) === 500 && resolve()));
  for (let number = 0; number < 500; number++) {
    socket.send(number % 3 ? `${number}` : Buffer.from(`${number}`));
    if (number % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await all;
  assert.deepEqual(told, [...Array(500).keys()].map(String));
});

test("the connection outlives many heartbeats", async () => {
  const socket = await open();
  for (let beat = 0; beat < 5; beat++) await next(socket, "heartbeat");
  await comesBack(socket, "alive");
});

test("the connection is carried as it should be", async () => {
  const socket = new Socket(url, { path: "/engine.io/", transports });
  opened.push(socket);
  const upgrades = transports[0] === "polling" && transports.length > 1;
  assert.equal(socket.transport.name, transports[0]);
  await next(socket, upgrades ? "upgrade" : "open");
  assert.equal(socket.transport.name, transports.at(-1));
});

test("what is too large ends the connection and no other", async () => {
  const [greedy, other] = [await open({ transports: ["websocket"] }), await open()];
  const closed = next(greedy, "close");
  greedy.send("x".repeat(1_000_001));
  await closed;
  await comesBack(other, "unharmed");
});
