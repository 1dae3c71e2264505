/**
 * What each role costs a packet, in nanoseconds of its host's processor (`support/host-cpu.ts`): `scripts/bench roles` (root).
 * Real hosts of the lab, all in one run and by turns: a cluster of ours with one target, and a strongSwan gateway with kernel-libipsec.
 *
 * Towards the DVIPA a peer's packets (`support/flood.c`) go their whole way, up to the TUN of the host that opens them, whose counters say
 * what came through; behind it they are dropped. From the DVIPA TCP segments are put into the TUN (`support/inject.c`) and counted at the
 * peer. The generator never has more under way than the queues hold, so what is lost is a fault, and is told.
 */
import { BenchPeer, countersOf } from './support/bench-peer.ts';
import { gatewayUp } from './support/gateway.ts';
import { leaveMeasuredProcessor, place } from './support/host-cpu.ts';
import { type Load, prepare, RoleLab, TUN_WINDOW } from './support/role-lab.ts';
import { Role } from './support/role.ts';
import { type Measurement, median, ratioOf } from './support/rows.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 1.5);
/** Full packets; and what interactive traffic, acknowledgements and VoIP are like. */
const SIZES = [1440, 100] as const;
/** What kernel-libipsec takes from its TUN at most: it cuts off the rest. */
const OUTBOUND_BYTES = 1400;
/** kernel-libipsec reads from a socket buffer of the system's default size, 92 full packets on Debian. */
const STOCK_WINDOW = 64;
/** A processor's queue of packets that are yet to be received has 1000 places (net.core.netdev_max_backlog). */
const SINGLE_WINDOW = 512;
const WINDOW = 2048;
const LIBRARIES = ['openssl', 'ipsec-mb'] as const;

const load = (bytes: number, segments: number): Load => ({
  bytes,
  segments,
  window: segments === 1 ? SINGLE_WINDOW : WINDOW,
  seconds: SECONDS,
});
const stock = (bytes: number): Load => ({ ...load(bytes, 1), window: STOCK_WINDOW });

await leaveMeasuredProcessor();
const ours = await RoleLab.up('brc');
const gateway = await gatewayUp('brg').catch(async (error: unknown) => {
  await ours.down();
  throw error;
});
try {
  await prepare(gateway, gateway.router, 'ipsec0');
  const stockPeer = await BenchPeer.up(gateway);
  const charon = [gateway.process('router1', 'charon').pid];
  const routing = ours.routing();
  const target = () => [ours.agent()];

  // Its threads run where they like, as they do by themselves; `pinned`, where nobody wakes another processor, for comparison.
  const stockRoles = ['', 'pinned.'].map((how) => [
    ...SIZES.map((bytes) => {
      const counters = countersOf(charon[0] as number, 'ipsec0');
      const work = () => stockPeer.flood({ ...stock(bytes), counters });
      return new Role(`libipsec.${how}decrypt.${bytes}`, () => charon, work);
    }),
    new Role(
      `libipsec.${how}encrypt.${OUTBOUND_BYTES}`,
      () => charon,
      () => stockPeer.receive(gateway.router, 'ipsec0', stock(OUTBOUND_BYTES)),
    ),
  ]);
  const routes = SIZES.flatMap((bytes) =>
    [1, 8, 40].map((segments) =>
      ours.role(
        `routing.${segments}.${bytes}`,
        'router1',
        () => routing,
        () => ours.towards(load(bytes, segments)),
      ),
    ),
  );
  const targets = LIBRARIES.map((library) => [
    ours.role(`target.in.${library}.1440`, 'target1', target, () => ours.towards(load(1440, 40))),
    ours.role(`target.out.${library}.${OUTBOUND_BYTES}`, 'target1', target, () =>
      ours.from({ ...load(OUTBOUND_BYTES, 40), window: TUN_WINDOW }),
    ),
  ]);

  for (let n = 0; n < ROUNDS; n++) {
    for (const [i, where] of (['free', 'measured'] as const).entries()) {
      await place(gateway.router, charon, where);
      for (const role of stockRoles[i] ?? []) await role.measure();
    }
    await place(ours.cluster.lab.router, routing, 'measured');
    for (const role of routes) {
      if (n === 0) await role.warmUp();
      await role.measure();
    }
    await place(ours.cluster.lab.router, routing, 'others');
    for (const [i, library] of LIBRARIES.entries()) {
      await ours.restart('target1', { crypto_library: library });
      await place(ours.target, target(), 'measured');
      for (const role of targets[i] ?? []) {
        // It may have been refused: then this would be a figure of another one.
        if (ours.library() !== library) role.failure = `the target's library is ${ours.library()}`;
        await role.warmUp();
        await role.measure();
      }
      await place(ours.target, target(), 'others');
    }
  }

  const roles = [...stockRoles.flat(), ...routes, ...targets.flat()];
  const of = (name: string) => roles.find((role) => role.name === name) as Role;
  const rows: Record<string, Measurement> = {};
  const row = (key: string, name: string, baseName: string) => {
    const [role, base] = [of(name), of(baseName)];
    if (role.failure !== undefined || base.failure !== undefined) return;
    rows[key] = {
      ...ratioOf(role.ns, base.ns),
      measured: `CPU of the whole host, ${name} against ${baseName}`,
      parts: { 'ours ns': median(role.ns), 'kernel-libipsec ns': median(base.ns) },
    };
  };
  row('routing.uncoalesced', 'routing.1.1440', 'libipsec.decrypt.1440');
  row('routing.coalesced8', 'routing.8.1440', 'libipsec.decrypt.1440');
  row('routing.coalesced40', 'routing.40.1440', 'libipsec.decrypt.1440');
  for (const [key, library] of [
    ['evp', 'openssl'],
    ['mb', 'ipsec-mb'],
  ]) {
    row(`target.in.${key}`, `target.in.${library}.1440`, 'libipsec.decrypt.1440');
    row(`target.out.${key}`, `target.out.${library}.${OUTBOUND_BYTES}`, `libipsec.encrypt.${OUTBOUND_BYTES}`);
  }
  const figures = Object.assign({}, ...roles.map((role) => role.figures())) as Record<string, unknown>;
  console.log(JSON.stringify({ bench: 'roles', rounds: ROUNDS, ...figures, rows }));
} finally {
  await gateway.down();
  await ours.down();
}
