// What a phone answers to each message of a terminal. Written from docs/protocols/tap.md and holders.md.
import * as d from "./documents.mjs";
import { numbers } from "./protos.mjs";
import { late } from "./rules.mjs";

const S = numbers("TapStatus");
const NONE = Buffer.alloc(0);

const isNonce = (nonce) => nonce?.length === 32;
const refusing = (status, work) => {
  try {
    return work();
  } catch (error) {
    if (error instanceof d.Refused) return { status, why: error.message };
    throw error;
  }
};

// Shows it to the customer once, in time; what he said stays.
const consider = (phone, signed, open) =>
  refusing(S.REQUEST_REFUSED, () => {
    const purchase = open();
    const key = purchase.hash.toString("hex");
    const decided = phone.purchases.get(key);
    if (decided) return phone.tell(decided);
    if (late(purchase.request)) throw new d.Refused("late", "not in time");
    const id = purchase.request.request_id.toString("hex");
    if ((phone.idsAsked.get(id) ?? key) !== key) throw new d.Refused("id", "asked before");
    phone.idsAsked.set(id, key);
    phone.shown.push(`${purchase.certificate.display_name}: ${purchase.request.total.amount_minor}`);
    const agrees = phone.decide(purchase);
    const kept = { ...purchase, signed, status: agrees ? S.AUTHORIZED : S.CUSTOMER_DECLINED };
    if (agrees) kept.sealed = phone.authorize(purchase);
    phone.purchases.set(key, kept);
    return phone.tell(kept);
  });

