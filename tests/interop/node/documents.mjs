// Documents: keys, signing, verifying, sealing. Written from docs/protocols/documents.md.
import crypto from "node:crypto";
import { deserialize, serialize, type } from "./protos.mjs";

export const sha256 = (...parts) => {
  const hash = crypto.createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};
export const prefix = (name) => Buffer.from(`kessai/${name}/v1\0`);

const ED25519 = 1;
const P256 = 2;
const MAX_PAYLOAD = 57344;
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const LAST_SECOND = 253402214400n;

// --- keys ------------------------------------------------------------------------------------

const b64 = (bytes) => Buffer.from(bytes).toString("base64url");
const unb64 = (text) => Buffer.from(text, "base64url");

export const newP256 = () => crypto.generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
export const newEd25519 = () => crypto.generateKeyPairSync("ed25519").privateKey;

export function rawPublic(key) {
  const jwk = key.export({ format: "jwk" });
  if (jwk.crv === "P-256") return Buffer.concat([Buffer.from([4]), unb64(jwk.x), unb64(jwk.y)]);
  return unb64(jwk.x);
}

export function loadPublic(raw) {
  if (!isP256(raw) && !isEd25519(raw)) throw new Refused("key", "no public key in its one form");
  if (raw.length === 32) return loadOkp("Ed25519", raw);
  const [x, y] = [raw.subarray(1, 33), raw.subarray(33)].map(b64);
  return crypto.createPublicKey({ format: "jwk", key: { kty: "EC", crv: "P-256", x, y } });
}

const big = (bytes) => BigInt("0x" + Buffer.from(bytes).toString("hex"));
const mod = (value, prime) => ((value % prime) + prime) % prime;
function power(base, exponent, prime) {
  let result = 1n;
  for (base = mod(base, prime); exponent; exponent >>= 1n, base = (base * base) % prime) {
    if (exponent & 1n) result = (result * base) % prime;
  }
  return result;
}

const P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
function isP256(raw) {
  if (raw.length !== 65 || raw[0] !== 4) return false;
  const [x, y] = [big(raw.subarray(1, 33)), big(raw.subarray(33))];
  return x < P && y < P && mod(y * y - (x * x * x - 3n * x + B), P) === 0n;
}

const Q = 2n ** 255n - 19n;
const D = mod(-121665n * power(121666n, Q - 2n, Q), Q);
// Of a point of small order y is 0, 1, -1, or one of these two.
const Y8 = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n;
const SMALL = [0n, 1n, Q - 1n, Y8, Q - Y8];
function isEd25519(raw) {
  if (raw.length !== 32) return false;
  const y = big(Buffer.from(raw).reverse()) & (2n ** 255n - 1n);
  if (y >= Q || SMALL.includes(y)) return false;
  const square = mod((y * y - 1n) * power(D * y * y + 1n, Q - 2n, Q), Q);
  if (power(square, (Q - 1n) / 2n, Q) !== 1n) return false; // there is no such x
  let x = power(square, (Q + 3n) / 8n, Q);
  if (mod(x * x - square, Q) !== 0n) x = mod(x * power(2n, (Q - 1n) / 4n, Q), Q);
  return isOfPrimeOrder([x, y, 1n, mod(x * y, Q)]);
}

// In extended coordinates (RFC 8032, 5.1.4): GROUP times the point is the neutral one.
const GROUP = 2n ** 252n + 27742317777372353535851937790883648493n;
function addPoints([x1, y1, z1, t1], [x2, y2, z2, t2]) {
  const [a, b] = [(y1 - x1) * (y2 - x2), (y1 + x1) * (y2 + x2)];
  const [c, d] = [2n * D * t1 * t2, 2n * z1 * z2];
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return [mod(e * f, Q), mod(g * h, Q), mod(f * g, Q), mod(e * h, Q)];
}
function isOfPrimeOrder(point) {
  let product = point;
  for (const bit of GROUP.toString(2).slice(1)) {
    product = addPoints(product, product);
    if (bit === "1") product = addPoints(product, point);
  }
  return product[0] === 0n && product[1] === product[2];
}

export const loadOkp = (crv, raw, d) => {
  const key = { kty: "OKP", crv, x: b64(raw), ...(d && { d: b64(d) }) };
  return d ? crypto.createPrivateKey({ format: "jwk", key }) : crypto.createPublicKey({ format: "jwk", key });
};

export function loadPrivate(algorithm, scalar, publicRaw) {
  if (algorithm === "ED25519") return loadOkp("Ed25519", publicRaw, scalar);
  const [x, y] = [publicRaw.subarray(1, 33), publicRaw.subarray(33)].map(b64);
  return crypto.createPrivateKey({ format: "jwk", key: { kty: "EC", crv: "P-256", x, y, d: b64(scalar) } });
}

export const keyId = (raw) => sha256(raw).subarray(0, 16);
const algorithmOf = (key) => (key.asymmetricKeyType === "ed25519" ? ED25519 : P256);

