// A terminal: asks phones to pay, holds, lets people in and out, takes tickets. Written from
// docs/protocols/tap.md, calls.md and holders.md. A `link` takes a message's bytes and gives the answer's.
import crypto from "node:crypto";
import * as d from "./documents.mjs";
import { ask, enrol } from "./enrol.mjs";
import { deserialize, nameOf, numbers, serialize } from "./protos.mjs";

const S = numbers("TapStatus");
const OUTCOME = numbers("PaymentOutcome");
const INQUIRE_EVERY_MS = 150;
const euro = (minor) => ({ amount_minor: String(minor), currency_code: "EUR" });
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Session {
  id = crypto.randomBytes(16);
  sequence = 0;

  constructor(link) {
    this.link = link;
  }

  async exchange(body) {
    this.sequence += 1;
    const request = { session_id: this.id, sequence: this.sequence, ...body };
    const raw = await this.link(serialize("kessai.v1.TapRequest", request));
    const answer = deserialize("kessai.v1.TapResponse", raw);
    if (!answer.session_id?.equals(this.id) || answer.sequence !== this.sequence) throw new Error("another answer");
    return answer;
  }
}

export class Terminal {
  static async pair(uri) {
    const terminal = new Terminal();
    terminal.key = d.newEd25519();
    terminal.device = await enrol(uri, terminal.key);
    terminal.names = { merchant_id: terminal.device.owner, terminal_id: terminal.device.name };
    return terminal;
  }

  get certificate() {
    return this.device.merchant_certificate;
  }

  // What is to be paid: signed, and kept, before anybody sees it.
  request(orderId, minor, more = {}) {
    const request = {
      request_id: d.newId(),
      ...this.names,
      order_id: orderId,
      items: [{ description: "Goods", quantity: 1, unit_price_minor: String(minor) }],
      total: euro(minor),
      create_time: d.timeIn(0),
      expire_time: d.timeIn(60),
      ...more,
    };
    const signed = d.sign("payment-request", "kessai.v1.PaymentRequest", request, this.key);
    return { request, signed, hash: d.sha256(signed.payload), id: d.idText(request.request_id) };
  }

  // Asks until the customer has decided; the last answer of the phone.
  async present(session, pending, withCertificate = true) {
    const body = { payment_request: pending.signed, ...(withCertificate && { merchant_certificate: this.certificate }) };
    let answer = await session.exchange({ present_payment: body });
    while (answer.status === S.CUSTOMER_DECIDING) {
      await pause(INQUIRE_EVERY_MS);
      answer = await session.exchange({ inquire_payment: { request_hash: pending.hash } });
      if (answer.status === S.REQUEST_UNKNOWN) answer = await session.exchange({ present_payment: body });
    }
    return answer;
  }

  async settle(pending, sealed, holder) {
    const message = {
      request_id: pending.id,
      payment_request: pending.signed,
      sealed_authorization: sealed,
      ...(holder && { accepted_holder_answer: holder }),
    };
    const { receipt, tickets } = await ask(this.device, "PaymentService", "SettlePayment", message);
    return { ...this.believe(receipt, pending), signed: receipt, tickets };
  }

  // A receipt is one if the switch signed it for this request, and its amount can have come of it.
  believe(signed, pending) {
    const receipt = d.open(signed, "receipt", "kessai.v1.Receipt", this.device.switch_public_key);
    const { request } = pending;
    const own = receipt.request_id?.equals(request.request_id) && receipt.request_hash?.equals(pending.hash);
    const amount = BigInt(receipt.amount?.amount_minor ?? 0);
    const total = BigInt(request.total.amount_minor);
    const captured = request.terms && receipt.outcome === OUTCOME.SETTLED;
    // The request itself did not verify: then the switch signs no amount, and decided nothing.
    const unread = receipt.outcome === OUTCOME.DECLINED && !receipt.log_position && !receipt.amount;
    if (!own || !(unread || (captured ? amount > 0n && amount <= total : amount === total))) throw new Error("no receipt of mine");
    const outcome = nameOf("PaymentOutcome", receipt.outcome);
    return { outcome, reason: nameOf("DeclineReason", receipt.decline_reason), minor: Number(amount) };
  }

