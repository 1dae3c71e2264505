import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Lab } from '../../../src/lab/lab.ts';

/** Coalesced datagrams stay so on the lab's networks. */
export const SUPER_PACKETS = { superPackets: true };

/** kernel-libipsec wants an address of its own among those that it serves. */
const NETWORK = '203.0.113.0/24';
const OWN_ADDRESS = '203.0.113.1';

/**
 * What this project is compared with: a strongSwan gateway whose charon does ESP in user space (kernel-libipsec), in front of one server
 * that has the DVIPA's address as its own. Networks, clients and server as in a cluster; nothing of ours runs but the server.
 */
export async function gatewayUp(name: string): Promise<Lab> {
  const lab = await Lab.up({
    scenario: 'bench',
    prefix: `dv${name}`,
    folder: join(tmpdir(), `dvipa-cluster-${name}`),
    targets: 1,
    clients: 2,
    agents: false,
    servers: false,
    tunnels: false,
    ...SUPER_PACKETS,
    values: { kernel_ipsec: 'kernel-libipsec', served: NETWORK },
  });
  try {
    const { router, scenario } = lab;
    const server = lab.host('target1');
    const address = (host: string) => lab.plan.find(({ name: of }) => of === host)?.clusterAddress ?? '';
    await router.must(['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
    await router.must(['ip', 'route', 'add', scenario.dvipa, 'via', address('target1')]);
    await router.must(['ip', 'addr', 'add', `${OWN_ADDRESS}/32`, 'dev', 'lo']);
    await server.must(['ip', 'addr', 'add', `${scenario.dvipa}/32`, 'dev', 'lo']);
    await server.must(['ip', 'route', 'add', '10.1.0.0/16', 'via', address(router.name)]);
    return lab;
  } catch (error) {
    await lab.down();
    throw error;
  }
}
