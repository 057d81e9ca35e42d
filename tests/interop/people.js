// A person with npm's socket.io-client: asks, and hears what the server tells. All of it is printed, a JSON line each,
// so that a test can hold it against the event table.
import assert from "node:assert/strict";
import { io } from "socket.io-client";

const PATIENCE = 15_000; // ms for an answer or a notice

// The options of the clients; `null` stands for the library's own defaults: polling, then the upgrade to WebSocket.
export const TRANSPORTS = { defaults: {}, websocket: { transports: ["websocket"] } };

export class Person {
  #unheard = [];
  #waiting = new Set();

  constructor(url, name, { userId = crypto.randomUUID(), transports = {}, auth = {}, ...options } = {}) {
    this.name = name;
    this.userId = userId;
    this.granted = []; // what the server's CONNECT packets said; the library keeps it to itself
    this.auth = { userId, name, ...auth };
    this.socket = io(url, { forceNew: true, auth: (give) => give(this.auth), ...transports, ...options });
    this.socket.onAny((event, payload) => this.#hear(event, payload));
    this.socket.io.on("packet", (packet) => packet.type === 0 && this.granted.push(packet.data));
  }

  // Somebody who is connected.
  static async arrive(url, name, options) {
    const person = new Person(url, name, options);
    await person.connected();
    return person;
  }

  async connected() {
    if (this.socket.connected) return;
    await new Promise((resolve, reject) => {
      this.socket.once("connect", resolve);
      this.socket.once("connect_error", reject);
    });
  }

  // The answer to a request that must succeed.
  async ask(event, payload) {
    const answer = await this.#emit(event, payload);
    assert.equal(answer.success, true, `${this.name}: ${event}: ${JSON.stringify(answer)}`);
    tell({ ack: event, payload: answer });
    return answer;
  }

  // The answer to a request that must be refused with this code.
  async refused(code, event, payload) {
    const answer = await this.#emit(event, payload);
    assert.deepEqual([answer.success, answer.code], [false, code], `${this.name}: ${event}: ${JSON.stringify(answer)}`);
    assert.equal(typeof answer.error, "string");
    assert.equal(typeof answer.canRetry, "boolean");
    return answer;
  }

  #emit(event, payload) {
    return this.socket.timeout(PATIENCE).emitWithAck(event, payload);
  }

  // The next notice of this kind with these fields; each notice is given out once.
  async hears(event, fields = {}) {
    const isIt = (told) => told.event === event && includes(told.payload, fields);
    const index = this.#unheard.findIndex(isIt);
    if (index >= 0) return this.#unheard.splice(index, 1)[0].payload;
    return await new Promise((resolve, reject) => {
      const wish = { isIt, resolve };
      wish.timer = setTimeout(() => {
        this.#waiting.delete(wish);
        const heard = this.#unheard.map((told) => JSON.stringify(told).slice(0, 200)).join("\n  ");
        reject(new Error(`${this.name} never heard ${event} ${JSON.stringify(fields)}, but\n  ${heard}`));
      }, PATIENCE);
      this.#waiting.add(wish);
    });
  }

  #hear(event, payload) {
    tell({ notice: event, payload });
    for (const wish of this.#waiting) {
      if (!wish.isIt({ event, payload })) continue;
      clearTimeout(wish.timer);
      this.#waiting.delete(wish);
      wish.resolve(payload);
      return;
    }
    this.#unheard.push({ event, payload });
  }

  // Whether a notice of this kind has come that nobody waited for.
  hasHeard(event, fields = {}) {
    return this.#unheard.some((told) => told.event === event && includes(told.payload, fields));
  }

  // Lose the connection without a goodbye, as a broken network does.
  async breakConnection() {
    const { engine } = this.socket.io;
    if (engine.transport.name !== "websocket") await new Promise((resolve) => engine.once("upgrade", resolve));
    const gone = new Promise((resolve) => this.socket.once("disconnect", resolve));
    engine.transport.ws._socket.destroy();
    await gone;
  }

  leave() {
    this.socket.disconnect();
  }
}

// Whether `fields` are a part of `whole`, at every depth.
function includes(whole, fields) {
  if (typeof fields !== "object" || fields === null) return whole === fields;
  return whole !== null && typeof whole === "object" && Object.keys(fields).every((key) => includes(whole[key], fields[key]));
}

export function tell(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
