// mediasoup's negotiation, which runs without its native worker, as an oracle.
//
// usage: node ortc.js; reads JSON lines {router, kind, producer, consumer}, and answers each with what a consumer with
// those capabilities is to receive of that producer: {payloadTypes, parameters}, or {unsupported}.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const inside = fileURLToPath(new URL("node_modules/mediasoup/node/lib/ortc.js", import.meta.url)); // it is not exported
const ortc = createRequire(import.meta.url)(inside);

function negotiate({ router, kind, producer, consumer }) {
  ortc.validateRtpCapabilities(router);
  ortc.validateRtpParameters(producer);
  ortc.validateRtpCapabilities(consumer);
  const mapping = ortc.getProducerRtpParametersMapping(producer, router);
  const consumable = ortc.getConsumableRtpParameters(kind, producer, router, mapping);
  const asked = { consumableRtpParameters: consumable, remoteRtpCapabilities: consumer, pipe: false, enableRtx: true };
  return {
    payloadTypes: mapping.codecs.map((codec) => [codec.payloadType, codec.mappedPayloadType]),
    parameters: ortc.getConsumerRtpParameters(asked),
  };
}

function answer(line) {
  try {
    return negotiate(JSON.parse(line));
  } catch (error) {
    if (error.name !== "UnsupportedError") throw error;
    return { unsupported: error.message };
  }
}

for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(answer(line)));
