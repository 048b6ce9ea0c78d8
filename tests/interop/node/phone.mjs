// A phone: answers terminals, signs, seals, travels, shows tickets. Written from docs/protocols/tap.md
// and holders.md. What a real phone keeps on its disk is kept in memory here.
import { ANSWERS } from "./answers.mjs";
import * as d from "./documents.mjs";
import { ask, enrol } from "./enrol.mjs";
import { deserialize, numbers, serialize } from "./protos.mjs";
import { asRequest, check, inDate } from "./rules.mjs";

const S = numbers("TapStatus");
const VERIFIED = numbers("CustomerVerification");
const OUTCOME = numbers("PaymentOutcome");
const SUBMITTER = numbers("PaymentSubmitter");
const TERMS = numbers("SettlementTerms");
const REMEMBERED = 64;
const NONE = Buffer.alloc(0);

export class Phone {
  static async pair(uri, decide = () => true) {
    const phone = new Phone();
    phone.key = d.newP256();
    phone.holderKey = d.newP256();
    phone.decide = decide;
    phone.device = await enrol(uri, phone.key);
    phone.account = phone.device.account_numbers[0];
    return phone;
  }

  answers = new Map();
  purchases = new Map();
  idsAsked = new Map();
  gates = new Map();
  rides = [];
  journeys = new Map();
  tickets = [];
  shown = [];

  get holderPublic() {
    return d.rawPublic(this.holderKey);
  }

  async certify() {
    const id = d.newId();
    const request = {
      request_id: d.idText(id),
      holder_public_key: this.holderPublic,
      holder_key_proof: d.signBytes(Buffer.concat([d.prefix("holder"), id]), this.holderKey),
      account_number: this.account,
    };
    const { credential } = await ask(this.device, "HolderService", "IssueCredential", request);
    this.credential = this.open(credential, "holder-credential", "HolderCredential");
    this.signedCredential = credential;
  }

  open(signed, documentType, message, key = this.device.switch_public_key) {
    return d.open(signed, documentType, `kessai.v1.${message}`, key);
  }

  // Bytes of a TapRequest in, bytes of a TapResponse out.
  answer(message) {
    let request;
    try {
      request = deserialize("kessai.v1.TapRequest", message);
    } catch {
      return serialize("kessai.v1.TapResponse", { status: S.NOT_UNDERSTOOD });
    }
    const session = request.session_id ?? NONE;
    const exchange = `${session.toString("hex")}/${request.sequence ?? 0}`;
    const reply = (response) => {
      const named = { session_id: session, sequence: request.sequence ?? 0, ...response };
      return serialize("kessai.v1.TapResponse", named);
    };
    const before = this.answers.get(exchange);
    if (before) return before.message.equals(message) ? before.answer : reply({ status: S.NOT_UNDERSTOOD });
    if (session.length !== 16 || !(request.sequence >= 1)) return reply({ status: S.NOT_UNDERSTOOD });
    const answer = reply(this.respond(request));
    this.answers.set(exchange, { message: Buffer.from(message), answer });
    if (this.answers.size > REMEMBERED) this.answers.delete(this.answers.keys().next().value);
    return answer;
  }

  respond(request) {
    const name = Object.keys(ANSWERS).find((each) => request[each]);
    if (!name) return { status: S.NOT_UNDERSTOOD };
    return ANSWERS[name](this, request[name], request.session_id.toString("hex"));
  }

  // Who asks, verified and in date; remembered for the session if it may be.
  verifyTerminal(signed) {
    const certificate = this.open(signed ?? {}, "merchant-certificate", "MerchantCertificate");
    inDate(certificate);
    return { signed, certificate };
  }

  openPurchase(present, session) {
    const known = present.merchant_certificate ?? this.gates.get(session)?.signed;
    const { certificate } = this.verifyTerminal(known);
    const signed = present.payment_request ?? {};
    const request = this.open(signed, "payment-request", "PaymentRequest", certificate.terminal_public_key);
    check(request, certificate);
    return { hash: d.sha256(signed.payload), request, certificate };
  }

  authorize({ hash, request, certificate }) {
    const unverified = certificate.unverified_limit;
    const small =
      unverified?.currency_code === request.total.currency_code &&
      BigInt(request.total.amount_minor) <= BigInt(unverified?.amount_minor ?? 0);
    const authorization = {
      request_hash: hash,
      merchant_id: request.merchant_id,
      terminal_id: request.terminal_id,
      amount: request.total,
      account_number: this.account,
      customer_verification: small ? VERIFIED.NONE : VERIFIED.DEVICE_PIN,
      expire_time: request.deferred_expire_time ?? request.expire_time,
      ...(request.ticket_orders?.length && { ticket_holder_public_key: this.holderPublic }),
    };
    const signed = d.sign("payment-authorization", "kessai.v1.PaymentAuthorization", authorization, this.key);
    return d.seal(d.serializeOnce("kessai.v1.Signed", signed), this.device.sealing_public_key, hash);
  }

  tell(purchase) {
    if (purchase.status !== S.AUTHORIZED) return { status: purchase.status };
    const { request, hash, sealed } = purchase;
    if (request.submitter === SUBMITTER.PHONE) return { status: S.SUBMITTING };
    const answer = request.deferred_expire_time && this.credential && this.prove(hash, request, d.sealedHash(sealed));
    return { status: S.AUTHORIZED, sealed_authorization: sealed, ...(answer && { holder_answer: answer }) };
  }

  prove(challenge, terminal, sealed) {
    return { credential: this.signedCredential, proof: this.signProof(challenge, terminal, sealed, this.credential.credential_id) };
  }

