import { readFileSync } from 'node:fs';
import type { Lab } from '../../../src/lab/lab.ts';
import { PROJECT_ROOT, sourceLoader } from '../../../src/lab/program.ts';
import { AGENT_MARK, RUNS_PORT } from '../../../src/io/guard-constants.ts';
import { waitFor } from '../../../src/lab/wait-for.ts';

const HOST = 'client2';
const TUN = 'fast0';
const MTU = 1440;
/** What came, the program has its copy of: charon, and a kernel without ESP, must not see it. Runs leave as from a routing host. */
const RULES = `table ip bench {
  chain in {
    type filter hook input priority raw; udp dport 4500 @th,64,32 != 0 drop
  }
  chain out {
    type filter hook output priority raw; meta mark ${AGENT_MARK} udp sport ${RUNS_PORT} @th,0,16 set 4500
  }
}
`;

/** Brings the tunnel of the second client of scenario `bench` up, and the program that is its ESP. */
export async function fastClientUp(lab: Lab): Promise<void> {
  const host = lab.host(HOST);
  const inner = lab.plan.find(({ name }) => name === HOST)?.innerAddress ?? '';
  await host.must(['nft', '-f', '-'], { input: RULES });
  const program = `${PROJECT_ROOT}/test/bench/support/fast-client.ts`;
  const argv = [process.execPath, '--import', sourceLoader(), program, '/run/charon.dvipa', 'outside0', TUN];
  const running = host.spawn('fast-client', argv);
  await waitFor('the fast client is ready', () => {
    if (!running.isRunning()) throw new Error(`it ended, see ${running.logFile}`);
    return readFileSync(running.logFile, 'utf8').includes('ready');
  });
  await host.must(['ip', 'link', 'set', TUN, 'mtu', String(MTU), 'up']);
  await host.must(['ip', 'route', 'add', lab.scenario.dvipa, 'dev', TUN, 'src', inner]);
  await lab.initiate(HOST);
}
