// Somebody with npm's socket.io-client who loses the server, and comes back by himself.
//
// usage: node comes_back.js URL TRANSPORTS; prints a JSON line for what happens, until its input ends.
import { Person, TRANSPORTS, tell } from "./people.js";

const [url, transports] = process.argv.slice(2);
const ann = new Person(url, "Ann", { transports: TRANSPORTS[transports] });

ann.socket.on("connect", async () => {
  const { room } = await ann.ask("createRoom", { roomType: "group", roomName: "again", joinExisting: true });
  tell({ seated: room.participants.map((one) => one.name), transport: ann.socket.io.engine.transport.name });
});
ann.socket.on("disconnect", (reason) => tell({ lost: reason }));
process.stdin.on("end", () => process.exit(0)).resume();
