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