export const ANSWERS = {
  present_payment: (phone, present, session) =>
    consider(phone, present.payment_request, () => phone.openPurchase(present, session)),

  present_bill: (phone, present) => consider(phone, present.bill, () => phone.openBill(present)),

  inquire_payment: (phone, { request_hash }) => {
    const decided = phone.purchases.get((request_hash ?? NONE).toString("hex"));
    return decided ? phone.tell(decided) : { status: S.REQUEST_UNKNOWN };
  },

  deliver_receipt: (phone, { receipt, tickets }) =>
    refusing(S.RECEIPT_REFUSED, () => {
      const taken = phone.takeReceipt(receipt ?? {});
      phone.takeTickets(tickets, taken.request_id);
      phone.shown.push(`receipt: ${taken.outcome}`);
      return { status: S.RECEIPT_ACCEPTED };
    }),

  challenge_holder: (phone, { nonce, merchant_certificate, with_journey }, session) =>
    refusing(S.REQUEST_REFUSED, () => {
      if (!isNonce(nonce)) return { status: S.NOT_UNDERSTOOD };
      const gate = phone.verifyTerminal(merchant_certificate);
      phone.gates.set(session, gate);
      if (!phone.credential) return { status: S.HOLDER_UNKNOWN };
      const ride = phone.openRide(gate.certificate.merchant_id);
      const holder_answer = phone.prove(d.nonceChallenge(nonce), gate.certificate);
      const admission = ride && { admission_answer: { admission: ride.signed } };
      const journey = with_journey && phone.journeys.get(gate.certificate.merchant_id);
      return { status: S.HOLDER_PROVEN, holder_answer, ...admission, ...(journey && { journey_answer: journey }) };
    }),

  grant_admission: (phone, { admission: signed }, session) => {
    const gate = phone.gates.get(session);
    if (!gate) return { status: S.NOT_UNDERSTOOD };
    return refusing(S.ADMISSION_REFUSED, () => {
      const admission = phone.open(signed ?? {}, "admission", "Admission", gate.certificate.terminal_public_key);
      const mine = admission.holder_public_key?.equals(phone.holderPublic) && admission.admission_id?.length === 16;
      if (!mine || !isFrom(admission, gate)) throw new d.Refused("admission", "not mine");
      const known = phone.rides.some((ride) => ride.admission.admission_id.equals(admission.admission_id));
      if (!known) phone.rides.push({ admission, signed, certificate: gate.signed });
      phone.shown.push(`in at ${admission.station_id}`);
      return { status: S.ADMISSION_KEPT };
    });
  },

  ask_for_admission: (phone, asked, session) =>
    refusing(S.REQUEST_REFUSED, () => {
      if (!isNonce(asked.nonce)) return { status: S.NOT_UNDERSTOOD };
      const gate = phone.verifyTerminal(asked.merchant_certificate);
      phone.gates.set(session, gate);
      const ride = phone.openRide(gate.certificate.merchant_id);
      if (!ride) return { status: S.ADMISSION_MISSING };
      if (!phone.credential) return { status: S.HOLDER_UNKNOWN };
      const { proof } = phone.prove(d.nonceChallenge(asked.nonce), gate.certificate);
      const entry = asked.with_entry_certificate && { entry_certificate: ride.certificate };
      return { status: S.ADMISSION_SHOWN, admission_answer: { admission: ride.signed, proof, ...entry } };
    }),

  close_admission: (phone, { exit_note, receipt, journey_note }, session) => {
    const gate = phone.gates.get(session);
    if (!gate) return { status: S.NOT_UNDERSTOOD };
    return refusing(S.EXIT_NOTE_REFUSED, () => {
      const note = phone.open(exit_note ?? {}, "exit-note", "ExitNote", gate.certificate.terminal_public_key);
      const ride = phone.rides.find((each) => each.admission.admission_id.equals(note.admission_id ?? NONE));
      if (!ride || !isFrom(note, gate) || ride.admission.merchant_id !== note.merchant_id) throw new d.Refused("note", "not mine");
      ride.note ??= note;
      phone.journeys.delete(note.merchant_id);
      if (journey_note) refusing(0, () => phone.takeJourney(journey_note, gate));
      if (receipt) refusing(0, () => phone.takeReceipt(receipt));
      phone.shown.push(`out at ${note.station_id}: ${note.fare?.amount_minor ?? 0}`);
      return { status: S.ADMISSION_CLOSED };
    });
  },

  tell_refusal: (phone, told, session) => {
    if (!phone.gates.get(session)) return { status: S.NOT_UNDERSTOOD };
    phone.shown.push(`refused: ${told.decline_reason}`);
    return { status: S.REFUSAL_SHOWN };
  },

  ask_for_ticket: (phone, asked) =>
    refusing(S.REQUEST_REFUSED, () => {
      if (!isNonce(asked.nonce)) return { status: S.NOT_UNDERSTOOD };
      const { certificate } = phone.verifyTerminal(asked.merchant_certificate);
      const own = phone.tickets.filter(({ ticket }) => ticket.offer.merchant_id === certificate.merchant_id);
      const fit = ({ ticket }) => asked.event_ids?.includes(ticket.offer.event_id) && ticket.offer.admits > 0;
      const chosen = own.find(fit) ?? own.find(({ ticket }) => ticket.offer.admits > 0);
      if (asked.amount || !chosen) return { status: S.TICKET_MISSING };
      const challenge = d.ticketChallenge(asked.nonce, d.sha256(chosen.signed.payload), 1, 0);
      const proof = phone.signProof(challenge, certificate);
      const shown = { ticket: chosen.signed, holder_public_key: phone.holderPublic, proof, persons: 1 };
      return { status: S.TICKET_SHOWN, ticket_answer: shown };
    }),

  tell_entry: (phone, told) => {
    const kept = phone.tickets.find(({ ticket }) => ticket.ticket_id.equals(told.ticket_id ?? NONE));
    if (!kept) return { status: S.NOT_UNDERSTOOD };
    kept.left = told.persons_left ?? 0;
    phone.shown.push(told.decline_reason ? `turned away: ${told.decline_reason}` : `come in: ${kept.left} left`);
    return { status: S.ENTRY_SHOWN };
  },
};

const isFrom = (document, { certificate }) =>
  document.merchant_id === certificate.merchant_id && document.terminal_id === certificate.terminal_id;
