import { fail, type Finding, ok, skipped, warn } from '../finding.ts';

export interface MtuFacts {
  readonly cluster: { readonly interface: string; readonly configured: number };
  /** Of the interfaces themselves; undefined: no such interface. */
  readonly clusterMtu: number | undefined;
  readonly outside: { readonly interface: string; readonly mtu: number | undefined };
  /** What became of packets of the configured size on the way to the other hosts of the cluster. */
  readonly paths: readonly {
    readonly host: string;
    readonly address: string;
    readonly fit: 'fits' | 'too-big' | 'no-answer' | 'no-ping';
  }[];
  /** Target. `present`: of the device, if it is there. */
  readonly tun:
    | { readonly name: string; readonly configured: number; readonly present: number | undefined }
    | undefined;
}

/**
 * Outer IPv6 and UDP header, ESP header, IV, padding to 16, trailer and the longest ICV: what an inner packet may become longer by
 * in tunnel mode.
 */
const ESP_MOST_BYTES = 40 + 8 + 8 + 16 + 15 + 2 + 32;
/** Outer IPv4 header, native, with AES-GCM. */
const ESP_LEAST_BYTES = 20 + 8 + 8 + 2 + 16;

export function judgeMtu(facts: MtuFacts): Finding[] {
  return [
    judgeCluster(facts),
    ...facts.paths.map((path) => judgePath(path, facts)),
    ...(facts.tun === undefined ? [] : [judgeTun(facts.tun, facts.outside)]),
  ];
}

function judgeCluster({ cluster: { interface: name, configured }, clusterMtu }: MtuFacts): Finding {
  if (clusterMtu === undefined) return skipped('mtu-cluster', 'no such interface', name);
  const found = `the configuration says ${configured}, the interface ${clusterMtu}`;
  if (configured > clusterMtu) {
    const remedy = `set cluster: { mtu: ${clusterMtu} } on every host, or ip link set ${name} mtu ${configured}`;
    return fail('mtu-cluster', `${found}: what is made to fit does not`, remedy, name);
  }
  if (configured < clusterMtu) {
    return warn(
      'mtu-cluster',
      `${found}: packets are cut that need not be`,
      `set cluster: { mtu: ${clusterMtu} }, if every link of the cluster network has that`,
      name,
    );
  }
  return ok('mtu-cluster', `${configured}, as the interface`, name);
}

function judgePath(
  { host, address, fit }: MtuFacts['paths'][number],
  { cluster, clusterMtu }: MtuFacts,
): Finding {
  const about = `${host} (${address})`;
  const { configured, interface: name } = cluster;
  if (clusterMtu !== undefined && configured > clusterMtu)
    return skipped('mtu-path', `${name} itself is narrower`, about);
  switch (fit) {
    case 'fits':
      return ok('mtu-path', `packets of ${configured} bytes arrive`, about);
    case 'no-ping':
      return skipped('mtu-path', 'ping is not installed: apt-get install iputils-ping', about);
    case 'too-big':
      return fail(
        'mtu-path',
        `packets of ${configured} bytes do not get there: a link between is narrower`,
        'widen that link, or set a smaller cluster: { mtu } on every host',
        about,
      );
    case 'no-answer':
      return warn(
        'mtu-path',
        `no answer to ping with ${configured} bytes: the host is down, does not answer, or a link between is narrower`,
        `try a small one: ping -c 1 ${address}; if it is answered, see the MTU of switches and of that host`,
        about,
      );
  }
}

function judgeTun(
  { name, configured, present }: NonNullable<MtuFacts['tun']>,
  outside: MtuFacts['outside'],
): Finding {
  if (present !== undefined && present !== configured) {
    const found = `the device has ${present}, the configuration says ${configured}`;
    return fail('mtu-tun', found, `ip link set ${name} mtu ${configured}`, name);
  }
  if (outside.mtu === undefined) return skipped('mtu-tun', `no interface ${outside.interface}`, name);
  const fits = `${outside.interface} has ${outside.mtu}`;
  if (configured + ESP_LEAST_BYTES > outside.mtu) {
    const remedy = `set tun: { mtu: ${outside.mtu - ESP_MOST_BYTES} }`;
    return warn(
      'mtu-tun',
      `${configured} fits with no algorithm: ${fits}, so full packets are cut`,
      remedy,
      name,
    );
  }
  return ok('mtu-tun', `${configured}; ${fits}`, name);
}
