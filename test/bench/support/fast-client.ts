/**
 * A client made of the data plane's own parts, for the bench: `fast-client.ts PLUGIN-SOCKET OUTSIDE-INTERFACE TUN`. IKE is charon's, with
 * the plugin kernel-dvipa, which says what SAs there are; ESP goes between a TUN and the outside network, by vectors, with all offloads
 * and the cryptography that an agent would choose. One peer, tunnel mode, IPv4. No policies: routes say what goes into the TUN. Ends with
 * its charon.
 */
import { every, systemClock } from '../../../src/base/clock.ts';
import { KEEP, verdictOf } from '../../../src/base/verdict.ts';
import { addressOf, outerHeaderOf } from '../../../src/agents/sa-settings.ts';
import { packetCryptos } from '../../../src/agents/packet-cryptos.ts';
import { toSecurityAssociation } from '../../../src/agents/plugin-sa.ts';
import { tendRawSocket } from '../../../src/agents/tend-raw-socket.ts';
import { type ClusterAddresses, classify } from '../../../src/dataplane/classify.ts';
import { encapsulate, type OuterHeader } from '../../../src/dataplane/encapsulate.ts';
import { PacketVector } from '../../../src/dataplane/vector.ts';
import { captureFilter } from '../../../src/io/bpf.ts';
import { Capture } from '../../../src/io/capture.ts';
import { AGENT_MARK, RUNS_PORT } from '../../../src/io/guard-constants.ts';
import { RawSocket } from '../../../src/io/raw-socket.ts';
import { Tun } from '../../../src/io/tun.ts';
import { ReplayWindow } from '../../../src/ipsec/replay-window.ts';
import { createLog } from '../../../src/observe/log.ts';
import { AddressSet } from '../../../src/packet/address-map.ts';
import { IP_PROTOCOL } from '../../../src/packet/protocols.ts';
import { connect, PluginSession, type PluginSa } from '../../../src/vici/index.ts';

const VECTOR_PACKETS = 256;
const TURNS = 4;
const TEND_MS = 5000;
const WINDOW_PACKETS = 4096;
const UNKNOWN_SPI = verdictOf('unknown-spi');
const REPLAY = verdictOf('replay');

const [pluginSocket = '', outside = '', tunName = ''] = process.argv.slice(2);

const log = createLog({ level: 'info', format: 'text' });
const cryptos = packetCryptos({ library: 'auto' }, log);
const opening = cryptos.newCrypto();
const sealing = cryptos.newCrypto();
/** SAs are slots by their plugin id; inbound ones are found by SPI. */
const inbound = new Map<number, { slot: number; window: ReplayWindow }>();
const slots = new Map<number, ReplayWindow>();
let outbound: { slot: number; outer: OuterHeader; next: number } | undefined;
const endpoints = new AddressSet();
const addresses: ClusterAddresses = { endpoints, dvipas: new AddressSet() };
let capture: Capture | undefined;

const refused = ({ message }: Error) => log.warn('an offload is refused', { error: message });
const tun = Tun.open(tunName, { isPersistent: false, hasOffloads: true, onNoOffloads: refused });
const raw = RawSocket.open({ mark: AGENT_MARK, runsFrom: RUNS_PORT });
every(systemClock, TEND_MS, () => tendRawSocket(raw, log));
const fromTun = new PacketVector(VECTOR_PACKETS);
const fromOutside = new PacketVector(VECTOR_PACKETS);

tun.onReadable(() => {
  for (let turn = 0; turn < TURNS; turn++) {
    fromTun.reset();
    if (tun.receive(fromTun) === 0) return;
    send(fromTun);
  }
});

function send(vector: PacketVector): void {
  const sa = outbound;
  if (sa === undefined) return;
  for (let i = 0; i < vector.count; i++) {
    const number = sa.next++;
    vector.saSlot[i] = sa.slot;
    vector.sequenceHigh[i] = 0;
    vector.sequenceLow[i] = number;
    vector.ivHigh[i] = 0;
    vector.ivLow[i] = number;
    vector.nextHeader[i] = IP_PROTOCOL.IPV4;
    vector.dontFragment[i] = 1; // TCP's packets have it, and without there are no runs
  }
  sealing.seal(vector);
  for (let i = 0; i < vector.count; i++) if (vector.verdict[i] === KEEP) encapsulate(vector, i, sa.outer);
  raw.send(vector);
}

function receive(vector: PacketVector): void {
  classify(vector, addresses);
  for (let i = 0; i < vector.count; i++) {
    if (vector.verdict[i] !== KEEP) continue;
    const sa = inbound.get(vector.spi[i] as number);
    if (sa === undefined) {
      vector.drop(i, UNKNOWN_SPI);
      continue;
    }
    vector.saSlot[i] = sa.slot;
    vector.offset[i] = vector.espOffset[i] as number;
    vector.length[i] = vector.espLength[i] as number;
  }
  opening.open(vector);
  for (let i = 0; i < vector.count; i++) {
    if (vector.verdict[i] !== KEEP) continue;
    const window = slots.get(vector.saSlot[i] as number);
    if (window?.commit(vector.sequenceHigh[i] as number, vector.sequenceLow[i] as number) !== true)
      vector.drop(i, REPLAY);
  }
  tun.send(vector);
}

function listen(address: string): void {
  if (capture !== undefined) return;
  const own = addressOf(address);
  endpoints.add(own);
  const opened = Capture.open(
    outside,
    (linkHeaderBytes) => captureFilter({ dvipas: [], endpoints: [own] }, linkHeaderBytes),
    { wantsRing: true, onRefused: refused },
  );
  capture = opened;
  opened.onReadable(() => {
    for (let turn = 0; turn < TURNS; turn++) {
      fromOutside.reset();
      if (opened.receive(fromOutside) === 0) return;
      receive(fromOutside);
    }
  });
}

function add(instance: string, given: PluginSa): void {
  const translated = toSecurityAssociation(instance, given);
  if (!translated.ok) throw new Error(`an SA that this client cannot serve: ${translated.reason}`);
  const sa = translated.value;
  const slot = Number(given.id);
  if (sa.direction === 'out') {
    sealing.install(slot, sa);
    outbound = { slot, outer: outerHeaderOf(sa), next: 1 };
    return;
  }
  listen(sa.outer.destination);
  opening.install(slot, sa);
  const window = new ReplayWindow(WINDOW_PACKETS);
  slots.set(slot, window);
  inbound.set(sa.spi, { slot, window });
}

function remove(id: string, spi: number): void {
  const slot = Number(id);
  if (outbound?.slot === slot) outbound = undefined;
  sealing.remove(slot);
  opening.remove(slot);
  slots.delete(slot);
  inbound.delete(spi);
}

const session = new PluginSession(
  { clock: systemClock, random: Math.random, open: (signal) => connect(`unix://${pluginSocket}`, signal) },
  {
    onSnapshot: ({ instance, sas }) => {
      for (const sa of sas) add(instance, sa);
      console.log('ready');
    },
    onChange: (change) => {
      if (change.type === 'sa-add') add(session.instance, change.sa);
      if (change.type === 'sa-delete') remove(change.id, change.spi);
    },
    onDisconnected: () => process.exit(0),
  },
);
session.start();
