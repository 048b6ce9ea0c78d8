// BLE: the service that a code stands for, and fragments. Written from docs/protocols/ble.md.
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
