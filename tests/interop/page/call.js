// A call in a web page, with the unmodified npm clients: socket.io-client for signalling, mediasoup-client for media.
// What is said is a tone, what is shown a colour; `window.call` is what the tests work with.
import { Device } from "mediasoup-client";
import { io } from "socket.io-client";

const PATIENCE = 15_000; // ms
const FFT = 8192; // samples: 5.9 Hz apart at 48 kHz
const NEAR = 6; // Hz between pitches that are the same
const AUDIBLE = -60; // dBFS of the strongest pitch

class Call {
  sent = new Map(); // producers, by kind
  voices = new Map(); // received, by user
  pictures = new Map(); // received, by user
  closed = new Set(); // producers that are no more
  told = []; // every notice

  // Sit down in the room of this name, and hear and see everybody who is there or will come. `relays` are ports to go
  // by, by direction, and without RTX this is a client that does not know it.
  async enter(url, name, roomName, { transports, wrongFingerprint = false, relays = {}, hasRtx = true } = {}) {
    this.wrongFingerprint = wrongFingerprint;
    this.relays = relays;
    this.socket = io(url, { auth: { userId: name, name }, ...(transports && { transports }) });
    this.socket.onAny((event, payload) => this.told.push({ event, payload }));
    await new Promise((resolve, reject) => {
      this.socket.once("connect", resolve);
      this.socket.once("connect_error", (error) => reject(new Error(`no connection: ${error.message}`)));
    });
    const early = []; // a producer may be told of before there is a transport to receive it
    this.consume = (producer) => early.push(producer);
    this.socket.on("newProducer", (producer) => this.consume(producer));
    this.socket.on("producerClosed", ({ producerId }) => this.#forget(producerId));
    const { room } = await this.ask("createRoom", { roomType: "group", roomName, joinExisting: true });
    this.roomId = room.roomId;
    const { rtpCapabilities } = await this.ask("getRouterRtpCapabilities", { roomId: this.roomId });
    this.device = await Device.factory();
    if (!hasRtx) rtpCapabilities.codecs = rtpCapabilities.codecs.filter(({ mimeType }) => mimeType !== "video/rtx");
    await this.device.load({ routerRtpCapabilities: rtpCapabilities });
    this.sending = await this.#open("send");
    this.receiving = await this.#open("recv");
    this.consume = (producer) => this.#consume(producer);
    const present = room.participants.flatMap(({ userId, producerIds }) => producerIds.map((one) => ({ userId, ...one })));
    for (const producer of [...present, ...early]) await this.#consume(producer);
  }

  async ask(event, payload) {
    const answer = await this.socket.timeout(PATIENCE).emitWithAck(event, payload);
    if (!answer.success) throw new Error(`${event}: ${JSON.stringify(answer)}`);
    return answer;
  }

  async #open(direction) {
    const { params } = await this.ask("createTransport", { roomId: this.roomId, direction });
    this.mediaPort = params.iceCandidates[0].port;
    for (const candidate of params.iceCandidates) candidate.port = this.relays[direction] ?? candidate.port;
    const open = direction === "send" ? "createSendTransport" : "createRecvTransport";
    const transport = this.device[open](params);
    transport.on("connect", async ({ dtlsParameters }, done, failed) => {
      if (this.wrongFingerprint) dtlsParameters = falsified(dtlsParameters);
      await this.ask("connectTransport", { transportId: transport.id, dtlsParameters }).then(done, failed);
    });
    transport.on("produce", async ({ kind, rtpParameters }, done, failed) => {
      const producer = { roomId: this.roomId, transportId: transport.id, kind, rtpParameters };
      await this.ask("produce", producer).then(({ producerId }) => done({ id: producerId }), failed);
    });
    return transport;
  }

