// BLE: the service that a code stands for, fragments, and a session, both ends of it. Written from docs/protocols/ble.md.
import { createHash } from "node:crypto";

const NAMESPACE = Buffer.from("4b45535341494001800000000000" + "0000", "hex");
const MAX_VALUE = 512;
const ATT_HEADER = 3;

export function serviceUuid(code) {
  const id = createHash("sha1").update(NAMESPACE).update(code, "ascii").digest().subarray(0, 16);
  id[6] = (id[6] & 0x0f) | 0x50;
  id[8] = (id[8] & 0x3f) | 0x80;
  return id.toString("hex").replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");
}

export function fragments(message, mtu) {
  const size = Math.min(mtu - ATT_HEADER, MAX_VALUE) - 1;
  const values = [];
  for (let at = 0; at === 0 || at < message.length; at += size) {
    const more = at + size < message.length ? 1 : 0;
    values.push(Buffer.concat([Buffer.from([more]), message.subarray(at, at + size)]));
  }
  return values;
}

export const STATE = "4b455353-4149-4001-8000-000000000001";
export const CLIENT_TO_SERVER = "4b455353-4149-4001-8000-000000000002";
export const SERVER_TO_CLIENT = "4b455353-4149-4001-8000-000000000003";
const CCCD = "2902";
const ON = Buffer.from([1, 0]);
const BEGIN = Buffer.from([1]);
export const END = Buffer.from([2]);
const MAX_MESSAGE = 65536;

// Puts fragments together: a message after its last one, null before, and an error for anything else.
class Incoming {
  parts = [];

  take(value) {
    this.parts.push(value.subarray(1));
    const whole = Buffer.concat(this.parts);
    if (value[0] !== 1) this.parts = [];
    if (value[0] > 1 || value.length < 1 || whole.length > MAX_MESSAGE) throw new Error("no fragment");
    return value[0] ? null : whole;
  }
}

// The phone's app as a GATT server: what is written to it, and what it notifies to a central.
export class Peripheral {
  constructor(answer, mtu, notify) {
    Object.assign(this, { answer, mtu, notify, incoming: new Incoming(), subscribed: new Set() });
  }

  writeDescriptor(characteristic, descriptor, value) {
    if (descriptor !== CCCD) throw new Error("no such descriptor");
    if (value.equals(ON)) this.subscribed.add(characteristic);
    else this.subscribed.delete(characteristic);
  }

  write(characteristic, value) {
    if (value.length > Math.min(this.mtu - ATT_HEADER, MAX_VALUE)) throw new Error("too long for the MTU");
    if (characteristic === STATE) this.incoming = new Incoming();
    if (characteristic !== CLIENT_TO_SERVER) return;
    const message = this.incoming.take(value);
    if (message === null) return;
    for (const fragment of fragments(this.answer(message), this.mtu)) {
      if (this.subscribed.has(SERVER_TO_CLIENT)) this.notify(SERVER_TO_CLIENT, fragment);
    }
  }
}

// The terminal as the central of one session; `exchange` takes a message and gives its answer.
export function connect(answer, mtu) {
  const incoming = new Incoming();
  let heard = null;
  const phone = new Peripheral(answer, mtu, (characteristic, value) => {
    if (characteristic === SERVER_TO_CLIENT) heard = incoming.take(value) ?? heard;
  });
  for (const characteristic of [SERVER_TO_CLIENT, STATE]) phone.writeDescriptor(characteristic, CCCD, ON);
  phone.write(STATE, BEGIN);
  const exchange = async (message) => {
    heard = null;
    for (const fragment of fragments(message, mtu)) phone.write(CLIENT_TO_SERVER, fragment);
    if (heard === null) throw new Error("no answer");
    return heard;
  };
  return { exchange, phone, hangUp: () => phone.write(STATE, END) };
}
