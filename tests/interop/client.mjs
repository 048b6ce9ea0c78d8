// A gRPC client in Node that knows the switch by its protos alone. test_node.py runs it.
//
//   node client.mjs ADDRESS IDENTITY_FOLDER PROTO_FOLDER...
//
// Reads one call a line from standard input, as JSON {service, method, request}, makes them one
// after another with the identity's certificate, and prints one line of JSON for each: {response}
// or {code, message, details}, where details are the google.rpc messages that came along.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const DEADLINE_MS = 10_000;
const [address, identity, ...includeDirs] = process.argv.slice(2);

const definition = protoLoader.loadSync(
  [
    "kessai/v1/account.proto",
    "kessai/v1/device.proto",
    "kessai/v1/payment.proto",
    "google/rpc/status.proto",
    "google/rpc/error_details.proto",
  ],
  { includeDirs, keepCase: true, longs: String, enums: String, bytes: String },
);
const { kessai } = grpc.loadPackageDefinition(definition);

const decode = (type, bytes) => definition[type].deserialize(bytes);

// The Any messages of a google.rpc.Status are decoded by their type URL.
function detailsOf(error) {
  const [raw] = error.metadata.get("grpc-status-details-bin");
  if (!raw) return [];
  return decode("google.rpc.Status", raw).details.map((any) => {
    const type = any.type_url.split("/").pop();
    return { type, ...decode(type, Buffer.from(any.value, "base64")) };
  });
}

function call({ service, method, request }) {
  const client = new kessai.v1[service](address, credentials);
  const deadline = Date.now() + DEADLINE_MS;
  return new Promise((resolve) => {
    client[method](request, { deadline }, (error, response) => {
      client.close();
      if (!error) return resolve({ response });
      const { code, details: message } = error;
      resolve({ code: grpc.status[code], message, details: detailsOf(error) });
    });
  });
}

const read = (name) => readFileSync(join(identity, name));
const credentials = grpc.credentials.createSsl(read("root.crt"), read("tls.key"), read("tls.crt"));

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await call(JSON.parse(line))));
}
