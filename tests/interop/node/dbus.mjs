// As much of D-Bus as a GATT server needs that registers with bluetoothd. From the D-Bus specification
// and BlueZ's doc/org.bluez.GattManager.rst; nothing of Kessai is in here.
import net from "node:net";

const ALIGN = { y: 1, g: 1, v: 1, n: 2, q: 2, b: 4, i: 4, u: 4, s: 4, o: 4, a: 4, x: 8, t: 8, d: 8, "(": 8, "{": 8 };
const [CALL, RETURN, SIGNAL] = [1, 2, 4];
const FIELDS = { path: [1, "o"], interface: [2, "s"], member: [3, "s"], replyTo: [5, "u"], destination: [6, "s"], signature: [8, "g"] };

// The end of the one complete type that begins at a place of a signature.
function endOf(signature, at) {
  if (signature[at] === "a") return endOf(signature, at + 1);
  const close = { "(": ")", "{": "}" }[signature[at]];
  if (!close) return at + 1;
  for (at += 1; signature[at] !== close; ) at = endOf(signature, at);
  return at + 1;
}

function types(signature) {
  const found = [];
  for (let at = 0; at < signature.length; at = endOf(signature, at)) found.push(signature.slice(at, endOf(signature, at)));
  return found;
}

class Writer {
  bytes = [];

  pad(to) {
    while (this.bytes.length % to) this.bytes.push(0);
  }

  number(size, value) {
    this.pad(size);
    const raw = Buffer.alloc(size);
    raw.writeUIntLE(value, 0, size);
    this.bytes.push(...raw);
  }

  // Entries of a dictionary are those of an object; a variant is [signature, value].
  put(type, value) {
    if (type === "y") this.bytes.push(value);
    else if ("uib".includes(type)) this.number(4, Number(value));
    else if (type === "q") this.number(2, value);
    else if (type === "s" || type === "o") {
      this.number(4, Buffer.byteLength(value));
      this.bytes.push(...Buffer.from(value), 0);
    } else if (type === "g") this.bytes.push(value.length, ...Buffer.from(value), 0);
    else if (type === "v") {
      this.put("g", value[0]);
      this.put(value[0], value[1]);
    } else if (type[0] === "a") this.array(type.slice(1), value);
    else if ("({".includes(type[0])) {
      this.pad(8);
      types(type.slice(1, -1)).forEach((each, place) => this.put(each, value[place]));
    }
  }

  array(type, value) {
    this.number(4, 0);
    const size = this.bytes.length - 4;
    this.pad(ALIGN[type[0]]);
    const start = this.bytes.length;
    for (const each of type[0] === "{" ? Object.entries(value) : value) this.put(type, each);
    const raw = Buffer.alloc(4);
    raw.writeUInt32LE(this.bytes.length - start);
    this.bytes.splice(size, 4, ...raw);
  }
}

class Reader {
  at = 0;

  constructor(raw) {
    this.raw = raw;
  }

  number(size) {
    this.at = Math.ceil(this.at / size) * size;
    this.at += size;
    return this.raw.readUIntLE(this.at - size, size);
  }

  text(length) {
    this.at += length + 1;
    return this.raw.toString("utf8", this.at - length - 1, this.at - 1);
  }

  take(type) {
    if (type === "y") return this.raw[this.at++];
    if (type === "b") return this.number(4) === 1;
    if ("ui".includes(type)) return this.number(4);
    if ("qn".includes(type)) return this.number(2);
    if (type === "s" || type === "o") return this.text(this.number(4));
    if (type === "g") return this.text(this.raw[this.at++]);
    if (type === "v") return this.take(this.take("g"));
    if (type[0] === "a") return this.array(type.slice(1));
    this.at = Math.ceil(this.at / 8) * 8;
    return types(type.slice(1, -1)).map((each) => this.take(each));
  }

  array(type) {
    const length = this.number(4);
    this.at = Math.ceil(this.at / ALIGN[type[0]]) * ALIGN[type[0]];
    const [end, found] = [this.at + length, []];
    while (this.at < end) found.push(this.take(type));
    return type[0] === "{" ? Object.fromEntries(found) : found;
  }
}

// A connection to the bus at a unix socket; `answer` takes a call and gives [signature, ...body].
export class Bus {
  serial = 0;
  waiting = new Map();
  unread = Buffer.alloc(0);

  static async open(path, answer) {
    const bus = new Bus();
    bus.answer = answer;
    bus.line = net.connect(path);
    await new Promise((resolve, reject) => bus.line.once("connect", resolve).once("error", reject));
    bus.line.write(`\0AUTH EXTERNAL ${Buffer.from(String(process.getuid())).toString("hex")}\r\n`);
    await new Promise((resolve) => bus.line.once("data", resolve));
    bus.line.write("BEGIN\r\n");
    bus.line.on("data", (data) => bus.read(data));
    const daemon = { destination: "org.freedesktop.DBus", path: "/org/freedesktop/DBus", interface: "org.freedesktop.DBus" };
    await bus.call({ ...daemon, member: "Hello" });
    return bus;
  }

  send(kind, fields, signature = "", ...body) {
    const [content, header] = [new Writer(), new Writer()];
    types(signature).forEach((type, place) => content.put(type, body[place]));
    this.serial += 1;
    header.bytes.push("l".charCodeAt(), kind, 0, 1);
    header.number(4, content.bytes.length);
    header.number(4, this.serial);
    const named = Object.entries(signature ? { ...fields, signature } : fields);
    header.put("a(yv)", named.map(([name, value]) => [FIELDS[name][0], [FIELDS[name][1], value]]));
    header.pad(8);
    this.line.write(Buffer.from([...header.bytes, ...content.bytes]));
    return this.serial;
  }

  call(fields, signature, ...body) {
    return new Promise((resolve) => this.waiting.set(this.send(CALL, fields, signature, ...body), resolve));
  }

  signal(path, name, member, signature, ...body) {
    this.send(SIGNAL, { path, interface: name, member }, signature, ...body);
  }

  read(data) {
    this.unread = Buffer.concat([this.unread, data]);
    while (this.unread.length >= 16) {
      const [body, fields] = [this.unread.readUInt32LE(4), this.unread.readUInt32LE(12)];
      const start = Math.ceil((16 + fields) / 8) * 8;
      if (this.unread.length < start + body) return;
      this.hear(this.unread.subarray(0, start), this.unread.subarray(start, start + body));
      this.unread = this.unread.subarray(start + body);
    }
  }

  hear(header, content) {
    const reader = new Reader(header);
    reader.at = 12;
    const said = Object.fromEntries(reader.take("a(yv)"));
    const message = Object.fromEntries(Object.entries(FIELDS).map(([name, [number]]) => [name, said[number]]));
    const inside = new Reader(content);
    message.body = types(message.signature ?? "").map((type) => inside.take(type));
    if (header[1] !== CALL) return this.waiting.get(message.replyTo)?.(message.body);
    const [signature, ...body] = this.answer(message) ?? [""];
    const reply = { replyTo: header.readUInt32LE(8), ...(said[7] && { destination: said[7] }) };
    this.send(RETURN, reply, signature, ...body);
  }

  close() {
    this.line.destroy();
  }
}