// --- signing ---------------------------------------------------------------------------------

export class Refused extends Error {
  constructor(why, message) {
    super(message);
    this.why = why;
  }
}

export function signBytes(message, key) {
  if (algorithmOf(key) === ED25519) return crypto.sign(null, message, key);
  const signature = crypto.sign("sha256", message, { key, dsaEncoding: "ieee-p1363" });
  const s = BigInt("0x" + signature.subarray(32).toString("hex"));
  if (s <= ORDER / 2n) return signature;
  const low = (ORDER - s).toString(16).padStart(64, "0");
  return Buffer.concat([signature.subarray(0, 32), Buffer.from(low, "hex")]);
}

export function verifyBytes(message, signature, key) {
  if (signature.length !== 64) return false;
  if (algorithmOf(key) === ED25519) return crypto.verify(null, message, key, signature);
  if (BigInt("0x" + signature.subarray(32).toString("hex")) > ORDER / 2n) return false;
  return crypto.verify("sha256", message, { key, dsaEncoding: "ieee-p1363" }, signature);
}

export function sign(documentType, message, document, key) {
  const payload = serializeOnce(message, document);
  return {
    type: documentType,
    key_id: keyId(rawPublic(key)),
    algorithm: algorithmOf(key),
    payload,
    signature: signBytes(Buffer.concat([prefix(documentType), payload]), key),
  };
}

export function open(signed, documentType, message, publicRaw) {
  const refuse = (why, text) => {
    throw new Refused(why, `${documentType}: ${text}`);
  };
  const key = loadPublic(publicRaw);
  const payload = signed.payload ?? Buffer.alloc(0);
  if ((signed.type ?? "") !== documentType) refuse("signature", `is a "${signed.type}"`);
  if (signed.algorithm !== algorithmOf(key)) refuse("signature", "has another algorithm");
  if (!keyId(publicRaw).equals(signed.key_id ?? Buffer.alloc(0))) refuse("signature", "names another key");
  const input = Buffer.concat([prefix(documentType), payload]);
  if (!verifyBytes(input, signed.signature ?? Buffer.alloc(0), key)) refuse("signature", "does not verify");
  if (payload.length > MAX_PAYLOAD) refuse("document", "is too long");
  return parseOnce(payload, message);
}

// The one encoding: a document that comes back to other bytes is malformed.
export function parseOnce(payload, message) {
  let document;
  try {
    document = deserialize(message, payload);
  } catch {
    throw new Refused("document", "cannot be parsed");
  }
  if (!serializeOnce(message, document).equals(payload)) throw new Refused("document", "another encoding");
  checkTimes(message, document);
  return document;
}

export const serializeOnce = (message, document) => serialize(message, withoutDefaults(message, document));

// protobufjs writes whatever was set, also a default: so defaults are taken out.
function withoutDefaults(message, document) {
  const kept = {};
  for (const field of type(message).field) {
    const value = document[field.name];
    if (value === undefined || value === null) continue;
    if (field.label === "LABEL_REPEATED") {
      if (value.length) kept[field.name] = value.map((each) => inner(field, each));
    } else if (field.type === "TYPE_MESSAGE" || !isDefault(value)) {
      kept[field.name] = inner(field, value);
    }
  }
  return kept;
}

const inner = (field, value) =>
  field.type === "TYPE_MESSAGE" ? withoutDefaults(qualified(field), value) : value;

export const qualified = (field) => {
  const name = field.typeName.replace(/^\./, "");
  return name.includes(".") ? name : name === "Timestamp" ? "google.protobuf.Timestamp" : `kessai.v1.${name}`;
};

const isDefault = (value) =>
  value === "" || value === 0 || value === "0" || value === false || (value.length === 0 && value instanceof Uint8Array);

function checkTimes(message, document) {
  if (message === "google.protobuf.Timestamp") {
    const [seconds, nanos] = [BigInt(document.seconds ?? 0), document.nanos ?? 0];
    if (seconds < 0n || seconds > LAST_SECOND || nanos < 0 || nanos > 999999000 || nanos % 1000) {
      throw new Refused("document", "a time is out of range");
    }
    return;
  }
  for (const field of type(message).field) {
    const value = document[field.name];
    if (field.type !== "TYPE_MESSAGE" || !value) continue;
    for (const each of field.label === "LABEL_REPEATED" ? value : [value]) checkTimes(qualified(field), each);
  }
}

// --- sealing: HPKE, base mode ----------------------------------------------------------------

const KEM_SUITE = Buffer.concat([Buffer.from("KEM"), Buffer.from([0, 0x20])]);
const SUITE = Buffer.concat([Buffer.from("HPKE"), Buffer.from([0, 0x20, 0, 1, 0, 3])]);
const NONE = Buffer.alloc(0);
const hmac = (key, data) => crypto.createHmac("sha256", key).update(data).digest();
const extract = (suite, salt, label, ikm) =>
  hmac(salt.length ? salt : Buffer.alloc(32), Buffer.concat([Buffer.from("HPKE-v1"), suite, Buffer.from(label), ikm]));