  async find(pending) {
    const { receipt, tickets } = await ask(this.device, "PaymentService", "GetPayment", { request_id: pending.id });
    return { ...this.believe(receipt, pending), tickets };
  }

  async capture(pending, minor, id = d.idText(d.newId())) {
    const request = { request_id: id, payment_id: pending.id, amount: euro(minor) };
    const answer = await ask(this.device, "PaymentService", "CapturePayment", request);
    return { ...this.believe(answer.receipt, pending), signed: answer.receipt };
  }

  async void(pending) {
    const request = { request_id: d.idText(d.newId()), payment_id: pending.id };
    const answer = await ask(this.device, "PaymentService", "VoidPayment", request);
    return { ...this.believe(answer.receipt, pending), signed: answer.receipt };
  }

  async pay(link, pending) {
    const session = new Session(link);
    const answer = await this.present(session, pending);
    if (answer.status !== S.AUTHORIZED) return { outcome: nameOf("TapStatus", answer.status) };
    const paid = await this.settle(pending, answer.sealed_authorization);
    const delivered = await session.exchange({ deliver_receipt: { receipt: paid.signed, tickets: paid.tickets } });
    return { ...paid, phone: nameOf("TapStatus", delivered.status) };
  }

  // --- gates -----------------------------------------------------------------------------------

  nonce() {
    const nonce = crypto.randomBytes(32);
    nonce.writeBigUInt64BE(d.nowMicros(), 0);
    return nonce;
  }

  async enter(link, station) {
    const session = new Session(link);
    const nonce = this.nonce();
    const answer = await session.exchange({ challenge_holder: { nonce, merchant_certificate: this.certificate } });
    if (answer.status !== S.HOLDER_PROVEN) return { told: nameOf("TapStatus", answer.status) };
    const { credential, proof } = answer.holder_answer;
    const holder = d.open(credential, "holder-credential", "kessai.v1.HolderCredential", this.device.switch_public_key);
    this.checkProof(proof, holder.holder_public_key, d.nonceChallenge(nonce), holder.credential_id);
    const request = { holder_answer: answer.holder_answer, nonce, minimum_balance: euro(0) };
    const told = await ask(this.device, "FareService", "ConfirmTravel", request);
    if (told.decline_reason) return { told: nameOf("DeclineReason", told.decline_reason) };
    const admission = {
      admission_id: d.newId(),
      ...this.names,
      station_id: station,
      holder_public_key: holder.holder_public_key,
      credential_id: holder.credential_id,
      rider_category: holder.rider_category,
      entry_time: { seconds: d.timeIn(0).seconds },
      expire_time: { seconds: d.timeIn(4 * 3600).seconds },
    };
    const signed = d.sign("admission", "kessai.v1.Admission", admission, this.key);
    const kept = await session.exchange({ grant_admission: { admission: signed } });
    return { told: nameOf("TapStatus", kept.status), confirmAgain: () => ask(this.device, "FareService", "ConfirmTravel", request) };
  }

  checkProof(proof, key, challenge, credentialId, sealed = Buffer.alloc(0)) {
    const said = d.open(proof, "holder-proof", "kessai.v1.HolderProof", key);
    const good =
      said.challenge?.equals(challenge) &&
      said.merchant_id === this.names.merchant_id &&
      said.terminal_id === this.names.terminal_id &&
      (!credentialId || (said.credential_id ?? Buffer.alloc(0)).equals(credentialId)) &&
      (said.sealed_hash ?? Buffer.alloc(0)).equals(sealed);
    if (!good) throw new Error("the holder is not proven");
  }

