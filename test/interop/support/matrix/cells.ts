import { knownAlgorithms } from '../../../../src/ipsec/algorithms.ts';

/** The cells of the interoperability matrix: which peer, which algorithms, and how a packet is wrapped. */

export type PeerKind = 'kernel' | 'libipsec' | 'scapy';
export type Family = 4 | 6;

/** How a packet is wrapped. In transport mode the inner addresses are the outer ones. */
export interface Wrapping {
  readonly mode: 'tunnel' | 'transport';
  readonly way: 'udp' | 'native';
  readonly outside: Family;
  readonly inside: Family;
  readonly esn: boolean;
}

export interface Suite {
  /** As swanctl.conf writes it, without ESN. */
  readonly proposal: string;
  /** As charon lists what was negotiated. */
  readonly encryption: string;
  readonly keyBits: number | undefined;
  readonly integrity: string | undefined;
  /** The shortest key of its pair of algorithms: the others differ in nothing else. */
  readonly isShortest: boolean;
}

export interface Cell {
  readonly peer: PeerKind;
  readonly suite: Suite;
  readonly wrapping: Wrapping;
  /** The TCP port that stands for this cell on the DVIPAs. */
  readonly port: number;
}

export const FIRST_PORT = 20_000;

const INTEGRITY: Readonly<Record<string, string>> = {
  'HMAC-SHA1-96': 'sha1',
  'HMAC-SHA2-256-128': 'sha256',
  'HMAC-SHA2-384-192': 'sha384',
  'HMAC-SHA2-512-256': 'sha512',
  'AES-XCBC-96': 'aesxcbc',
  'AES-CMAC-96': 'aescmac',
};

/** `aes128gcm16`, `aes256`, `aes192ctr`, `aes128gmac`, `null`, `chacha20poly1305`. */
function encryptionKeyword(name: string, bits: number): string {
  const [, mode = '', icv = ''] = name.replace('NULL-AES-GMAC', 'AES-GMAC').split('-');
  return name.includes('AES')
    ? `aes${bits}${mode === 'CBC' ? '' : mode.toLowerCase()}${icv}`
    : name.replace('-', '').toLowerCase();
}

/** Every pair of algorithms that the data plane knows, with every length of key. */
export const SUITES: readonly Suite[] = knownAlgorithms().encryption.flatMap(
  ({ name, keyBytes, icvBytes, kind }) =>
    keyBytes.flatMap((bytes, index): Suite[] => {
      const keyword = encryptionKeyword(name, bytes * 8);
      const common = {
        encryption: name.replaceAll('-', '_'),
        keyBits: keyBytes.length > 1 ? bytes * 8 : undefined,
        isShortest: index === 0,
      };
      if (icvBytes > 0 || kind === 'gmac') return [{ ...common, proposal: keyword, integrity: undefined }];
      return knownAlgorithms().integrity.map((integrity) => ({
        ...common,
        proposal: `${keyword}-${INTEGRITY[integrity.name]}`,
        integrity: integrity.name.replaceAll('-', '_'),
      }));
    }),
);

/** Every way to wrap a packet: 16 tunnels, 8 times transport mode. */
export const WRAPPINGS: readonly Wrapping[] = (['tunnel', 'transport'] as const).flatMap((mode) =>
  (['udp', 'native'] as const).flatMap((way) =>
    ([4, 6] as const).flatMap((outside) =>
      ([4, 6] as const)
        .filter((inside) => mode === 'tunnel' || inside === outside)
        .flatMap((inside) => [false, true].map((esn) => ({ mode, way, outside, inside, esn }))),
    ),
  ),
);

/** Of one IKE_SA: the same outer addresses and encapsulation. */
export interface Group {
  /** Also the connection's name in swanctl.conf. */
  readonly name: string;
  readonly cells: readonly Cell[];
}

export function groupName({ mode, way, outside }: Wrapping): string {
  return `${mode}-${way}-${outside}`;
}

export function groupsOf(cells: readonly Cell[]): Group[] {
  const groups = new Map<string, Cell[]>();
  for (const cell of cells) {
    const name = groupName(cell.wrapping);
    groups.set(name, [...(groups.get(name) ?? []), cell]);
  }
  return [...groups].map(([name, members]) => ({ name, cells: members }));
}

export function childName({ port }: Cell): string {
  return `c${port}`;
}

export function describeCell({ peer, suite, wrapping }: Cell): string {
  const { mode, way, outside, inside, esn } = wrapping;
  return `${peer} ${suite.proposal}${esn ? '-esn' : ''} ${mode} ${way} IPv${inside} in IPv${outside}`;
}
