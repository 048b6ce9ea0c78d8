// The protos, loaded as they are: no generated code.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const includeDirs = process.env.PROTOS.split(":");
const own = readdirSync(join(includeDirs[0], "kessai/v1")).filter((name) => name.endsWith(".proto"));
const files = [...own.map((name) => `kessai/v1/${name}`), "google/rpc/status.proto", "google/rpc/error_details.proto"];
const definition = protoLoader.loadSync(files, { includeDirs, keepCase: true, longs: String });

export const services = grpc.loadPackageDefinition(definition).kessai.v1;
export const type = (name) => definition[name].type;
export const serialize = (name, message) => definition[name].serialize(message);
export const deserialize = (name, bytes) => definition[name].deserialize(bytes);

// The numbers of an enumeration by name, without the prefix that all of them have.
export function numbers(name) {
  const values = type(`kessai.v1.${name}`).value;
  const common = values[0].name.replace(/UNSPECIFIED$/, "");
  return Object.fromEntries(values.map((value) => [value.name.slice(common.length), value.number]));
}
export const nameOf = (name, number) =>
  Object.entries(numbers(name)).find(([, value]) => value === (number ?? 0))?.[0];
