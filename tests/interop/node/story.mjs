// A phone and terminals in Node against a real switch: they pay, hold, ride, and enter.
//
//   PROTOS=... node story.mjs < {"phone": URI, "friend": URI, "till": URI, "entry": URI, "exit": URI, "offer": {...}}
//
// Prints one line of JSON: what each scene came to.
import { readFileSync } from "node:fs";
import { CLIENT_TO_SERVER, connect } from "./ble.mjs";
import * as d from "./documents.mjs";
import { ask, follow, renew } from "./enrol.mjs";
import { Phone } from "./phone.mjs";
import { nameOf, numbers, serialize } from "./protos.mjs";
import { Session, Terminal } from "./terminal.mjs";

const given = JSON.parse(readFileSync(0));
const phone = await Phone.pair(given.phone, ({ request }) => request.order_id !== "no");
const [till, entry, exit] = await Promise.all([given.till, given.entry, given.exit].map((uri) => Terminal.pair(uri)));
const link = async (message) => phone.answer(message);
const HOLD = { terms: numbers("SettlementTerms").HOLD, hold_seconds: 600 };
const told = {};
const errorOf = (work, name = "reason") => work.then(() => "", (error) => error[name]);
const balance = async () => {
  const { account } = await ask(phone.device, "AccountService", "GetAccount", { account_number: phone.account });
  return [account.balance, account.available].map((money) => Number(money?.amount_minor ?? 0));
};

// A purchase; then the same bytes, the same content sealed anew, other content, and by id.
const pending = till.request("order-1", 748);
const paid = await till.pay(link, pending);
told.paid = [paid.outcome, paid.minor, paid.phone];
const purchase = phone.purchases.get(pending.hash.toString("hex"));
const again = await till.settle(pending, purchase.sealed);
const sealedAnew = await till.settle(pending, phone.authorize(purchase));
told.again = [again, sealedAnew].map((each) => each.signed.payload.equals(paid.signed.payload));
told.byId = (await till.find(pending)).outcome;
const other = { ...purchase, request: { ...purchase.request, expire_time: d.timeIn(30) } };
told.otherContent = await errorOf(till.settle(pending, phone.authorize(other)));
told.declined = (await till.pay(link, till.request("no", 100))).outcome;
told.tooMuch = await till.pay(link, till.request("order-2", 99_999_999)).then(({ outcome, reason }) => [outcome, reason]);
const stale = till.request("order-3", 100, { request_id: d.newId(Date.now() - 200_000) });
told.stale = await errorOf(till.pay(link, stale));
const wrong = till.request("order-4", 748);
const cheaper = { ...wrong.request, total: { amount_minor: "747", currency_code: "EUR" } };
told.mismatch = (await till.settle(wrong, phone.authorize({ ...purchase, hash: wrong.hash, request: cheaper }))).reason;

// Limits are inclusive: 120 s is a lifetime, a microsecond more is none.
const lasting = (nanos) => {
  const { seconds } = d.timeIn(0);
  return { create_time: { seconds }, expire_time: { seconds: String(BigInt(seconds) + 120n), nanos } };
};
told.longest = (await till.pay(link, till.request("longest", 100, lasting(0)))).outcome;
const tooLong = till.request("too-long", 100, lasting(1_000));
told.tooLong = [(await till.pay(link, tooLong)).outcome];
told.tooLong.push((await till.settle(tooLong, phone.authorize({ ...purchase, ...tooLong }))).reason);

// The same exchange twice, and another one under its number.
const session = new Session(link);
const asked = { session_id: session.id, sequence: 1, inquire_payment: { request_hash: pending.hash } };
const bytes = serialize("kessai.v1.TapRequest", asked);
told.sameExchange = phone.answer(bytes).equals(phone.answer(bytes));

// Holds: one captured in part, one voided.
const held = till.request("locker", 1_000, HOLD);
told.held = (await till.pay(link, held)).outcome;
told.whileHeld = await balance();
const captured = await till.capture(held, 300);
told.captured = [captured.outcome, captured.minor, (await till.find(held)).minor];
phone.takeReceipt(captured.signed);
const spare = till.request("machine", 500, HOLD);
await till.pay(link, spare);
told.voided = (await till.void(spare)).outcome;

// By the phone's own line.
const direct = till.request("direct", 200, { submitter: numbers("PaymentSubmitter").PHONE });
told.submitting = (await till.pay(link, direct)).outcome;
let submitted;
const followed = follow(till.device, "PaymentService", "FollowPayments", {}, ({ receipt }) => {
  if (!receipt) submitted = phone.submit(direct.hash); // the first answer: from now on nothing is missed
  return receipt && till.believe(receipt, direct).outcome;
});
told.followed = await followed;
const { receipt } = await submitted;
told.direct = [till.believe(receipt, direct).outcome, (await till.find(direct)).outcome];

