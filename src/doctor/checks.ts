/**
 * Every check of `dvipa doctor`, in the order of its output. The names are stable: scripts and docs/doctor.md use them. `route` and
 * `target`: made on hosts of this role only.
 */
export const CHECKS = {
  configuration: { asks: 'is the configuration file valid' },
  agent: { asks: 'does an agent of this version run here' },
  unit: { asks: 'what does systemd say of its unit' },

  capabilities: { asks: 'may this process look at everything, and run an agent' },
  addon: { asks: 'does the addon load that moves packets' },
  'crypto-library': { asks: 'is the cryptography of packets the one that was asked for' },
  'kernel-tun': { asks: 'has the kernel TUN devices', role: 'target' },
  'kernel-packet-socket': { asks: 'has the kernel packet sockets' },
  'kernel-nftables': { asks: 'has the kernel nftables, and is nft there' },
  'kernel-ipv6': { asks: 'has the kernel IPv6, if an address needs it' },

  interface: { asks: 'are the interfaces there and up' },
  offloads: { asks: 'does an interface join packets that have to stay apart' },
  'rp-filter': { asks: 'does the reverse path filter drop what comes another way' },
  'cluster-address': { asks: "is this host's address of the cluster network on its interface" },
  'endpoint-address': { asks: 'does this host have the tunnel endpoints', role: 'route' },
  'dvipa-elsewhere': { asks: 'is a DVIPA on no interface but the TUN', role: 'target' },
  'duplicate-address': { asks: 'does another host answer for a DVIPA or an endpoint' },
  arp: { asks: 'does this host keep quiet about the DVIPAs', role: 'target' },

  guard: { asks: 'are the rules of the guard there, all of them' },
  'guard-routing': { asks: 'do packets from a DVIPA have no way but the TUN', role: 'target' },
  firewall: { asks: 'do other rules of this host drop what the cluster needs' },

  'mtu-cluster': { asks: 'is the MTU of the configuration that of the cluster interface' },
  'mtu-path': { asks: 'do packets of that MTU cross the cluster network' },
  'mtu-tun': { asks: 'does what the TUN takes fit outside', role: 'target' },

  'port-coupling': { asks: 'is the port of the coupling channel free for the agent', role: 'route' },
  'port-link': { asks: 'is the port of the trusted link free for the agent' },
  coupling: { asks: 'do the agents reach each other, with certificates that both accept' },

  'key-mode': { asks: 'may nobody else read the key' },
  'certificate-key': { asks: 'is the certificate that of the key' },
  'certificate-chain': { asks: 'has our CA issued the certificate' },
  'certificate-name': { asks: 'does the certificate name this host and its role' },
  'certificate-dates': { asks: 'are the certificates valid now, and for 30 days' },
  clock: { asks: 'is the clock set by a time server' },

  charon: { asks: 'does charon answer on its socket', role: 'route' },
  plugin: { asks: 'does the plugin answer on its socket', role: 'route' },
  'plugin-version': { asks: 'are plugin and agent of one version', role: 'route' },
  'plugin-strongswan': { asks: 'was the plugin built for the strongSwan that runs', role: 'route' },
  'plugin-addresses': { asks: 'has the plugin the DVIPAs and endpoints of the configuration', role: 'route' },
} as const satisfies Record<string, { readonly asks: string; readonly role?: 'route' | 'target' }>;

export type CheckId = keyof typeof CHECKS;
