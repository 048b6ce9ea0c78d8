// The rules of a payment that a phone looks at before its customer sees anything. Written from
// docs/protocols/documents.md.
import * as d from "./documents.mjs";
import { numbers } from "./protos.mjs";

const SUBMITTER = numbers("PaymentSubmitter");
const TERMS = numbers("SettlementTerms");
const SECOND = 1_000_000n;
const DAY = 86_400n * SECOND;
const TOLERANCE = 5n * SECOND;
const NONE = Buffer.alloc(0);

const isLine = ({ description, quantity = 0, gtin = "" }) =>
  d.isPlain(description, 60) && quantity >= 1 && quantity <= 9999 && /^([0-9]{14})?$/.test(gtin);
const value = ({ quantity, unit_price_minor = "0" }) => BigInt(quantity) * BigInt(unit_price_minor);
const near = (a, b, limit) => a - b <= limit && b - a <= limit;

// Refused if a request breaks a rule, or is not by whom the certificate names. A bill is a request of
// one line, by nobody.
export function check(request, certificate) {
  const [create, expire] = [d.micros(request.create_time), d.micros(request.expire_time)];
  const deferred = request.deferred_expire_time && d.micros(request.deferred_expire_time);
  const { request_id: id = NONE, items = [], hold_seconds: hold = 0, terms = 0, submitter = 0 } = request;
  const { admission_id: ride = NONE, admission_credential_id: rider = NONE, ticket_orders: orders = [] } = request;
  const total = BigInt(request.total?.amount_minor ?? 0);
  const made = id.length === 16 ? BigInt(id.readUIntBE(0, 6)) * 1000n : 0n;
  const isHold = terms === TERMS.HOLD;
  const rungs = [
    ["terminal", request.merchant_id === certificate.merchant_id && request.terminal_id === certificate.terminal_id],
    ["request_id", d.isIdText(d.idText(id)) && (!deferred || near(made, create, 120n * SECOND))],
    ["expire_time", expire > create && expire - create <= 120n * SECOND],
    ["deferred_expire_time", !deferred || (deferred >= expire && deferred - create <= 7n * DAY)],
    ["items", items.length <= 200 && items.every(isLine)],
    ["total", total > 0n && items.every(isLine) && items.map(value).reduce((a, b) => a + b, 0n) === total],
    ["order_id", !request.merchant_id || d.isPlain(request.order_id, 40)],
    ["admission_id", (ride.length === 0 && rider.length === 0) || (ride.length === 16 && rider.length === 16 && !orders.length)],
    ["terms", isHold ? hold >= 1 && hold <= 86400 && !orders.length && !ride.length : terms === 0 && hold === 0],
    ["submitter", submitter === 0 || submitter === SUBMITTER.PHONE],
  ];
  const wrong = rungs.find(([, holds]) => !holds);
  if (wrong) throw new d.Refused("rule", wrong[0]);
}

// A bill in the shape of a request.
export function asRequest({ request_id, amount: total, create_time, expire_time, description, submitter }) {
  const items = [{ description, quantity: 1, unit_price_minor: total?.amount_minor }];
  return { request_id, total, create_time, expire_time, items, submitter };
}

export const late = (request) => {
  const now = d.nowMicros();
  return d.micros(request.expire_time) + TOLERANCE <= now || d.micros(request.create_time) > now + TOLERANCE;
};

export function inDate(certificate) {
  const now = d.nowMicros();
  const isEarly = d.micros(certificate.issue_time) > now + TOLERANCE;
  if (isEarly || now >= d.micros(certificate.expire_time)) throw new d.Refused("late", "the certificate is out of date");
}
