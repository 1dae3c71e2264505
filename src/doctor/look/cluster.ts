import type { Config } from '../../config/index.ts';
import { type CouplingProbe, probeCoupling } from '../../io/coupling-probe.ts';
import { probePort } from '../../io/port-probe.ts';
import { readCredentials, type TlsCredentials } from '../../io/tls-options.ts';
import type { Finding } from '../finding.ts';
import { type CouplingFacts, judgeCluster, type PortFacts } from '../judge/cluster.ts';
import { portsOf } from './guard.ts';
import { reasonOf } from './outcome.ts';
import { isAgentRunning, type Situation } from './situation.ts';

/** Ports that the agent needs, and the other hosts. */
export async function lookAtCluster(situation: Situation): Promise<Finding[]> {
  const { config } = situation;
  const [ports, others] = await Promise.all([portFacts(situation), couplingFacts(situation)]);
  return judgeCluster({ role: config.role, couplingPort: portsOf(config).couplingPort, ports, others });
}

async function portFacts(situation: Situation): Promise<PortFacts[]> {
  const { config } = situation;
  const { address } = config.cluster;
  const { couplingPort, linkPort } = portsOf(config);
  const link = { id: 'port-link', protocol: 'udp', address, port: linkPort } as const;
  const coupling = { id: 'port-coupling', protocol: 'tcp', address, port: couplingPort } as const;
  const needed = config.role === 'route' ? [coupling, link] : [link];
  return Promise.all(
    needed.map(async (each) => ({
      ...each,
      state: isAgentRunning(situation) ? undefined : await probePort(each.protocol, address, each.port),
    })),
  );
}

/** The agent's own word where it runs: a second connection of this target would only disturb it. */
async function couplingFacts(situation: Situation): Promise<CouplingFacts[]> {
  const { config, status } = situation;
  const others = config.role === 'route' ? config.targets : [config.router];
  if (status !== undefined && isAgentRunning(situation)) {
    return others.map(({ host, address }) => {
      const seen = status.coupling.find((each) => each.host === host);
      if (seen === undefined)
        return { host, address, reach: { by: 'nobody', why: 'the agent has not heard of it' } };
      const { state, lastHeardMs } = seen;
      return { host, address, reach: { by: 'agent', state, lastHeardMs } };
    });
  }
  if (config.role === 'route') {
    const why = 'targets connect to the agent, and it does not run';
    return others.map(({ host, address }) => ({ host, address, reach: { by: 'nobody', why } }));
  }
  const { host, address } = config.router;
  return [{ host, address, reach: await reachOf(config) }];
}

async function reachOf(config: Extract<Config, { role: 'target' }>): Promise<CouplingFacts['reach']> {
  const { host, address, couplingPort: port } = config.router;
  let tls: TlsCredentials;
  try {
    tls = await readCredentials(config.coupling);
  } catch (error) {
    return { by: 'nobody', why: reasonOf(error) };
  }
  try {
    const probe: CouplingProbe = { router: { host, address, port }, tls };
    return { by: 'us', ...(await probeCoupling(probe)) };
  } catch (error) {
    // Credentials that are none throw at once.
    return { by: 'us', step: 'handshake', reason: reasonOf(error) };
  }
}
