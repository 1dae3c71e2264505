/**
 * The attacker's process, in his namespace: listens to the copies of the client's traffic that the tap gives him, and sends
 * so many packets a second. `attacker.ts` starts it and tells it by IPC what to do.
 */
import { PacketVector } from '../../../../src/dataplane/vector.ts';
import { BPF, BpfProgram } from '../../../../src/io/bpf-program.ts';
import { Capture } from '../../../../src/io/capture.ts';
import { RawSocket } from '../../../../src/io/raw-socket.ts';
import { addressNumber } from '../ipv4-packets.ts';
import { Arsenal, type Field } from './arsenal.ts';
import { isEspInUdp, sourceOf, tag } from './forge.ts';
import { dscpOf, KINDS, type Kind, noCounts, SHARES } from './kinds.ts';

export interface Orders {
  readonly field: Field;
  readonly packetsPerSecond: number;
  /** Left out of the flood. */
  readonly without: readonly Kind[];
}

const BATCH = 64;
const TICK_MS = 2;
/** What was not sent in time is made up for, but not all at once. */
const MAX_OWED = 1024;
const WHOLE_PACKET = 0x40000;
const INTERFACE = 'outside0';

let orders: Orders | undefined;
let arsenal: Arsenal | undefined;
let deck: Kind[] = [];
let counts = noCounts();
let total = 0;
let startedAt = 0;
let timer: NodeJS.Timeout | undefined;

const raw = RawSocket.open({ mark: 0 });
const capture = Capture.open(INTERFACE, () => new BpfProgram().do(BPF.RETURN, WHOLE_PACKET).encode());
const seen = new PacketVector(256);
const batch = new PacketVector(BATCH);
const kindOf: Kind[] = [];

function put(kind: Kind, packet: Buffer): void {
  if (!batch.push(tag(packet, dscpOf(kind)))) return;
  kindOf[batch.count - 1] = kind;
  if (batch.count === BATCH) send();
}

function send(): void {
  if (batch.count === 0) return;
  raw.send(batch);
  for (let i = 0; i < batch.count; i++) {
    if (batch.verdict[i] !== 0) continue;
    counts[kindOf[i] as Kind] += 1;
    total += 1;
  }
  batch.reset();
}

function listen(): void {
  for (;;) {
    seen.reset();
    if (capture.receive(seen) === 0) return;
    if (arsenal === undefined || orders === undefined) continue;
    const client = addressNumber(orders.field.client);
    for (let i = 0; i < seen.count; i++) {
      const packet = seen.packet(i).subarray(0, seen.packet(i).readUInt16BE(2));
      if (!isEspInUdp(packet)) continue;
      if (sourceOf(packet) !== client) {
        arsenal.sawAnswer(packet);
        continue;
      }
      arsenal.saw(packet);
      if (timer === undefined || orders.without.includes('race')) continue;
      // A fast client is raced in part, or nothing would be left for the other kinds.
      if (counts.race >= allowance(orders) / 2) continue;
      for (const race of arsenal.races(packet)) put('race', race);
    }
    send();
  }
}

/** So many packets may have been sent by now. */
function allowance({ packetsPerSecond }: Orders): number {
  return (packetsPerSecond * (performance.now() - startedAt)) / 1000;
}

function flood(given: Orders, from: Arsenal): void {
  const owed = allowance(given) - total;
  for (let i = 0; i < Math.min(owed, MAX_OWED); i++) {
    const kind = deck[Math.floor(Math.random() * deck.length)] as Kind;
    put(kind, from.make(kind));
  }
  send();
}

const operations = {
  /** Listens from now on. */
  watch(given: Orders) {
    orders = given;
    arsenal = new Arsenal(given.field);
    deck = KINDS.filter((kind) => !given.without.includes(kind)).flatMap((kind) =>
      Array.from({ length: SHARES[kind] ?? 0 }, () => kind),
    );
  },
  isReady: () => arsenal?.isReady === true,
  start() {
    const [given, from] = [orders, arsenal];
    if (given === undefined || from === undefined || !from.isReady) throw new Error('nothing was seen yet');
    counts = noCounts();
    total = 0;
    startedAt = performance.now();
    timer = setInterval(() => flood(given, from), TICK_MS);
  },
  stop() {
    clearInterval(timer);
    timer = undefined;
    return {
      sent: counts,
      seconds: (performance.now() - startedAt) / 1000,
      seen: arsenal?.seen ?? 0,
      connections: arsenal?.connections ?? 0,
    };
  },
};

export type Operations = typeof operations;

capture.onReadable(listen);
process.on(
  'message',
  ({ id, operation, value }: { id: number; operation: keyof Operations; value: Orders }) => {
    try {
      process.send?.({ id, value: operations[operation](value) });
    } catch (error) {
      process.send?.({ id, error: String(error) });
    }
  },
);
process.on('disconnect', () => process.exit(0));
process.send?.({ id: 0 });
