// NFC, both ends: a phone's card and a terminal's reader. Written from docs/protocols/nfc.md, whose
// "field to test with" carries the frames here, where a phone's controller would.
import dgram from "node:dgram";

const AID = Buffer.from("F04B455353414901", "hex");
const OK = Buffer.from("9000", "hex");
const MAX_MESSAGE = 65536;
const CHUNK = 247;
const PIECE = 251;
const BLOCK = 253;
const EXCHANGE_MS = 2000;
const word = (text) => Buffer.from(text, "hex");

// What an Android app does in processCommandApdu.
export class CardService {
  constructor(answer) {
    this.answer = answer;
    this.deactivated();
  }

  deactivated() {
    this.selected = false;
    this.message = Buffer.alloc(0);
    this.unsent = Buffer.alloc(0);
  }

  process(apdu) {
    if (apdu.length < 4) return word("6700");
    const [cla, ins, p1, p2, lc = 0] = apdu;
    const data = apdu.length > 5 ? apdu.subarray(5, 5 + lc) : Buffer.alloc(0);
    const whole = apdu.length <= 5 || (data.length === lc && apdu.length - 5 - lc <= 1);
    if (cla === 0 && ins === 0xa4 && p1 === 4 && p2 === 0) {
      this.deactivated();
      this.selected = whole && data.equals(AID);
      return this.selected ? OK : word("6a82");
    }
    if (!this.selected) return word("6985");
    if (ins === 0xc0) return this.unsent.length ? this.next() : word("6985");
    if (ins !== 0xc3) return word("6d00");
    if (!whole) return word("6700");
    this.message = Buffer.concat([this.message, data]);
    if (this.message.length > MAX_MESSAGE) {
      this.message = Buffer.alloc(0);
      return word("6a84");
    }
    if (cla & 0x10) return OK;
    const message = this.message;
    this.message = Buffer.alloc(0);
    this.unsent = this.answer(message);
    return this.next();
  }

  next() {
    const piece = this.unsent.subarray(0, PIECE);
    this.unsent = this.unsent.subarray(PIECE);
    const more = Math.min(this.unsent.length, PIECE);
    return Buffer.concat([piece, more ? Buffer.from([0x61, more]) : OK]);
  }
}

// What a phone's controller does: ISO/IEC 14443-4 with the app behind it.
class Controller {
  constructor(service) {
    this.service = service;
    this.active = false;
  }

  off() {
    this.active = false;
    this.service.deactivated();
  }

  block(frame) {
    if (frame[0] === 0xe0) {
      this.off();
      Object.assign(this, { active: true, number: 1, command: [], rest: Buffer.alloc(0) });
      return (this.last = word("0578009000"));
    }
    if (!this.active) return null;
    const answer = this.answer(frame[0], frame.subarray(1));
    if (answer) this.last = answer;
    return answer;
  }

  answer(header, data) {
    if (header === 0xc2) {
      this.off();
      return Buffer.from([0xc2]);
    }
    const number = header & 1;
    if ((header & 0xee) === 0x02) {
      this.number ^= 1;
      this.command.push(data);
      if (header & 0x10) return Buffer.from([0xa2 | this.number]);
      this.rest = this.service.process(Buffer.concat(this.command.splice(0)));
      return this.piece();
    }
    if ((header & 0xee) !== 0xa2) return null;
    if (number === this.number) return this.last;
    if (header & 0x10) return Buffer.from([0xa2 | this.number]);
    this.number ^= 1;
    return this.piece();
  }

  piece() {
    const data = this.rest.subarray(0, BLOCK);
    this.rest = this.rest.subarray(BLOCK);
    const header = 0x02 | this.number | (this.rest.length ? 0x10 : 0);
    return Buffer.concat([Buffer.from([header]), data]);
  }
}

