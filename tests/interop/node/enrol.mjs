// Enrolment, and lines to the switch. Written from docs/protocols/enrolment.md and calls.md.
import crypto from "node:crypto";
import tls from "node:tls";
import grpc from "@grpc/grpc-js";
import { deserialize, serialize, services } from "./protos.mjs";
import { loadPublic, newP256, open, prefix, rawPublic, sha256, signBytes } from "./documents.mjs";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

export function parseCode(text) {
  const digits = text.toUpperCase().replace(/[- ]/g, "").replace(/[IL]/g, "1").replace(/O/g, "0");
  if (digits.length !== 26 || [...digits].some((digit) => !ALPHABET.includes(digit))) throw new Error("no code");
  const value = [...digits].reduce((sum, digit) => sum * 32n + BigInt(ALPHABET.indexOf(digit)), 0n);
  if (value >> 128n) throw new Error("more than 128 bits");
  return Buffer.from(value.toString(16).padStart(32, "0"), "hex");
}

export function parsePairing(text) {
  const url = new URL(text.trim());
  if (url.protocol !== "kessai:" || url.host !== "pair") throw new Error("not kessai://pair");
  const field = (name) => {
    const all = url.searchParams.getAll(name);
    if (all.length !== 1) throw new Error(`${name}: once`);
    return all[0];
  };
  const [server, code, root] = ["server", "code", "root"].map(field);
  const parts = /^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})$/.exec(server);
  if (!parts || !(+parts[2] > 0 && +parts[2] < 65536)) throw new Error("server");
  if (!/^[0-9a-fA-F]{64}$/.test(root)) throw new Error("root");
  parseCode(code);
  return { server, code, root: Buffer.from(root, "hex"), host: parts[1].replace(/[[\]]/g, ""), port: +parts[2] };
}

// DER by hand: Node has no maker of PKCS #10 requests.
const der = (tag, ...parts) => {
  const body = Buffer.concat(parts);
  const length = body.length < 128 ? [body.length] : body.length < 256 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
};
const ECDSA_SHA256 = Buffer.from("06082a8648ce3d040302", "hex");

export function signingRequest(key) {
  const spki = crypto.createPublicKey(key).export({ type: "spki", format: "der" });
  const info = der(0x30, Buffer.from("020100", "hex"), der(0x30), spki, der(0xa0));
  const signature = crypto.sign("sha256", info, key);
  return der(0x30, info, der(0x30, ECDSA_SHA256), der(0x03, Buffer.from([0]), signature));
}

const pem = (raw) => `-----BEGIN CERTIFICATE-----\n${raw.toString("base64").match(/.{1,64}/g).join("\n")}\n-----END CERTIFICATE-----\n`;

function fetchRoot({ host, port, root }) {
  return new Promise((resolve, reject) => {
    const line = tls.connect({ host, port, rejectUnauthorized: false, ALPNProtocols: ["h2"] }, () => {
      const seen = new Set();
      for (let each = line.getPeerX509Certificate(); each && !seen.has(each.fingerprint256); each = each.issuerCertificate) {
        seen.add(each.fingerprint256);
        if (sha256(each.raw).equals(root)) resolve(pem(each.raw));
      }
      line.destroy();
      reject(new Error("another switch"));
    });
    line.on("error", reject);
  });
}

export async function enrol(uri, documentKey) {
  const pairing = parsePairing(uri);
  const rootPem = await fetchRoot(pairing);
  const tlsKey = newP256();
  const request = signingRequest(tlsKey);
  const channel = grpc.credentials.createSsl(Buffer.from(rootPem));
  const answer = await call(new services.EnrollmentService(pairing.server, channel), "EnrollDevice", {
    pairing_code: pairing.code,
    certificate_signing_request: request,
    signing_public_key: rawPublic(documentKey),
    signing_key_proof: signBytes(Buffer.concat([prefix("enroll"), request]), documentKey),
    software_version: "interop 1",
  });
  checkAnswer(answer, pairing, rootPem, tlsKey, documentKey);
  const [, , , kind, owner, name] = answer.identity.split("/");
  const key = Buffer.from(tlsKey.export({ type: "pkcs8", format: "pem" }));
  const credentials = grpc.credentials.createSsl(Buffer.from(rootPem), key, answer.certificate_chain);
  return { ...answer, ...answer.trust_bundle, kind, owner, name, credentials, documentKey };
}

