/**
 * What a captured packet costs the routing host until it lies in a vector, and what dropping the kernel's own copy costs:
 * `node --import tsx test/bench/capture.ts` (root). Prints one JSON object; times are medians of the rounds, CPU nanoseconds of one
 * packet of 1440 bytes. A veth bills what the receiving kernel does to the sender, so both processes count, less what the sender needs
 * where an ingress hook drops all.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ROUTER_GUARD_TABLE } from '../../src/io/guard-constants.ts';
import { NetHost } from '../interop/support/net-host.ts';
import { median } from '../interop/support/load.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const PACKETS = 40_000;
const PER_SECOND = 80_000;
/** As agents have it (`polling.pause`). */
const PAUSE_MICROSECONDS = 100;
const IP_BYTES = 1440;
const [FROM, TO] = ['10.9.1.1', '10.9.1.2'];
const scope = { dvipas: [], endpoints: [TO] };

/** Sends so many packets, so many in a call, at an even rate, 40 at once; prints its CPU time in ns. */
const SENDER = `
import socket, sys, time
segments, packets, rate, size = map(int, sys.argv[1:5])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
there = ('${TO}', 4500)
if segments > 1: sock.setsockopt(17, 103, size)
payload = bytes([193]) * (size * segments)
send, began, cpu, sent = sock.sendto, time.monotonic(), time.process_time_ns(), 0
while sent < packets:
    for _ in range(40 // segments): send(payload, 0, there)
    sent += 40
    ahead = began + sent / rate - time.monotonic()
    if ahead > 0.0001: time.sleep(ahead)
print(time.process_time_ns() - cpu)
`;

const INGRESS = `table netdev bench {
  chain everything {
    type filter hook ingress device "outside0" priority 0;
    udp dport 4500 drop
  }
}`;

const client = new NetHost('benchcap-client');
const host = new NetHost('benchcap-host');
NetHost.wire(client, 'outside0', host, 'outside0');
client.ip(`address add ${FROM}/24 dev outside0`);
host.ip(`address add ${TO}/24 dev outside0`);
client.run(`ping -c1 -W2 ${TO}`);
const guard = await host.worker();

function send(segments: number): number {
  return Number(client.python(SENDER, [segments, PACKETS, PER_SECOND, IP_BYTES - 28].map(String)));
}

interface Cost {
  readonly cpu: number;
  readonly lost: number;
}

const ways: Readonly<Record<string, (segments: number) => Promise<Cost>>> = {
  /** The sender alone. */
  async sender(segments) {
    host.run(`nft -f - <<'END'\n${INGRESS}\nEND`);
    const cpu = send(segments);
    host.run('nft delete table netdev bench');
    return { cpu, lost: 0 };
  },
  /** No capture; dropped where the host's own packets are. */
  async droppedInInput(segments) {
    host.run(`nft flush chain inet ${ROUTER_GUARD_TABLE} early`);
    const cpu = send(segments);
    await guard.do('routerInstall', scope);
    return { cpu, lost: 0 };
  },
  droppedEarly: async (segments) => ({ cpu: send(segments), lost: 0 }),
  /** Read when poll() says so: most of it is waking up. */
  oneByOneWoken: (segments) => captured(segments, true, false),
  ringWoken: (segments) => captured(segments, false, false),
  /** The same with pauses between looks, as agents have them. */
  ringPaused: (segments) => captured(segments, false, false, PAUSE_MICROSECONDS),
  /** Read each millisecond, by one who is busy and need not be woken. */
  oneByOne: (segments) => captured(segments, true, true),
  ring: (segments) => captured(segments, false, true),
};

async function captured(segments: number, plain: boolean, isBusy: boolean, pause = 0): Promise<Cost> {
  const worker = await host.worker();
  await worker.do('pause', pause);
  await worker.do('captureCounting', 'outside0', 'outside0', { ...scope, plain }, isBusy);
  const before = await worker.do('counted', 'outside0');
  const sent = send(segments);
  await sleep(50);
  const after = await worker.do('counted', 'outside0');
  await worker.kill();
  return { cpu: sent + 1000 * (after.cpu - before.cpu), lost: PACKETS - after.packets };
}

const plan: readonly (readonly [way: string, segments: number])[] = [
  ...Object.keys(ways).map((way) => [way, 1] as const),
  ...[8, 40].flatMap((segments) =>
    ['sender', 'ringWoken', 'ringPaused', 'ring'].map((way) => [way, segments] as const),
  ),
];
const costs = new Map<string, Cost[]>();
try {
  await guard.do('routerInstall', scope);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [way, segments] of plan) {
      const name = `${way}_${segments}`;
      costs.set(name, [...(costs.get(name) ?? []), await (ways[way] as (typeof ways)[string])(segments)]);
    }
  }
} finally {
  await client.close();
  await host.close();
}
const results: Record<string, number | string> = { bench: 'capture' };
for (const [way, segments] of plan) {
  const all = costs.get(`${way}_${segments}`) as Cost[];
  const alone = (costs.get(`sender_${segments}`) as Cost[]).map(({ cpu }) => cpu);
  if (way === 'sender') continue;
  const each = all.map(({ cpu }, round) => (cpu - (alone[round] as number)) / PACKETS);
  results[`${way}_${segments}_ns`] = Math.round(median(each));
  results[`${way}_${segments}_lost`] = all.reduce((sum, { lost }) => sum + lost, 0);
}
console.log(JSON.stringify(results));