  async #consume({ producerId, userId, kind }) {
    const { rtpCapabilities } = this.device;
    const { params } = await this.ask("consume", { roomId: this.roomId, producerId, rtpCapabilities });
    const consumer = await this.receiving.consume(params);
    if (kind === "audio") this.voices.set(userId, new Voice(consumer));
    else this.pictures.set(userId, new Picture(consumer));
    if (this.closed.has(producerId)) this.#forget(producerId);
    else await this.ask("resumeConsumer", { roomId: this.roomId, consumerId: params.id });
  }

  #forget(producerId) {
    this.closed.add(producerId); // it may be told while the consumer is being made
    for (const tracks of [this.voices, this.pictures]) {
      for (const [userId, { consumer }] of tracks) {
        if (consumer.producerId !== producerId) continue;
        consumer.close();
        tracks.delete(userId);
      }
    }
  }

  async say(hz) {
    this.sound = new AudioContext({ sampleRate: 48_000 });
    this.tone = new OscillatorNode(this.sound, { frequency: hz });
    const out = this.sound.createMediaStreamDestination();
    this.tone.connect(new GainNode(this.sound, { gain: 0.3 })).connect(out);
    this.tone.start();
    this.sent.set("audio", await this.sending.produce({ track: out.stream.getAudioTracks()[0] }));
  }

  // Say another tone from now on.
  retune(hz) {
    this.tone.frequency.value = hz;
  }

  // Show a picture, in a codec of one's choice or the one that mediasoup-client takes by itself.
  async show(colour, mimeType) {
    const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
    const context = canvas.getContext("2d");
    let step = 0;
    const draw = () => {
      context.fillStyle = colour;
      context.fillRect(0, 0, 320, 240);
      context.fillStyle = "white"; // something that moves, at the edge
      context.fillRect((step = (step + 4) % 320), 0, 4, 4);
    };
    this.drawing = setInterval(draw, 50);
    const codec = mimeType && this.device.rtpCapabilities.codecs.find((one) => one.mimeType === mimeType);
    this.sent.set("video", await this.sending.produce({ track: canvas.captureStream(20).getVideoTracks()[0], codec }));
  }

  async mute(isMuted) {
    const producer = this.sent.get("audio");
    if (isMuted) producer.pause();
    else producer.resume();
    await this.ask("mediaStateChanged", { roomId: this.roomId, isMuted, isVideoEnabled: this.sent.has("video") });
  }

  async hide() {
    const producer = this.sent.get("video");
    this.sent.delete("video");
    clearInterval(this.drawing);
    producer.close();
    await this.ask("closeProducer", { roomId: this.roomId, producerId: producer.id });
  }

  // Hear somebody no more, or again.
  async listen(userId, isListening) {
    const consumerId = this.voices.get(userId).consumer.id;
    await this.ask(isListening ? "resumeConsumer" : "pauseConsumer", { roomId: this.roomId, consumerId });
  }

  // Find the way to the server anew, as after a change of networks.
  async restartIce() {
    for (const transport of [this.sending, this.receiving]) {
      const { iceParameters } = await this.ask("restartIce", { transportId: transport.id });
      await transport.restartIce({ iceParameters });
    }
  }

  // The payload of the first notice of this kind, or of a later one, once it was told.
  async hears(event, index = 0) {
    const find = () => this.told.filter((told) => told.event === event)[index]?.payload;
    return await until(find, () => `no ${event}, but ${JSON.stringify(this.told.map((told) => told.event))}`);
  }

  // Once nothing is received of somebody.
  async gone(userId) {
    await until(() => !this.voices.has(userId) && !this.pictures.has(userId), () => `${userId} is still received`);
  }

  // Once these are heard, each by the pitch in Hz, and nobody else.
  async tones(wanted) {
    const voices = () => [...this.voices].map(([userId, voice]) => [userId, voice.pitch()]);
    const areHeard = () => {
      const audible = voices().filter(([, pitch]) => pitch !== null);
      const isRight = ([userId, pitch]) => Math.abs(pitch - wanted[userId]) <= NEAR;
      return audible.length === Object.keys(wanted).length && audible.every(isRight);
    };
    await until(areHeard, () => `heard: ${JSON.stringify(voices())}, not ${JSON.stringify(wanted)}`);
  }

  // Once nothing is heard of somebody who is still received.
  async silence(userId) {
    await until(() => this.voices.get(userId).pitch() === null, () => `${userId} is still heard`);
  }

  // Once pictures of somebody come, ever more of them: the colour of their middle.
  async picture(userId) {
    const find = () => this.pictures.get(userId);
    const colour = await until(() => find()?.colour(), () => `no picture of ${userId}`);
    const before = await find().stat("framesDecoded");
    const goesOn = async () => (await find().stat("framesDecoded")) > before + 5;
    await until(goesOn, () => `${userId} stands still after ${before} frames`);
    return colour;
  }

  // What the browser counts of somebody's pictures, once it has decoded so many.
  async video(userId, frames) {
    const find = () => this.pictures.get(userId)?.statistics();
    const enough = async () => (await find())?.framesDecoded >= frames;
    await until(enough, async () => `no ${frames} frames of ${userId}: ${JSON.stringify(await find())}`);
    return await find();
  }

  // What the browser counts of the pictures that are shown to the others.
  async shown() {
    return await count(this.sent.get("video"), "outbound-rtp");
  }

  // How many packets of somebody's voice came.
  async packets(userId) {
    return await this.voices.get(userId).stat("packetsReceived");
  }

  tracks() {
    return [...[...this.voices.keys()].map((id) => `${id} audio`), ...[...this.pictures.keys()].map((id) => `${id} video`)];
  }

  hasHeard(event) {
    return this.told.some((told) => told.event === event);
  }
}