function checkAnswer(answer, pairing, rootPem, tlsKey, documentKey) {
  const [leaf, issuer, ...more] = answer.certificate_chain
    .toString()
    .split(/(?<=-----END CERTIFICATE-----\n)/)
    .filter((text) => text.trim())
    .map((text) => new crypto.X509Certificate(text));
  const root = new crypto.X509Certificate(rootPem);
  const good =
    !more.length &&
    leaf.verify(issuer.publicKey) &&
    issuer.verify(root.publicKey) &&
    leaf.checkPrivateKey(tlsKey) &&
    leaf.subjectAltName.split(", ").filter((each) => each.startsWith("URI:")).join() === `URI:${answer.identity}` &&
    sha256(answer.trust_bundle.root_certificate).equals(pairing.root) &&
    answer.trust_bundle.switch_public_key.length === 32 &&
    answer.trust_bundle.sealing_public_key.length === 32;
  if (!good) throw new Error("the answer does not hold");
  if (!answer.identity.includes("/agent/")) return;
  const says = open(answer.merchant_certificate, "merchant-certificate", "kessai.v1.MerchantCertificate", answer.trust_bundle.switch_public_key);
  const names = answer.identity.split("/").slice(4).join("/");
  if (`${says.merchant_id}/${says.terminal_id}` !== names) throw new Error("another terminal's certificate");
  if (!says.terminal_public_key.equals(rawPublic(documentKey))) throw new Error("another key's certificate");
}

export async function renew(device, newKey = newP256()) {
  const { newId, idText } = await import("./documents.mjs");
  const request = { request_id: idText(newId()), certificate_signing_request: signingRequest(newKey) };
  const answer = await ask(device, "DeviceService", "RenewCertificate", request);
  const key = Buffer.from(newKey.export({ type: "pkcs8", format: "pem" }));
  device.credentials = grpc.credentials.createSsl(Buffer.from(pem(device.root_certificate)), key, answer.certificate_chain);
  device.lines?.clear();
  if (answer.merchant_certificate) device.merchant_certificate = answer.merchant_certificate;
}

// A call of a device, on a line that stays open. An error has `reason`, from google.rpc.ErrorInfo.
export function ask(device, service, method, request) {
  device.lines ??= new Map();
  if (!device.lines.has(service)) {
    device.lines.set(service, new services[service](device.server_address, device.credentials));
  }
  return call(device.lines.get(service), method, request);
}

// A stream of answers: what `until` makes of one of them, if it makes anything.
export function follow(device, service, method, request, until) {
  const client = new services[service](device.server_address, device.credentials);
  const call = request.first ? client[method]() : client[method](request);
  if (request.first) call.write(request.first);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${method}: nothing came`)), 10_000);
    const end = (done, value) => {
      clearTimeout(timer);
      call.cancel();
      client.close();
      done(value);
    };
    call.on("error", (error) => end(reject, error));
    call.on("data", (answer) => {
      const made = until(answer);
      if (made) end(resolve, made);
    });
  });
}

function call(client, method, request) {
  return new Promise((resolve, reject) => {
    client[method](request, { deadline: Date.now() + 5000 }, (error, answer) => {
      if (!error) return resolve(answer);
      error.reason = reasonOf(error);
      reject(error);
    });
  });
}

function reasonOf(error) {
  const [raw] = error.metadata?.get("grpc-status-details-bin") ?? [];
  if (!raw) return "";
  for (const any of deserialize("google.rpc.Status", raw).details ?? []) {
    if (any.type_url.endsWith("/google.rpc.ErrorInfo")) return deserialize("google.rpc.ErrorInfo", any.value).reason;
  }
  return "";
}