// Lies in the field of the reader that calls this port; `leave` takes it away.
export function lieInField(port, answer) {
  const card = new Controller(new CardService(answer));
  const line = dgram.createSocket("udp4");
  const uid = word("08c0ffee");
  const named = Buffer.concat([uid, Buffer.from([uid.reduce((sum, byte) => sum ^ byte)])]);
  let selected = false;
  line.on("message", (datagram, from) => {
    const text = datagram.toString("latin1");
    if (text.startsWith("RFOFF")) return card.off();
    if (!text.startsWith("106A ")) return;
    const frame = word(text.slice(5));
    const send = (bytes) => bytes && line.send(`106A ${bytes.toString("hex")}`, from.port, from.address);
    if (selected && !(frame.length === 1 && frame[0] === 0x26)) {
      const block = card.block(frame);
      if (block) return send(block);
    }
    if (frame.equals(word("26"))) {
      card.off();
      selected = false;
      return send(word("0400"));
    }
    if (frame.equals(word("9320"))) return send(named);
    if (frame.equals(Buffer.concat([word("9370"), named]))) {
      selected = true;
      send(word("20"));
    }
  });
  return new Promise((resolve) => line.bind(port, "127.0.0.1", () => resolve({ leave: () => line.close() })));
}

export const SELECT = Buffer.concat([word("00a4040008"), AID, word("00")]);

// A message in APDUs, and its answer; `transceive` takes a command APDU and gives the response.
export async function exchange(transceive, message) {
  const last = Math.max(0, Math.floor((message.length - 1) / CHUNK) * CHUNK);
  for (let at = 0; at < last; at += CHUNK) {
    const chunk = message.subarray(at, at + CHUNK);
    const said = await transceive(Buffer.concat([word("10c30000"), Buffer.from([CHUNK]), chunk]));
    if (!said.equals(OK)) throw new Error(`status ${said.toString("hex")}`);
  }
  const rest = message.subarray(last);
  let piece = await transceive(Buffer.concat([word("00c30000"), Buffer.from([rest.length]), rest, word("00")]));
  const answer = [piece.subarray(0, -2)];
  while (piece.at(-2) === 0x61) {
    piece = await transceive(Buffer.concat([word("00c00000"), piece.subarray(-1)]));
    answer.push(piece.subarray(0, -2));
  }
  if (!piece.subarray(-2).equals(OK)) throw new Error(`status ${piece.subarray(-2).toString("hex")}`);
  return Buffer.concat(answer);
}

// A terminal's reader: finds the phone in a field, and exchanges messages with it.
export class Reader {
  constructor(port) {
    this.port = port;
    this.line = dgram.createSocket("udp4");
    this.heard = [];
    this.line.on("message", (datagram) => this.take(datagram.toString("latin1")));
  }

  take(text) {
    if (!text.startsWith("106A ")) return;
    const frame = word(text.slice(5));
    if (this.waiting) this.waiting(frame);
  }

  frame(bytes, limitMs) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.waiting(null), limitMs);
      this.waiting = (frame) => {
        clearTimeout(timer);
        this.waiting = null;
        resolve(frame);
      };
      this.line.send(`106A ${bytes.toString("hex")}`, this.port, "127.0.0.1");
    });
  }

  // Polls until somebody is there who has our application; a function that exchanges a message.
  async find(limitMs) {
    const until = Date.now() + limitMs;
    while (Date.now() < until) {
      if (await this.activate()) return (message) => this.exchange(message);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error("nobody came");
  }

  async activate() {
    if (!(await this.frame(word("26"), 50))) return false;
    const uid = await this.frame(word("9320"), 100);
    const sak = uid && (await this.frame(Buffer.concat([word("9370"), uid]), 100));
    if (!sak || !(sak[0] & 0x20)) return false;
    const ats = await this.frame(word("e080"), 200);
    if (!ats) return false;
    this.number = 0;
    this.until = Date.now() + EXCHANGE_MS;
    return (await this.apdu(SELECT)).equals(OK);
  }

  exchange(message) {
    this.until = Date.now() + EXCHANGE_MS;
    return exchange((apdu) => this.apdu(apdu), message);
  }

  // One APDU in one block each way, which short ones fit into; the phone may ask for time.
  async apdu(command) {
    let frame = Buffer.concat([Buffer.from([0x02 | this.number]), command]);
    while (Date.now() < this.until) {
      const answer = await this.frame(frame, 700);
      if (!answer) {
        frame = Buffer.from([0xb2 | this.number]);
      } else if (answer[0] === 0xf2) {
        frame = answer;
      } else if ((answer[0] & 0xfe) === 0x02 && (answer[0] & 1) === this.number) {
        this.number ^= 1;
        return answer.subarray(1);
      }
    }
    throw new Error("the phone left");
  }

  close() {
    this.line.close();
  }
}
