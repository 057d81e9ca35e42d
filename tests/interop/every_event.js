// Every event of the contract, asked and heard by npm's socket.io-client.
//
// usage: node every_event.js URL TRANSPORTS SERVER_PID; somebody must come to speak in the room "voices".
// Prints what was answered and told, a JSON line each; the exit code is 0 when all was as it should be.
import assert from "node:assert/strict";
import { Person, TRANSPORTS, tell } from "./people.js";

const [url, transports] = process.argv.slice(2);

async function people(...names) {
  return await Promise.all(names.map((name) => Person.arrive(url, name, { transports: TRANSPORTS[transports] })));
}

// These people in one room, whose host is the first.
async function together(roomName, ...names) {
  const all = await people(...names);
  const [host, ...others] = all;
  const { room } = await host.ask("createRoom", { roomType: "group", roomName });
  for (const person of others) await person.ask("joinRoom", { roomId: room.roomId });
  return [room.roomId, ...all];
}

function goodbye(...all) {
  for (const person of all) person.leave();
}

const sections = {
  async "the connection is carried as it should be"() {
    const ann = new Person(url, "Ann", { transports: TRANSPORTS[transports] });
    const { engine } = ann.socket.io;
    if (transports === "defaults") {
      assert.equal(engine.transport.name, "polling");
      await new Promise((resolve) => engine.once("upgrade", resolve));
    }
    assert.equal(engine.transport.name, "websocket");
    await ann.connected();
    goodbye(ann);
  },

  async "who is online, and which rooms there are"() {
    const [ann, ben] = await people("Ann", "Ben");
    await ann.hears("onlineUsersUpdated");
    await ann.hears("roomListUpdated");
    assert.equal(ann.granted[0].sid, ann.socket.id);
    const { room } = await ben.ask("createRoom", { roomType: "group", roomName: "listed" });
    let rooms, users;
    do ({ rooms } = await ann.hears("roomListUpdated")); while (!rooms.some((one) => one.roomId === room.roomId));
    const summary = rooms.find((one) => one.roomId === room.roomId);
    assert.deepEqual([summary.participantCount, summary.participantNames, summary.hostName], [1, ["Ben"], "Ben"]);
    assert.equal(summary.messages, undefined);
    const isBen = (user) => user.userId === ben.userId && user.currentRoomId === room.roomId;
    do ({ users } = await ann.hears("onlineUsersUpdated")); while (!users.some(isBen));
    assert.equal(users.find(isBen).status, "in_call");
    goodbye(ann, ben);
  },

  async "who is not let in is told why"() {
    const unnamed = new Person(url, "", { transports: TRANSPORTS[transports], reconnection: false });
    await assert.rejects(unnamed.connected(), /auth\.name/);
    const astray = new Person(`${url}/nowhere`, "Ann", { transports: TRANSPORTS[transports], reconnection: false });
    await assert.rejects(astray.connected(), /Invalid namespace/);
    goodbye(unnamed, astray);
  },

  async "nonsense is refused, and the connection stays"() {
    const [ann] = await people("Ann");
    for (const payload of [null, 5, "room", [], [{}], true, { roomType: "group", roomName: 5 }, { roomType: "cave" }])
      await ann.refused("invalidPayload", "createRoom", payload);
    await ann.refused("unknownEvent", "openTheDoor", {});
    await ann.refused("notFound", "joinRoom", { roomId: "nowhere" });
    ann.socket.emit("createRoom", { roomType: "group", roomName: "nobody waits for the answer" });
    await ann.hears("onlineUsersUpdated", { users: { 0: {} } });
    await ann.refused("inRoom", "createRoom", { roomType: "group" });
    goodbye(ann);
  },

  async "a room from its first seat to its end"() {
    const [ann, ben, cy] = await people("Ann", "Ben", "Cy");
    const created = await ann.ask("createRoom", { roomType: "group", roomName: "den" });
    const { roomId } = created.room;
    assert.deepEqual([created.room.hostId, created.room.status, created.room.isHostless], [ann.userId, "active", false]);
    const joined = await ben.ask("joinRoom", { roomId });
    assert.deepEqual(joined.room.participants.map((one) => one.name), ["Ann", "Ben"]);
    const told = await ann.hears("userJoined");
    assert.deepEqual(told, { userId: ben.userId, userName: "Ben", socketId: ben.socket.id });
    await cy.refused("notMember", "sendMessage", { roomId, content: "let me in" });
    const found = await cy.ask("createRoom", { roomType: "group", roomName: "den", joinExisting: true });
    assert.equal(found.room.roomId, roomId);
    await ben.refused("notHost", "endCall", { roomId });
    assert.equal(typeof (await cy.ask("leaveRoom", { roomId })).message, "string");
    for (const person of [ann, ben]) await person.hears("userLeft", { roomId, userId: cy.userId });
    assert.equal(typeof (await ann.ask("endCall", { roomId })).message, "string");
    for (const person of [ann, ben]) await person.hears("callEnded", { roomId, endedBy: ann.userId, reason: "ended" });
    await cy.refused("ended", "joinRoom", { roomId });
    await ann.ask("endCall", { roomId }); // once more does no harm
    goodbye(ann, ben, cy);
  },

  async "the host hands over, is lost, comes back, and leaves"() {
    const [roomId, ann, ben] = await together("stage", "Ann", "Ben");
    await ann.refused("notFound", "transferHost", { roomId, userId: "nobody" });
    assert.equal((await ann.ask("transferHost", { roomId, userId: ben.userId })).room.hostId, ben.userId);
    for (const person of [ann, ben])
      await person.hears("hostChanged", { roomId, hostId: ben.userId, hostName: "Ben", reason: "transfer" });
    await ben.breakConnection();
    await ann.hears("userLeft", { userId: ben.userId });
    await ben.connected();
    const { room } = await ben.ask("joinRoom", { roomId });
    assert.equal(room.hostId, ben.userId);
    await ann.hears("hostChanged", { roomId, hostId: ben.userId, reason: "returned" });
    await ben.ask("leaveRoom", { roomId });
    await ann.hears("roomHostless", { roomId });
    await ann.ask("endCall", { roomId }); // where there is no host, everybody may
    await ann.hears("callEnded", { roomId, endedBy: ann.userId });
    goodbye(ann, ben);
  },

  async "one seat for a person with two connections"() {
    const [first, other] = await people("Ann", "Ben");
    const { room } = await first.ask("createRoom", { roomType: "group", roomName: "here" });
    const second = await Person.arrive(url, "Ann", { userId: first.userId, transports: TRANSPORTS[transports] });
    await second.refused("inRoom", "createRoom", { roomType: "group", roomName: "there" });
    await second.ask("joinRoom", { roomId: room.roomId });
    await first.hears("serverNotice", { code: "seatMoved" });
    goodbye(first, second, other);
  },

  async "what is said in writing"() {
    const [roomId, ann, ben] = await together("chat", "Ann", "Ben");
    const { message } = await ann.ask("sendMessage", { roomId, content: "Ist da jemand? 😀 \u00e9" });
    for (const person of [ann, ben]) assert.deepEqual(await person.hears("newMessage"), message);
    const { messageId } = message;
    const answered = await ben.ask("sendMessage", { roomId, content: "ja", replyTo: { messageId, content: "made up" } });
    assert.deepEqual(answered.message.replyTo, { messageId, userName: "Ann", content: message.content });
    for (const person of [ann, ben]) await person.hears("newMessage", { messageId: answered.message.messageId });

    const reactions = [{ emoji: "👍", userIds: [ben.userId], count: 1 }];
    assert.deepEqual((await ben.ask("reactToMessage", { roomId, messageId, emoji: "👍" })).message.reactions, reactions);
    for (const person of [ann, ben])
      assert.deepEqual(await person.hears("messageReactionUpdated"), { messageId, reactions });
    assert.deepEqual((await ben.ask("reactToMessage", { roomId, messageId, emoji: "👍" })).message.reactions, []);
    await ann.hears("messageReactionUpdated", { messageId });

    await ben.refused("notAllowed", "editMessage", { roomId, messageId, content: "not mine" });
    const edited = await ann.ask("editMessage", { roomId, messageId, content: "Ist da wer?" });
    assert.equal(edited.message.content, "Ist da wer?");
    const { editedAt } = await ben.hears("messageEdited", { messageId, content: "Ist da wer?" });
    assert.equal(editedAt, edited.message.editedAt);
    await ben.refused("notAllowed", "deleteMessage", { roomId, messageId });
    await ann.ask("deleteMessage", { roomId, messageId });
    for (const person of [ann, ben]) await person.hears("messageDeleted", { messageId });
    goodbye(ann, ben);
  },

  async "a late reader turns the pages"() {
    const [roomId, ann] = await together("pages", "Ann");
    for (let n = 0; n < 60; n++) await ann.ask("sendMessage", { roomId, content: `line ${n}` });
    const [ben] = await people("Ben");
    const { room } = await ben.ask("joinRoom", { roomId });
    assert.deepEqual([room.messages.length, room.messages[0].content], [50, "line 10"]);
    const page = await ben.ask("getMessages", { roomId, before: room.messages[0].messageId, limit: 4 });
    assert.deepEqual(page.messages.map((one) => one.content), ["line 6", "line 7", "line 8", "line 9"]);
    assert.equal(page.more, true);
    const first = await ben.ask("getMessages", { roomId, before: page.messages[0].messageId });
    assert.deepEqual([first.messages.length, first.more], [6, false]);
    goodbye(ann, ben);
  },

  async "media is agreed upon"() {
    const [roomId, ann, ben, cy] = await together("media", "Ann", "Ben", "Cy");
    const { rtpCapabilities } = await ann.ask("getRouterRtpCapabilities", { roomId });
    const codecs = ["audio/opus", "video/VP8", "video/rtx", "video/H264", "video/rtx", "audio/red"];
    assert.deepEqual(rtpCapabilities.codecs.map((codec) => codec.mimeType), codecs);
    const sending = (await ann.ask("createTransport", { roomId, direction: "send" })).params;
    assert.equal(sending.iceParameters.iceLite, true);
    assert.equal(sending.iceCandidates[0].ip, sending.iceCandidates[0].address);
    assert.deepEqual(sending.dtlsParameters.fingerprints.map((one) => one.algorithm), ["sha-256"]);
    await ann.ask("connectTransport", { transportId: sending.id, dtlsParameters: certificate("client") });
    const { producerId } = await ann.ask("produce", { roomId, transportId: sending.id, ...opus(1234) });
    for (const person of [ben, cy]) await person.hears("newProducer", { producerId, userId: ann.userId, kind: "audio" });
    await ben.refused("notFound", "consume", { roomId, producerId, rtpCapabilities }); // nowhere to receive it yet
    await ben.ask("createTransport", { roomId, direction: "recv" });
    const { params } = await ben.ask("consume", { roomId, producerId, rtpCapabilities });
    assert.deepEqual([params.producerId, params.kind, params.rtpParameters.mid], [producerId, "audio", "0"]);
    await ben.refused("unsupported", "consume", { roomId, producerId, rtpCapabilities: { codecs: [] } });
    const consumerId = params.id;
    await ben.ask("resumeConsumer", { roomId, consumerId });
    await ben.ask("pauseConsumer", { roomId, consumerId });
    await cy.refused("notFound", "pauseConsumer", { roomId, consumerId }); // somebody else's
    const { iceParameters } = await ann.ask("restartIce", { transportId: sending.id });
    assert.notEqual(iceParameters.usernameFragment, sending.iceParameters.usernameFragment);
    const [dee] = await people("Dee"); // late
    const { room } = await dee.ask("joinRoom", { roomId });
    assert.deepEqual(room.participants[0].producerIds, [{ producerId, kind: "audio" }]);

    await ann.ask("mediaStateChanged", { roomId, isMuted: true, isVideoEnabled: false });
    const { name, isMuted } = await ben.hears("participantMediaStateUpdated", { userId: ann.userId });
    assert.deepEqual([name, isMuted], ["Ann", true]);
    await ann.ask("setRecording", { roomId, isRecording: true });
    for (const person of [ann, ben]) await person.hears("recordingStateChanged", { userId: ann.userId, isRecording: true });
    await ben.refused("notFound", "closeProducer", { roomId, producerId });
    await ann.ask("closeProducer", { roomId, producerId });
    for (const person of [ben, cy]) await person.hears("producerClosed", { producerId, userId: ann.userId });
    goodbye(ann, ben, cy, dee);
  },

  async "a transport over which nothing comes has failed"() {
    const [roomId, ann] = await together("silence", "Ann");
    const { params } = await ann.ask("createTransport", { roomId, direction: "send" });
    await ann.ask("connectTransport", { transportId: params.id, dtlsParameters: certificate("client") });
    await ann.hears("transportFailed", { transportId: params.id, reason: "timeout" });
    goodbye(ann);
  },

  async "a call is accepted"() {
    const [ann, ben, cy] = await people("Ann", "Ben", "Cy");
    const callId = crypto.randomUUID();
    await ann.refused("self", "callUser", { callId, targetUserId: ann.userId });
    await ann.refused("offline", "callUser", { callId, targetUserId: "nobody" });
    const ringing = await ann.ask("callUser", { callId, targetUserId: ben.userId });
    assert.ok(ringing.ringsFor > 0, ringing.ringsFor);
    const rung = await ben.hears("incomingCallNew", { callId, from: ann.userId, fromName: "Ann" });
    assert.ok(Math.abs(rung.ringsFor - ringing.ringsFor) < 100, rung.ringsFor);
    await cy.refused("notAllowed", "acceptCallNew", { callId }); // it is not his call
    const { room } = await ben.ask("acceptCallNew", { callId });
    const { roomId } = room;
    assert.deepEqual([room.roomType, room.status], ["direct", "active"]);
    assert.deepEqual(room.participants.map((one) => one.name).sort(), ["Ann", "Ben"]);
    await ann.hears("callAcceptedNew", { callId, roomId, room: { roomId, roomType: "direct" } });
    await cy.refused("notAllowed", "joinRoom", { roomId });
    await ann.ask("sendMessage", { roomId, content: "hello" });
    await ben.hears("newMessage", { content: "hello" });
    await ann.ask("endCall", { roomId });
    for (const person of [ann, ben]) await person.hears("callEnded", { roomId });
    goodbye(ann, ben, cy);
  },

  async "a call is rejected, cancelled, or not answered"() {
    const [ann, ben] = await people("Ann", "Ben");
    const call = async () => {
      const callId = crypto.randomUUID();
      await ann.ask("callUser", { callId, targetUserId: ben.userId });
      await ben.hears("incomingCallNew", { callId });
      return callId;
    };
    const rejected = await call();
    await ann.refused("inCall", "callUser", { callId: crypto.randomUUID(), targetUserId: ben.userId });
    await ben.ask("rejectCallNew", { callId: rejected, reason: "not now" });
    await ann.hears("callRejectedNew", { callId: rejected, reason: "not now" });
    const cancelled = await call();
    await ann.ask("cancelCall", { callId: cancelled });
    await ben.hears("callCancelled", { callId: cancelled });
    const unanswered = await call();
    for (const person of [ann, ben]) await person.hears("callTimeout", { callId: unanswered });
    goodbye(ann, ben);
  },

  async "a call rings on every connection, and one answers"() {
    const [ann, ben] = await people("Ann", "Ben");
    const elsewhere = await Person.arrive(url, "Ben", { userId: ben.userId, transports: TRANSPORTS[transports] });
    const callId = crypto.randomUUID();
    await ann.ask("callUser", { callId, targetUserId: ben.userId });
    for (const person of [ben, elsewhere]) await person.hears("incomingCallNew", { callId });
    await elsewhere.ask("acceptCallNew", { callId });
    await ben.hears("callCancelled", { callId });
    goodbye(ann, ben, elsewhere);
  },

  async "two who call each other end in one room"() {
    const [ann, ben] = await people("Ann", "Ben");
    const [hers, his] = [crypto.randomUUID(), crypto.randomUUID()];
    await ann.ask("callUser", { callId: hers, targetUserId: ben.userId });
    await ben.ask("callUser", { callId: his, targetUserId: ann.userId });
    const { roomId } = await ann.hears("callAcceptedNew", { callId: hers });
    await ben.hears("callAcceptedNew", { callId: his, roomId });
    goodbye(ann, ben);
  },

  async "an invitation to a direct room"() {
    const [ann, ben] = await people("Ann", "Ben");
    const invite = async () => {
      const { room } = await ann.ask("createRoom", { roomType: "direct", targetUserId: ben.userId });
      assert.deepEqual([room.status, room.invitedUserIds], ["pending", [ben.userId]]);
      const from = { fromUserId: ann.userId, fromUserName: "Ann" };
      await ben.hears("incomingCall", { roomId: room.roomId, roomType: "direct", ...from });
      return room.roomId;
    };
    const rejected = await invite();
    await ben.ask("rejectCall", { roomId: rejected, reason: "in a train" });
    await ann.hears("callRejected", { roomId: rejected, userId: ben.userId, userName: "Ben", reason: "in a train" });
    await ann.hears("callEnded", { roomId: rejected, reason: "rejected" });
    const roomId = await invite();
    const { room } = await ben.ask("acceptCall", { roomId });
    assert.equal(room.status, "active");
    await ann.hears("callAccepted", { roomId, userId: ben.userId });
    await ann.ask("endCall", { roomId });
    const unanswered = await invite();
    await ann.hears("callRejected", { roomId: unanswered, reason: "timeout" });
    await ann.hears("callEnded", { roomId: unanswered, reason: "timeout" });
    await ben.hears("callCancelled", { callId: unanswered });
    goodbye(ann, ben);
  },

  async "an invitation to a group"() {
    const [ann, ben, cy] = await people("Ann", "Ben", "Cy");
    const invitedUserIds = [ben.userId, cy.userId];
    const { room } = await ann.ask("createRoom", { roomType: "group", roomName: "party", invitedUserIds });
    const { roomId } = room;
    for (const person of [ben, cy]) await person.hears("incomingCall", { roomId, roomType: "group" });
    await ben.ask("acceptCall", { roomId });
    await ann.hears("callAccepted", { roomId, userId: ben.userId });
    await ann.hears("userJoined", { userId: ben.userId });
    await cy.ask("rejectCall", { roomId });
    for (const person of [ann, ben]) await person.hears("callRejected", { roomId, userId: cy.userId });
    goodbye(ann, ben, cy);
  },

  async "a broken connection is resumed"() {
    const [roomId, ann] = await together("tunnel", "Ann");
    const options = { transports: TRANSPORTS[transports], auth: { resume: "" } };
    const ben = await Person.arrive(url, "Ben", options);
    assert.equal(ben.granted[0].resumed, false);
    ben.auth.resume = ben.granted[0].resume;
    await ben.ask("joinRoom", { roomId });
    await ann.hears("userJoined", { userId: ben.userId });
    const { sid } = ben.granted[0];
    await ben.breakConnection();
    await ann.hears("participantMediaStateUpdated", { userId: ben.userId, isAway: true });
    await ann.ask("sendMessage", { roomId, content: "where are you?" });
    await ben.connected();
    assert.deepEqual([ben.granted[1].resumed, ben.granted[1].sid, ben.socket.id], [true, sid, sid]);
    const { user, room } = await ben.hears("snapshot");
    assert.deepEqual([user.userId, room.roomId, room.messages.at(-1).content], [ben.userId, roomId, "where are you?"]);
    await ann.hears("participantMediaStateUpdated", { userId: ben.userId, isAway: false });
    await ben.ask("sendMessage", { roomId, content: "in a tunnel" });
    await ann.hears("newMessage", { content: "in a tunnel" });
    for (const noise of ["userLeft", "userJoined"]) assert.equal(ann.hasHeard(noise), false, noise);
    goodbye(ann, ben);
  },
};

