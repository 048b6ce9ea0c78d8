// A phone's app as a GATT server behind bluetoothd, real or simulated: the service of docs/protocols/ble.md.
import { CLIENT_TO_SERVER, END, Peripheral, SERVER_TO_CLIENT, STATE, serviceUuid } from "./ble.mjs";
import { Bus } from "./dbus.mjs";

const [APP, SERVICE, ADVERTISEMENT] = ["/app", "/app/service", "/app/advertisement"];
const CHARACTERISTICS = {
  [`${SERVICE}/state`]: [STATE, ["write-without-response", "notify"]],
  [`${SERVICE}/to_server`]: [CLIENT_TO_SERVER, ["write-without-response"]],
  [`${SERVICE}/to_client`]: [SERVER_TO_CLIENT, ["notify"]],
};
const [CCCD, ON, OFF] = ["2902", Buffer.from([1, 0]), Buffer.from([0, 0])];

function objects(uuid) {
  const found = { [SERVICE]: { "org.bluez.GattService1": { UUID: ["s", uuid], Primary: ["b", true] } } };
  for (const [path, [own, flags]] of Object.entries(CHARACTERISTICS)) {
    const about = { UUID: ["s", own], Service: ["o", SERVICE], Flags: ["as", flags] };
    found[path] = { "org.bluez.GattCharacteristic1": about };
  }
  return found;
}

// Advertises the service of a code on the bus at a unix socket; `leave` says goodbye.
export async function advertise(socket, code, answer) {
  const uuid = serviceUuid(code);
  const phone = new Peripheral(answer, 23, notify);
  const bus = await Bus.open(socket, serve);
  const pathOf = (characteristic) => Object.keys(CHARACTERISTICS).find((path) => CHARACTERISTICS[path][0] === characteristic);

  function notify(characteristic, value) {
    const changed = { Value: ["ay", value] };
    bus.signal(pathOf(characteristic), "org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as", "org.bluez.GattCharacteristic1", changed, []);
  }

  function serve({ path, member, body }) {
    if (member === "GetManagedObjects") return ["a{oa{sa{sv}}}", objects(uuid)];
    if (member === "GetAll") return ["a{sv}", { Type: ["s", "peripheral"], ServiceUUIDs: ["as", [uuid]] }];
    const [characteristic] = CHARACTERISTICS[path] ?? [];
    // bluetoothd keeps the CCCDs; it says when a central wrote one.
    if (member === "StartNotify") phone.writeDescriptor(characteristic, CCCD, ON);
    if (member === "StopNotify") phone.writeDescriptor(characteristic, CCCD, OFF);
    if (member !== "WriteValue") return [""];
    const [value, options] = body;
    phone.mtu = options.mtu ?? phone.mtu;
    phone.write(characteristic, Buffer.from(value));
    return [""];
  }

  const manager = { destination: "org.bluez", path: "/org/bluez/hci0" };
  await bus.call({ ...manager, interface: "org.bluez.GattManager1", member: "RegisterApplication" }, "oa{sv}", APP, {});
  await bus.call({ ...manager, interface: "org.bluez.LEAdvertisingManager1", member: "RegisterAdvertisement" }, "oa{sv}", ADVERTISEMENT, {});
  return {
    leave: async () => {
      notify(STATE, END);
      await bus.call({ ...manager, interface: "org.bluez.LEAdvertisingManager1", member: "UnregisterAdvertisement" }, "o", ADVERTISEMENT);
      bus.close();
    },
  };
}
