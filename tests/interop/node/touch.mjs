// A phone in Node, for whom a test plays the hand: it lies in readers' fields.
//
//   PROTOS=... node touch.mjs
//
// Reads lines of JSON and answers each with one: {"pair": URI}, then {"certify": true},
// {"lie": PORT} or {"advertise": [SOCKET, CODE]}, {"leave": true}, {"buy": {"till": URI, "offer": {...}}}, which buys a ticket from a till
// in Node, and {"shown": "text"}, which waits until the phone has shown that.
import { createInterface } from "node:readline";
import { advertise } from "./gatt.mjs";
import { lieInField } from "./nfc.mjs";
import { Phone } from "./phone.mjs";
import { Terminal } from "./terminal.mjs";

const LIMIT_MS = 30_000;
let phone, field;

const DO = {
  pair: async (uri) => {
    phone = await Phone.pair(uri);
    return phone.account;
  },
  certify: () => phone.certify().then(() => phone.credential.rider_category),
  lie: async (port) => {
    field = await lieInField(port, (message) => phone.answer(message));
    return port;
  },
  advertise: async ([socket, code]) => {
    field = await advertise(socket, code, (message) => phone.answer(message));
    return code;
  },
  leave: () => field.leave(),
  buy: async ({ till: uri, offer }) => {
    const till = await Terminal.pair(uri);
    const order = { ticket_orders: [{ offer_id: offer.offer_id, count: 1 }] };
    const paid = await till.pay(async (message) => phone.answer(message), till.request("ticket", offer.price, order));
    return paid.phone;
  },
  shown: async (text) => {
    const until = Date.now() + LIMIT_MS;
    while (!phone.shown.some((line) => line.includes(text))) {
      if (Date.now() > until) throw new Error(`never showed "${text}", but ${JSON.stringify(phone.shown)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return phone.shown.splice(0).at(-1);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [[verb, what]] = Object.entries(JSON.parse(line));
  const told = await DO[verb](what);
  console.log(JSON.stringify(told ?? true));
}
process.exit(0);