// One who listens while all else happens. When it has, she sees the media of all rooms go, and come again.
async function listenInTheRoomWithVoices() {
  const [ann] = await people("Ann");
  const { room } = await ann.ask("createRoom", { roomType: "group", roomName: "voices" });
  tell({ waiting: room.roomId });
  const { userId } = await ann.hears("userJoined");
  const { speakers } = await ann.hears("activeSpeakers", { roomId: room.roomId, speakers: { 0: { userId } } });
  assert.ok(speakers[0].level > 0 && speakers[0].level < 40, JSON.stringify(speakers));
  return async () => {
    const { workers } = await (await fetch(`${url}/api/stats`)).json(); // the one with the rooms, and a spare
    process.kill(workers.find(({ rooms }) => rooms > 0).pid, "SIGKILL");
    await ann.hears("mediaReset", { roomId: room.roomId });
    for (const seat of [1, 2]) await ann.hears("newProducer", { userId }); // before, and after
    goodbye(ann);
  };
}

// A certificate that nobody holds: signalling alone does not notice.
function certificate(role) {
  const value = Array(32).fill("A5").join(":");
  return { role, fingerprints: [{ algorithm: "sha-256", value }] };
}

// How a browser sends a voice.
function opus(ssrc) {
  const codec = { mimeType: "audio/opus", payloadType: 111, clockRate: 48000, channels: 2, parameters: { useinbandfec: 1 } };
  const headerExtensions = [{ uri: "urn:ietf:params:rtp-hdrext:sdes:mid", id: 4, encrypt: false, parameters: {} }];
  const rtcp = { cname: "ann", reducedSize: true };
  const codecs = [{ ...codec, rtcpFeedback: [{ type: "transport-cc", parameter: "" }] }];
  return { kind: "audio", rtpParameters: { mid: "0", codecs, headerExtensions, encodings: [{ ssrc, dtx: false }], rtcp } };
}

// Whether a section went as it should; what went wrong is printed.
async function holds([name, section]) {
  try {
    await section();
    return true;
  } catch (error) {
    console.error(`${name}: ${error.stack}\n`);
    return false;
  }
}

let whenTheWorkerDies;
const listening = async () => (whenTheWorkerDies = await listenInTheRoomWithVoices());
const results = await Promise.all([...Object.entries(sections), ["who speaks is told", listening]].map(holds));
if (whenTheWorkerDies) results.push(await holds(["the worker dies", whenTheWorkerDies]));
process.exit(results.every(Boolean) ? 0 : 1);