class Track {
  constructor(consumer, player) {
    this.consumer = consumer;
    this.stream = new MediaStream([consumer.track]);
    this.player = Object.assign(player, { srcObject: this.stream, muted: true });
    this.player.play();
  }

  // One of the numbers that the browser keeps of what it received.
  async stat(name) {
    return (await this.statistics())[name] ?? 0;
  }

  async statistics() {
    return await count(this.consumer, "inbound-rtp");
  }
}

class Voice extends Track {
  constructor(consumer) {
    super(consumer, new Audio()); // it plays nothing, but without it Chromium feeds no graph
    this.context = new AudioContext({ sampleRate: 48_000 });
    this.analyser = new AnalyserNode(this.context, { fftSize: FFT, smoothingTimeConstant: 0 });
    new MediaStreamAudioSourceNode(this.context, { mediaStream: this.stream }).connect(this.analyser);
  }

  // The strongest pitch now in Hz, or null for silence.
  pitch() {
    const spectrum = new Float32Array(this.analyser.frequencyBinCount);
    this.analyser.getFloatFrequencyData(spectrum);
    const strongest = spectrum.indexOf(Math.max(...spectrum));
    return spectrum[strongest] > AUDIBLE ? (strongest * this.context.sampleRate) / FFT : null;
  }
}

class Picture extends Track {
  constructor(consumer) {
    super(consumer, document.createElement("video"));
  }

  // The colour in the middle as a word, or null while there is no picture.
  colour() {
    const { videoWidth, videoHeight } = this.player;
    if (videoWidth === 0) return null;
    const canvas = new OffscreenCanvas(1, 1).getContext("2d");
    canvas.drawImage(this.player, videoWidth / 2, videoHeight / 2, 1, 1, 0, 0, 1, 1);
    const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
    if (Math.max(red, green, blue) < 100) return null;
    return red > green && red > blue ? "red" : green > blue ? "green" : "blue";
  }
}

// What the browser counts of a track, and its codec.
async function count(track, type) {
  const all = [...(await track.getStats()).values()];
  const found = all.find((one) => one.type === type) ?? {};
  return { ...found, mimeType: all.find((one) => one.id === found.codecId)?.mimeType };
}

function falsified(dtlsParameters) {
  const fingerprints = dtlsParameters.fingerprints.map((one) => ({ ...one, value: one.value.replace(/../g, "5A") }));
  return { ...dtlsParameters, fingerprints };
}

// What `look` finds, once it finds something.
async function until(look, explain) {
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(await explain());
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

window.call = new Call();