  signProof(challenge, { merchant_id, terminal_id }, sealed_hash, credential_id) {
    const proof = { credential_id, challenge, merchant_id, terminal_id, sealed_hash };
    return d.sign("holder-proof", "kessai.v1.HolderProof", proof, this.holderKey);
  }

  // The phone's own line: submits what its customer agreed to, with the request as it came.
  async submit(hash) {
    const { request, signed, sealed } = this.purchases.get(hash.toString("hex"));
    const message = { request_id: d.idText(request.request_id), payment_request: signed, sealed_authorization: sealed };
    return ask(this.device, "PaymentService", "SettlePayment", message);
  }

  // What this phone asks another one to pay, and the exchanges with that one; what it came to.
  async bill(description, minor) {
    const id = d.newId();
    const info = d.sha256(d.prefix("bill-payee"), id);
    const bill = {
      request_id: id,
      wallet_id: this.device.owner,
      description,
      amount: { amount_minor: String(minor), currency_code: "EUR" },
      sealed_payee_account: d.seal(Buffer.from(this.account), this.device.sealing_public_key, info),
      create_time: d.timeIn(0),
      expire_time: d.timeIn(60),
    };
    const signed = d.sign("bill", "kessai.v1.Bill", bill, this.key);
    const { wallet_certificate } = await ask(this.device, "BillService", "GetWalletCertificate", {});
    return { id: d.idText(id), signed, hash: d.sha256(signed.payload), wallet_certificate, amount: bill.amount };
  }

  async collect(session, bill) {
    const { signed, wallet_certificate } = bill;
    const answer = await session.exchange({ present_bill: { bill: signed, wallet_certificate } });
    if (answer.status !== S.AUTHORIZED) return { status: answer.status };
    const request = { request_id: bill.id, bill: signed, sealed_authorization: answer.sealed_authorization };
    const { receipt: told } = await ask(this.device, "BillService", "SettleBill", request);
    const receipt = this.open(told, "receipt", "Receipt");
    const own = receipt.request_hash.equals(bill.hash) && receipt.amount.amount_minor === bill.amount.amount_minor;
    if (!own) throw new Error("no receipt of mine");
    const delivered = await session.exchange({ deliver_receipt: { receipt: told } });
    return { outcome: receipt.outcome, status: delivered.status };
  }

  // A bill as a request of one line, which no merchant asks for.
  openBill({ bill: signed = {}, wallet_certificate: by = {} }) {
    const certificate = this.open(by, "wallet-certificate", "WalletCertificate");
    const bill = this.open(signed, "bill", "Bill", certificate.wallet_public_key);
    if (bill.wallet_id !== certificate.wallet_id) throw new d.Refused("rule", "another wallet's bill");
    const request = asRequest(bill);
    check(request, {});
    inDate(certificate);
    return { hash: d.sha256(signed.payload), request, certificate };
  }

  takeReceipt(signed) {
    const receipt = this.open(signed, "receipt", "Receipt");
    const purchase = this.purchases.get((receipt.request_hash ?? NONE).toString("hex"));
    if (!purchase?.sealed || !purchase.request.request_id.equals(receipt.request_id)) throw new d.Refused("receipt", "not mine");
    if (!fits(receipt, purchase.request)) throw new d.Refused("receipt", "another outcome or amount");
    if (!receipt.log_position) return receipt;
    const held = purchase.receipt?.outcome === OUTCOME.HELD && receipt.outcome !== OUTCOME.DECLINED;
    if (purchase.receipt && !held && purchase.receiptPayload.compare(signed.payload)) throw new d.Refused("receipt", "contradicts");
    purchase.receipt = receipt;
    purchase.receiptPayload = signed.payload;
    return receipt;
  }

  takeTickets(tickets, requestId) {
    for (const signed of tickets ?? []) {
      const ticket = this.open(signed, "ticket", "Ticket");
      const mine = ticket.ticket_id.subarray(0, 16).equals(requestId) && ticket.holder_key_hash.equals(d.sha256(this.holderPublic));
      if (!mine) throw new d.Refused("ticket", "not mine");
      if (!this.tickets.some((kept) => kept.ticket.ticket_id.equals(ticket.ticket_id))) this.tickets.push({ ticket, signed });
    }
  }

  /** Keep the journey that a gate of a carrier signed for this phone. */
  takeJourney(signed, gate) {
    const note = this.open(signed, "journey", "JourneyNote", gate.certificate.terminal_public_key);
    const { merchant_id, terminal_id } = gate.certificate;
    const mine = note.holder_public_key?.equals(this.holderPublic);
    if (!mine || note.merchant_id !== merchant_id || note.terminal_id !== terminal_id) throw new d.Refused("journey", "not mine");
    this.journeys.set(merchant_id, { note: signed, exit_certificate: gate.signed });
  }

  openRide(merchantId) {
    return this.rides.findLast((ride) => ride.admission.merchant_id === merchantId && !ride.note);
  }
}

function fits(receipt, request) {
  const [paid, asked] = [receipt.amount, request.total];
  // The request itself did not verify: then the switch signs no amount, and decided nothing.
  if (!paid && !receipt.log_position) return receipt.outcome === OUTCOME.DECLINED;
  const whole = paid?.amount_minor === asked.amount_minor && paid.currency_code === asked.currency_code;
  const held = request.terms === TERMS.HOLD;
  if (held && receipt.outcome === OUTCOME.SETTLED) {
    const taken = BigInt(paid?.amount_minor ?? 0);
    return paid.currency_code === asked.currency_code && taken > 0n && taken <= BigInt(asked.amount_minor);
  }
  return whole && (held || receipt.outcome === OUTCOME.SETTLED || receipt.outcome === OUTCOME.DECLINED);
}