// The receipts show that the log still is what it was; the switch says what to turn away.
const places = await ask(till.device, "LedgerService", "GetLogHash", { receipts: [paid.signed, receipt] });
const { chain_hash: chain } = d.open(paid.signed, "receipt", "kessai.v1.Receipt", till.device.switch_public_key).log_position;
told.log = [nameOf("LogPlaceState", places.places[0].state), places.places[0].chain_hash.equals(chain)];
const report = { software_version: "interop 1", reader_state: numbers("ReaderState").READY, report_time: d.timeIn(0) };
told.attached = await follow(till.device, "FleetService", "Attach", { first: { report } }, ({ deny_list: list }) => list && [list.complete, list.entries?.length ?? 0]);

// What a terminal that is cut off would believe: the phone's proof over request and sealed bytes.
told.unknownHolder = (await entry.enter(link, "harbour")).told;
await phone.certify();
const deferred = till.request("deferred", 150, { deferred_expire_time: d.timeIn(86_400) });
const answer = await till.present(new Session(link), deferred);
const sealed = answer.sealed_authorization;
const { credential_id: credentialId } = phone.credential;
till.checkProof(answer.holder_answer.proof, phone.holderPublic, deferred.hash, credentialId, d.sealedHash(sealed));
told.deferred = (await till.settle(deferred, sealed, answer.holder_answer)).outcome;

// A ride, and the same ride once more.
const entered = await entry.enter(link, "harbour");
told.entered = entered.told;
told.confirmedAgain = nameOf("DeclineReason", (await entered.confirmAgain()).decline_reason);
const left = await exit.leave(link, "market", 320);
told.left = left.told;
told.afterwards = (await exit.leave(link, "market", 320)).told;
phone.rides[0].note = undefined;
told.twice = (await exit.leave(link, "market", 320)).told;

// Tickets: bought, shown, used up.
const { offer_id, event_id, price } = given.offer;
const buy = till.request("tickets", price, { ticket_orders: [{ offer_id, count: 1 }] });
told.bought = (await till.pay(link, buy)).phone;
told.tickets = phone.tickets.length;
told.admitted = await till.admit(link, [event_id]);
told.full = (await till.admit(link, [event_id])).told;

// Over BLE, at the least MTU and at the largest; what is no fragment ends the session.
told.overBle = [];
for (const mtu of [23, 517]) {
  const line = connect((message) => phone.answer(message), mtu);
  const { outcome, phone: said } = await till.pay(line.exchange, till.request("ble", 5));
  told.overBle.push(outcome, said);
  line.hangUp();
}
const { phone: torn } = connect((message) => phone.answer(message), 23);
const nonsense = Buffer.from([7, 7]);
told.nonsense = await errorOf(Promise.resolve().then(() => torn.write(CLIENT_TO_SERVER, nonsense)), "message");

// Texts that a person reads are plain, for phone and switch.
told.odd = [];
for (const [field, text] of [["order_id", "17\u202e"], ["items", "Bread\nPaid"], ["items", " Bread"]]) {
  const items = [{ description: text, quantity: 1, unit_price_minor: "5" }];
  const odd = till.request("odd", 5, field === "items" ? { items } : { order_id: text });
  told.odd.push((await till.pay(link, odd)).outcome);
  told.odd.push((await till.settle(odd, phone.authorize({ ...purchase, ...odd }))).reason);
}

// The phone's own line tells it, too, what it paid, and what became of a hold.
const own = await ask(phone.device, "PaymentService", "GetPayment", { request_id: buy.id });
told.payersTickets = own.tickets.length;
const locker = till.request("locker-2", 40, HOLD);
const ends = [];
told.heldAndEnded = await follow(phone.device, "PaymentService", "FollowPayments", {}, ({ receipt: news }) => {
  if (!news) till.pay(link, locker).then(() => till.capture(locker, 30));
  else ends.push(nameOf("PaymentOutcome", phone.open(news, "receipt", "Receipt").outcome));
  return ends.length === 2 && ends;
});

// A bill of the other phone's.
const friend = await Phone.pair(given.friend);
const bill = await friend.bill("Half a pizza", 625);
const collected = await friend.collect(new Session(link), bill);
told.bill = [nameOf("PaymentOutcome", collected.outcome), nameOf("TapStatus", collected.status)];

// Renewal: another certificate, the same device.
await Promise.all([phone.device, till.device].map((device) => renew(device)));
told.renewed = (await till.pay(link, till.request("order-5", 10))).outcome;
told.balance = await balance();
told.shown = phone.shown;
console.log(JSON.stringify(told));
process.exit(0);