  // An exit that knows no other gate: it asks for the entry gate's certificate.
  async leave(link, station, fareMinor) {
    const session = new Session(link);
    const nonce = this.nonce();
    const shown = await session.exchange({
      ask_for_admission: { nonce, merchant_certificate: this.certificate, with_entry_certificate: true },
    });
    if (shown.status !== S.ADMISSION_SHOWN) return { told: nameOf("TapStatus", shown.status) };
    const { admission: signed, proof, entry_certificate } = shown.admission_answer;
    const gate = d.open(entry_certificate, "merchant-certificate", "kessai.v1.MerchantCertificate", this.device.switch_public_key);
    const admission = d.open(signed, "admission", "kessai.v1.Admission", gate.terminal_public_key);
    if (gate.merchant_id !== this.names.merchant_id || admission.terminal_id !== gate.terminal_id) throw new Error("another carrier's");
    if (d.nowMicros() >= d.micros(admission.expire_time)) throw new Error("too long inside");
    this.checkProof(proof, admission.holder_public_key, d.nonceChallenge(nonce));
    const ride = { admission_id: admission.admission_id, admission_credential_id: admission.credential_id };
    const pending = this.request("ride", fareMinor, ride);
    const answer = await this.present(session, pending, false);
    if (answer.status !== S.AUTHORIZED) return { told: nameOf("TapStatus", answer.status) };
    const paid = await this.settle(pending, answer.sealed_authorization);
    if (paid.outcome !== "SETTLED") return { told: paid.reason };
    const note = {
      admission_id: admission.admission_id,
      ...this.names,
      station_id: station,
      fare: euro(fareMinor),
      exit_time: { seconds: d.timeIn(0).seconds },
    };
    const exitNote = d.sign("exit-note", "kessai.v1.ExitNote", note, this.key);
    const closed = await session.exchange({ close_admission: { exit_note: exitNote, receipt: paid.signed } });
    return { told: nameOf("TapStatus", closed.status), admission, answer, session };
  }

  // --- entrances -------------------------------------------------------------------------------

  async admit(link, events) {
    const session = new Session(link);
    const nonce = crypto.randomBytes(32);
    const body = { nonce, merchant_certificate: this.certificate, event_ids: events };
    const shown = await session.exchange({ ask_for_ticket: body });
    if (shown.status !== S.TICKET_SHOWN) return { told: nameOf("TapStatus", shown.status) };
    const { ticket: signed, holder_public_key: key, proof, persons } = shown.ticket_answer;
    const ticket = d.open(signed, "ticket", "kessai.v1.Ticket", this.device.switch_public_key);
    if (!ticket.holder_key_hash.equals(d.sha256(key))) throw new Error("a copy");
    this.checkProof(proof, key, d.ticketChallenge(nonce, d.sha256(signed.payload), persons, 0), Buffer.alloc(0));
    const { offer } = ticket;
    const now = d.nowMicros();
    const inTime = d.micros(offer.valid_from_time) <= now && now < d.micros(offer.valid_until_time);
    if (offer.merchant_id !== this.names.merchant_id || !events.includes(offer.event_id) || !inTime) throw new Error("not here");
    const redemption = { request_id: d.idText(d.newId()), ticket: signed, persons, redeem_time: d.timeIn(0) };
    const redeem = () => ask(this.device, "TicketService", "RedeemTickets", { redemptions: [redemption] });
    const [first, again] = [await redeem(), await redeem()];
    const reason = first.results[0].decline_reason ?? 0;
    const repeated = again.results[0].decline_reason ?? 0;
    const left = reason ? 0 : offer.admits - persons;
    const told = { ticket_id: ticket.ticket_id, decline_reason: reason, persons_left: left };
    const heard = await session.exchange({ tell_entry: told });
    return { told: nameOf("DeclineReason", reason), again: nameOf("DeclineReason", repeated), phone: nameOf("TapStatus", heard.status) };
  }
}
