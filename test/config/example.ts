import { dedent } from './dedent.ts';

/** A whole, valid file of each role; tests change one thing in it. */
export const ROUTE_YAML = dedent`
  host: router1
  role: route
  dvipas:
    - address: 203.0.113.10
      endpoint: 192.0.2.10
      inbound_filter: filter
      rules:
        - { action: permit, protocol: tcp, ports: "80" }
        - { action: deny, protocol: any, source: 10.9.0.0/16 }
      distribution: round-robin
      targets: [target1, target2]
  outside: { interface: outside0 }
  cluster: { interface: cluster0, address: 198.51.100.1 }
  targets:
    - { host: target1, address: 198.51.100.11 }
    - { host: target2, address: 198.51.100.12 }
  coupling:
    ca: pki/ca.pem
    certificate: /etc/dvipa/router1.pem
    key: pki/router1.key
`;

export const TARGET_YAML = dedent`
  host: target1
  role: target
  dvipas: [203.0.113.10]
  router: { host: router1, address: 198.51.100.1 }
  cluster: { interface: cluster0, address: 198.51.100.11 }
  outside: { interface: outside0 }
  coupling:
    ca: pki/ca.pem
    certificate: pki/target1.pem
    key: pki/target1.key
`;

/** How packets move, unless the file says something else. */
export const FAST_PATH = {
  link: { driver: 'auto' },
  offloads: { gso: true, gro: true, tun: true },
  polling: { pause: 100 },
  crypto: { library: 'auto' },
  workers: 'auto',
};
