import { fail, type Finding, ok, skipped, warn } from '../finding.ts';

export interface PortFacts {
  readonly id: 'port-coupling' | 'port-link';
  readonly protocol: 'tcp' | 'udp';
  readonly address: string;
  readonly port: number;
  /** Undefined: not asked, since our own agent has it. */
  readonly state:
    | { readonly state: 'free' }
    | { readonly state: 'refused'; readonly code: string; readonly owner?: string | undefined }
    | undefined;
}

/** Another host of the cluster, as the agent that runs here sees it, or as we reached it ourselves. */
export interface CouplingFacts {
  readonly host: string;
  readonly address: string;
  readonly reach:
    | { readonly by: 'agent'; readonly state: string; readonly lastHeardMs?: number | undefined }
    | { readonly by: 'us'; readonly step: CouplingStep; readonly reason?: string | undefined }
    | { readonly by: 'nobody'; readonly why: string };
}

export type CouplingStep = 'done' | 'connect' | 'handshake' | 'identity' | 'refused';

export interface ClusterFacts {
  readonly role: 'route' | 'target';
  readonly couplingPort: number;
  readonly ports: readonly PortFacts[];
  readonly others: readonly CouplingFacts[];
}

/** A target that has not heard its routing host for longer goes on connecting, and something is wrong. */
const PATIENCE_MS = 3000;

export function judgeCluster({ role, couplingPort, ports, others }: ClusterFacts): Finding[] {
  return [...ports.map(judgePort), ...others.map((other) => judgeCoupling(other, role, couplingPort))];
}

function judgePort({ id, protocol, address, port, state }: PortFacts): Finding {
  const about = `${protocol} ${address}:${port}`;
  if (state === undefined) return ok(id, 'the agent that runs here has it', about);
  if (state.state === 'free') return ok(id, 'free', about);
  const { code, owner } = state;
  if (code === 'EADDRNOTAVAIL')
    return fail(id, 'this host does not have the address', `ip address add ${address}/LENGTH ...`, about);
  if (code !== 'EADDRINUSE') return fail(id, code, 'run it as root', about);
  const found = `taken by ${owner ?? 'another process'}`;
  const remedy = `end that process, or set ${id === 'port-link' ? 'link_port' : 'coupling_port'} on every host`;
  return fail(id, found, remedy, about);
}

function judgeCoupling({ host, address, reach }: CouplingFacts, role: string, port: number): Finding {
  const about = `${host} (${address})`;
  switch (reach.by) {
    case 'nobody':
      return skipped('coupling', reach.why, about);
    case 'agent':
      return judgeSession(reach, role, port, address, about);
    case 'us':
      return reach.step === 'done'
        ? ok('coupling', 'connected, and the certificates are accepted', about)
        : fail(
            'coupling',
            `${WHAT_FAILED[reach.step]}: ${reach.reason}`,
            REMEDIES[reach.step](address, port),
            about,
          );
  }
}

function judgeSession(
  { state, lastHeardMs }: { state: string; lastHeardMs?: number | undefined },
  role: string,
  port: number,
  address: string,
  about: string,
): Finding {
  if (state === 'up') return ok('coupling', 'the agents are connected', about);
  const isGivenUp = state === 'connecting' && (lastHeardMs ?? Number.POSITIVE_INFINITY) > PATIENCE_MS;
  if (state !== 'down' && !isGivenUp)
    return warn('coupling', `${state}: not there yet`, 'ask again in a moment', about);
  const heard = lastHeardMs === undefined ? 'never' : `${Math.round(lastHeardMs / 1000)} s ago`;
  const found = `not connected; last heard: ${heard}`;
  if (role === 'route') return fail('coupling', found, 'run dvipa doctor on that host', about);
  return fail('coupling', found, REMEDIES.connect(address, port), about);
}

const WHAT_FAILED = {
  connect: 'no connection',
  handshake: 'no TLS session',
  identity: 'the certificate of the other side is not the one',
  refused: 'the other side refused ours',
} as const;

const REMEDIES = {
  connect: (address: string, port: number) =>
    `is the routing agent running, and does a firewall drop tcp ${address}:${port}?`,
  handshake: () => 'give both hosts certificates of one CA: dvipa pki issue, and bring ca.pem along',
  identity: () => 'correct router: { host }, or issue that host its own: dvipa pki issue --role route HOST',
  refused: () => 'is this host among the targets there, under the name in its certificate?',
} as const;
