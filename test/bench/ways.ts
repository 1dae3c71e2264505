/**
 * What the ways to send that lead through the routing host (docs/outbound.md, B and C) cost each host a packet: `scripts/bench ways` (root).
 * Measured as in `roles.ts`, which has way E. One target and `return: router`, so that it goes B, or C without stamping.
 */
import { leaveMeasuredProcessor, place } from './support/host-cpu.ts';
import { type Load, RoleLab, TUN_WINDOW } from './support/role-lab.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 1.5);
const LOAD: Load = { bytes: 1400, segments: 40, window: TUN_WINDOW, seconds: SECONDS };

await leaveMeasuredProcessor();
const lab = await RoleLab.up('bwy');
try {
  const { router } = lab.cluster.lab;
  const ways = [
    { way: 'B', stamping: 'on' },
    { way: 'C', stamping: 'off' },
  ].map(({ way, stamping }) => ({
    stamping,
    atTarget: lab.role(
      `${way}.target`,
      'target1',
      () => [lab.agent()],
      () => lab.from(LOAD),
    ),
    atRouter: lab.role(
      `${way}.routing`,
      'router1',
      () => lab.routing(),
      () => lab.from(LOAD),
    ),
  }));
  for (let n = 0; n < ROUNDS; n++) {
    for (const { stamping, atTarget, atRouter } of ways) {
      await lab.restart('router1', { return: 'router', stamping });
      await place(router, lab.routing(), 'others');
      await place(lab.target, [lab.agent()], 'measured');
      await atTarget.measure();
      await place(lab.target, [lab.agent()], 'others');
      await place(router, lab.routing(), 'measured');
      await atRouter.measure();
      await place(router, lab.routing(), 'others');
    }
  }
  const roles = ways.flatMap(({ atTarget, atRouter }) => [atTarget, atRouter]);
  const figures = Object.assign({}, ...roles.map((role) => role.figures())) as Record<string, unknown>;
  console.log(JSON.stringify({ bench: 'ways', rounds: ROUNDS, ...figures }));
} finally {
  await lab.down();
}
