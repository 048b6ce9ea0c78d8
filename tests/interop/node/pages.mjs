// Computes the worked examples of docs/protocols; prints them as lines of the pages, by page.
//
//   PROTOS=... node pages.mjs VECTORS
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fragments, serviceUuid } from "./ble.mjs";
import * as d from "./documents.mjs";
import { parseCode } from "./enrol.mjs";
import { CardService, exchange, SELECT } from "./nfc.mjs";
import { numbers, serialize } from "./protos.mjs";

const read = (name) => JSON.parse(readFileSync(join(process.argv[2], `${name}.json`)));
const hex = (text) => Buffer.from(text, "hex");
const text = (bytes) => Buffer.from(bytes).toString("hex");

function documents() {
  const { keys, valid } = read("envelope");
  const { terminal } = keys;
  const key = d.loadPrivate(terminal.algorithm, hex(terminal.private_key), hex(terminal.public_key));
  const [{ type }] = valid;
  const money = { amount_minor: "748", currency_code: "EUR" };
  const signed = d.sign(type, "kessai.v1.Money", money, key);
  return {
    type,
    payload: text(signed.payload),
    "private key": terminal.private_key,
    "public key": text(d.rawPublic(key)),
    key_id: text(signed.key_id),
    "signing input": text(Buffer.concat([d.prefix(type), signed.payload])),
    signature: text(signed.signature),
    signed: text(d.serializeOnce("kessai.v1.Signed", signed)),
  };
}

function holders() {
  const { challenges } = read("holder_proof");
  const nonce = Buffer.concat([Buffer.alloc(8), hex(challenges["a terminal's nonce"].nonce).subarray(8)]);
  nonce.writeBigUInt64BE(BigInt(Date.UTC(2026, 0, 1, 12)) * 1000n);
  const ticket = d.sha256(hex(read("ticket").valid[0].payload));
  const { request_id } = read("enrolment").holder_key_proof;
  return {
    nonce: text(nonce),
    challenge: text(d.nonceChallenge(nonce)),
    persons: "00000002",
    ticket: text(ticket),
    "ticket challenge": text(d.ticketChallenge(nonce, ticket, 2, 0)),
    request_id,
    "key proof over": text(Buffer.concat([d.prefix("holder"), hex(request_id.replaceAll("-", ""))])),
  };
}

function tap() {
  const session = { session_id: Buffer.from([...Array(16).keys()]), sequence: 2 };
  const asked = { inquire_payment: { request_hash: Buffer.alloc(32, 0x11) } };
  return {
    request: text(serialize("kessai.v1.TapRequest", { ...session, ...asked })),
    response: text(serialize("kessai.v1.TapResponse", { ...session, status: numbers("TapStatus").CUSTOMER_DECIDING })),
  };
}

async function nfc() {
  const message = Buffer.from([...Array(300).keys()].map((n) => n % 256));
  const phone = new CardService(() => Buffer.alloc(260, 0xaa));
  const [commands, responses] = [[], []];
  const transceive = async (apdu) => {
    commands.push(apdu);
    responses.push(phone.process(apdu));
    return responses.at(-1);
  };
  await transceive(SELECT);
  await exchange(transceive, message);
  const split = (response) => `${response.length - 2} bytes and ${text(response.subarray(-2))}`;
  const hash = (apdu) => createHash("sha256").update(apdu).digest("hex").slice(0, 16);
  const [select, first, last, fetch] = commands;
  return {
    select: text(select),
    selected: text(responses[0]),
    first: `${text(first.subarray(0, 5))} and ${first.length - 5} bytes`,
    acknowledge: text(responses[1]),
    last: `${text(last.subarray(0, 5))}, ${last.length - 6} bytes, ${text(last.subarray(-1))}`,
    sha256: [first, last].map(hash).join(" "),
    piece: split(responses[2]),
    fetch: text(fetch),
    rest: split(responses[3]),
  };
}

function ble() {
  const values = fragments(Buffer.from([...Array(30).keys()]), 23).map(text);
  return { service: serviceUuid("0417"), "value 1": values[0], "value 2": values[1] };
}

function enrolment() {
  const file = read("enrolment");
  const [{ code, uri }] = file.pairing_uris.valid;
  const proof = file.enrolment_proofs.find(({ key }) => key === "phone");
  const phone = file.keys.phone.public_key;
  const message = Buffer.concat([d.prefix("enroll"), hex(file.signing_request)]);
  if (!d.verifyBytes(message, hex(proof.proof), d.loadPublic(hex(phone)))) throw new Error("the proof");
  return { code, "raw code": text(parseCode(code)), uri, phone, prefix: text(d.prefix("enroll")), proof: proof.proof };
}

const pages = { documents, enrolment, holders, tap, nfc, ble };
const told = {};
for (const [name, compute] of Object.entries(pages)) told[`${name}.md`] = await compute();
console.log(JSON.stringify(told));
