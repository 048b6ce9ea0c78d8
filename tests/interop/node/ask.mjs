// A till in Node that asks the phone in a field to pay.
//
//   PROTOS=... node ask.mjs PORT PAIRING_URI MINOR
import { Reader } from "./nfc.mjs";
import { Terminal } from "./terminal.mjs";

const [port, uri, minor] = process.argv.slice(2);
const till = await Terminal.pair(uri);
const reader = new Reader(+port);
const link = await reader.find(30_000);
const { outcome, reason, phone } = await till.pay(link, till.request("over-nfc", +minor));
console.log(JSON.stringify({ outcome, reason, phone }));
process.exit(0);
