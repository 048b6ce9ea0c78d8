// Reproduces the valid test vectors and refuses the invalid ones; prints what was checked, by file.
//
//   PROTOS=... node vectors.mjs FOLDER
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import * as d from "./documents.mjs";
import { parsePairing, parseCode } from "./enrol.mjs";
import { deserialize } from "./protos.mjs";
import { asRequest, check } from "./rules.mjs";

const folder = process.argv[2];
const hex = (text) => Buffer.from(text, "hex");
const read = (name) => JSON.parse(readFileSync(join(folder, name)));
const same = (what, is, should) => {
  if (String(is) !== String(should)) throw new Error(`${what}: ${is}, not ${should}`);
};
const privateOf = (key) => d.loadPrivate(key.algorithm, hex(key.private_key), hex(key.public_key));

function refuses(what, why, work) {
  try {
    work();
  } catch (error) {
    if (why && error.why !== why) throw new Error(`${what}: ${error.stack}`);
    return;
  }
  throw new Error(`${what}: was not refused`);
}

function documents(file) {
  for (const one of file.valid) {
    const key = file.keys[one.key];
    const signed = deserialize("kessai.v1.Signed", hex(one.signed));
    const document = d.open(signed, one.type, file.message, hex(key.public_key));
    same("payload", d.serializeOnce(file.message, document).toString("hex"), one.payload);
    same("sha256", d.sha256(hex(one.payload)).toString("hex"), one.sha256);
    same("input", Buffer.concat([d.prefix(one.type), hex(one.payload)]).toString("hex"), one.signing_input);
    const again = d.sign(one.type, file.message, document, privateOf(key));
    d.open(again, one.type, file.message, hex(key.public_key));
    if (one.type === "payment-request") check(document, document);
    if (one.type === "bill") check(asRequest(document), {});
    if (key.algorithm === "ED25519") same("signed", d.serializeOnce("kessai.v1.Signed", again).toString("hex"), one.signed);
  }
  for (const one of file.invalid) {
    refuses(one.name, one.refused_for, () => {
      const signed = deserialize("kessai.v1.Signed", hex(one.signed));
      d.open(signed, one.expected_type, file.message, hex(file.keys[one.key].public_key));
    });
  }
  for (const one of file.malformed ?? []) malformed(file, one);
  return file.valid.length + file.invalid.length + (file.malformed?.length ?? 0);
}

// Well signed and well encoded, and against a rule.
function malformed(file, one) {
  const signed = deserialize("kessai.v1.Signed", hex(one.signed));
  const document = d.open(signed, one.type, file.message, hex(file.keys[one.key].public_key));
  const by = { merchant_id: document.merchant_id, terminal_id: document.terminal_id };
  refuses(one.name, "rule", () => check(one.type === "bill" ? asRequest(document) : document, by));
}

function sealed(file) {
  const key = d.loadOkp("X25519", hex(file.public_key), hex(file.private_key));
  const [one] = file.valid;
  const ephemeralRaw = hex(one.ciphertext).subarray(0, 32);
  const ephemeral = d.loadOkp("X25519", ephemeralRaw, hex(one.ephemeral_private_key));
  const made = d.seal(hex(one.plaintext), hex(file.public_key), hex(one.info), ephemeral);
  same("sealed", d.serializeOnce("kessai.v1.Sealed", made).toString("hex"), one.sealed);
  same("opened", d.unseal(made, key, hex(one.info)).toString("hex"), one.plaintext);
  for (const bad of file.invalid) {
    refuses(bad.name, "", () => d.unseal(deserialize("kessai.v1.Sealed", hex(bad.sealed)), key, hex(bad.info)));
  }
  return 1 + file.invalid.length;
}

function accounts(file) {
  for (const one of file.valid) {
    same("digits", d.accountOf(one.branch, one.number), one.digits);
    if (!d.isAccount(one.digits)) throw new Error(one.digits);
  }
  for (const one of file.invalid) if (d.isAccount(one.text)) throw new Error(one.text);
  return file.valid.length + file.invalid.length;
}

function ids(file) {
  for (const one of file.valid) {
    const id = d.newId(one.time_ms, hex(one.random));
    same("id", id.toString("hex"), one.bytes);
    same("text", d.idText(id), one.text);
    if (!d.isIdText(one.text)) throw new Error(one.text);
  }
  for (const one of file.invalid) if (d.isIdText(one.text)) throw new Error(one.text);
  return file.valid.length + file.invalid.length;
}

function enrolment(file) {
  const { pairing_codes: codes, pairing_uris: uris } = file;
  for (const one of codes.valid) same(one.name, parseCode(one.text).toString("hex"), one.bytes);
  for (const one of codes.invalid) refuses(one.name, "", () => parseCode(one.text));
  for (const one of uris.valid) {
    const read = parsePairing(one.uri);
    same("server", read.server, one.server);
    same("code", read.code, one.code);
    same("root", read.root.toString("hex"), one.root);
  }
  for (const one of uris.invalid) refuses(one.name, "", () => parsePairing(one.uri));
  const proofs = [...file.enrolment_proofs, file.holder_key_proof];
  for (const one of proofs) {
    const key = file.keys[one.key];
    if (!d.verifyBytes(hex(one.message), hex(one.proof), d.loadPublic(hex(key.public_key)))) throw new Error(one.key);
  }
  const request = hex(file.signing_request);
  same("message", Buffer.concat([d.prefix("enroll"), request]).toString("hex"), proofs[0].message);
  const asked = hex(file.holder_key_proof.request_id.replaceAll("-", ""));
  same("message", Buffer.concat([d.prefix("holder"), asked]).toString("hex"), proofs[2].message);
  return codes.valid.length + codes.invalid.length + uris.valid.length + uris.invalid.length + proofs.length;
}

function challenges(all) {
  for (const [name, one] of Object.entries(all)) {
    const parts = { nonce: () => d.nonceChallenge(hex(one.nonce)), request: () => hex(one.request_hash) };
    let made;
    if (one.ticket_sha256) made = d.ticketChallenge(hex(one.nonce), hex(one.ticket_sha256), one.persons, one.amount_minor);
    else made = (one.nonce ? parts.nonce : parts.request)();
    same(name, made.toString("hex"), one.challenge);
    if (one.sealed) same(name, d.sealedHash(deserialize("kessai.v1.Sealed", hex(one.sealed))).toString("hex"), one.sealed_hash);
  }
}

function publicKeys(file) {
  for (const one of file.valid) d.loadPublic(hex(one.public_key));
  for (const one of file.invalid) refuses(one.name, "key", () => d.loadPublic(hex(one.public_key)));
  return file.valid.length + file.invalid.length;
}

const special = { "public_key.json": publicKeys, "sealed.json": sealed, "account_number.json": accounts, "request_id.json": ids, "enrolment.json": enrolment };
const checked = {};
for (const name of readdirSync(folder).filter((each) => each.endsWith(".json"))) {
  const file = read(name);
  try {
    checked[name] = (special[name] ?? documents)(file);
    if (file.challenges) challenges(file.challenges);
  } catch (error) {
    throw new Error(`${name}: ${error.stack}`);
  }
}
console.log(JSON.stringify(checked));
