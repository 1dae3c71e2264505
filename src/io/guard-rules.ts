import { addressSets, interfaceName } from './nft.ts';

/** Where a host hears the trusted link: nowhere else, whatever a packet says of its source. */
export interface LinkPlace {
  readonly interface: string;
  /** This host's, as text. */
  readonly address: string;
  readonly port: number;
}

/**
 * Rules for both families, from text in which each line that names a set of addresses is written for IPv4: from
 * `ip daddr @dvipas drop` come `ip daddr @dvipas4 drop` and `ip6 daddr @dvipas6 drop`. Other lines stay as they are.
 */
export function bothFamilies(rules: string): string {
  const lines = rules.split('\n').flatMap((line) => {
    if (!/\bip [sd]addr @/.test(line)) return [line];
    return [
      line.replace(/@[a-z_]+/, (set) => `${set}4`),
      line.replace(/@[a-z_]+/, (set) => `${set}6`).replace(/\bip /, 'ip6 '),
    ];
  });
  return lines.join('\n');
}

/**
 * What only an agent sends, by its mark: ESP, and the messages that tell a sender of an MTU (fragments of ESP too, as they
 * have its protocol). Nothing else of a host's stack has the mark.
 */
export function agentsOwn(mark: number): string {
  return `meta mark ${mark} meta l4proto { udp, esp } return
    meta mark ${mark} icmp type destination-unreachable icmp code frag-needed return
    meta mark ${mark} icmpv6 type packet-too-big return`;
}

/**
 * A host answers at each of its addresses on every interface, so a socket at the address on the cluster network hears the other
 * networks too. The sets and counter, and the line of an input chain, that leave it the cluster network; nothing without a place.
 */
export function linkRules(place: LinkPlace | undefined): { readonly sets: string; readonly input: string } {
  if (place === undefined) return { sets: '', input: '' };
  const { interface: name, address, port } = place;
  return {
    sets: `${addressSets('link_here', [address])}
  counter link_stray { }`,
    input: `iifname != ${interfaceName(name)} ip daddr @link_here udp dport ${port} counter name link_stray drop`,
  };
}