const expand = (suite, prk, label, info, length) => {
  const size = Buffer.from([0, length]);
  const message = Buffer.concat([size, Buffer.from("HPKE-v1"), suite, Buffer.from(label), info, Buffer.from([1])]);
  return hmac(prk, message).subarray(0, length);
};

function context(dh, encapsulated, recipientRaw, info) {
  const kem = Buffer.concat([encapsulated, recipientRaw]);
  const shared = expand(KEM_SUITE, extract(KEM_SUITE, NONE, "eae_prk", dh), "shared_secret", kem, 32);
  const schedule = Buffer.concat([
    Buffer.from([0]),
    extract(SUITE, NONE, "psk_id_hash", NONE),
    extract(SUITE, NONE, "info_hash", info),
  ]);
  const secret = extract(SUITE, shared, "secret", NONE);
  return [expand(SUITE, secret, "key", schedule, 32), expand(SUITE, secret, "base_nonce", schedule, 12)];
}

export function seal(plaintext, recipientRaw, info, ephemeral = crypto.generateKeyPairSync("x25519").privateKey) {
  const encapsulated = rawPublic(ephemeral);
  const publicKey = loadOkp("X25519", recipientRaw);
  const dh = crypto.diffieHellman({ privateKey: ephemeral, publicKey });
  const [key, nonce] = context(dh, encapsulated, recipientRaw, info);
  const cipher = crypto.createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: 16 });
  const sealed = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  return { key_id: keyId(recipientRaw), ciphertext: Buffer.concat([encapsulated, sealed]) };
}

export function unseal(sealed, privateKey, info) {
  const recipientRaw = rawPublic(privateKey);
  const ciphertext = sealed.ciphertext ?? NONE;
  if (!keyId(recipientRaw).equals(sealed.key_id ?? NONE)) throw new Refused("seal", "another key");
  if (ciphertext.length < 48) throw new Refused("seal", "too short");
  const encapsulated = ciphertext.subarray(0, 32);
  const dh = crypto.diffieHellman({ privateKey, publicKey: loadOkp("X25519", encapsulated) });
  const [key, nonce] = context(dh, encapsulated, recipientRaw, info);
  const decipher = crypto.createDecipheriv("chacha20-poly1305", key, nonce, { authTagLength: 16 });
  decipher.setAuthTag(ciphertext.subarray(-16));
  return Buffer.concat([decipher.update(ciphertext.subarray(32, -16)), decipher.final()]);
}

export const sealedHash = (sealed) => sha256(sha256(sealed.key_id), sha256(sealed.ciphertext));

// --- ids, times, account numbers -------------------------------------------------------------

export function newId(milliseconds = Date.now(), random = crypto.randomBytes(10)) {
  const id = Buffer.concat([Buffer.alloc(6), random]);
  id.writeUIntBE(milliseconds, 0, 6);
  id[6] = (id[6] & 0x0f) | 0x70;
  id[8] = (id[8] & 0x3f) | 0x80;
  return id;
}

export const idText = (id) =>
  id.toString("hex").replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");

const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
export const isIdText = (text) => UUID7.test(text);

export const timeIn = (seconds, now = Date.now()) => {
  const at = now + seconds * 1000;
  return { seconds: String(Math.floor(at / 1000)), nanos: (at % 1000) * 1_000_000 };
};
export const micros = (time) => BigInt(time?.seconds ?? 0) * 1_000_000n + BigInt(Math.floor((time?.nanos ?? 0) / 1000));
export const nowMicros = () => BigInt(Date.now()) * 1000n;

// Plain text: printable characters and blanks between them, in NFC.
const PLAIN = /^(?! )(?:[^\p{C}\p{Z}]| )+(?<! )$/u;
export const isPlain = (text = "", longest) =>
  PLAIN.test(text) && [...text].length <= longest && text.normalize("NFC") === text;

export const isAccount = (digits) => /^[0-9]{14}$/.test(digits) && BigInt(digits) % 97n === 1n;
export function accountOf(branch, number) {
  const head = String(branch).padStart(4, "0") + String(number).padStart(8, "0");
  const check = 98n - (BigInt(head) * 100n) % 97n;
  return head + String(check).padStart(2, "0");
}

// --- challenges (docs/protocols/holders.md) --------------------------------------------------

export const nonceChallenge = (nonce) => sha256(prefix("nonce"), nonce);
export function ticketChallenge(nonce, ticketHash, persons, amountMinor) {
  const counts = Buffer.alloc(amountMinor ? 12 : 4);
  counts.writeUInt32BE(persons, 0);
  if (amountMinor) counts.writeBigInt64BE(BigInt(amountMinor), 4);
  return sha256(prefix("ticket-nonce"), nonce, ticketHash, counts);
}
