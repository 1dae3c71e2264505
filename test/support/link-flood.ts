import { execFileSync } from 'node:child_process';

/** Sends datagrams to a socket of this process while this process stands still, as it does in a long collection of garbage. */
export function floodWhileBlocked(address: string, port: number, count: number): void {
  const sender = `
    const socket = require('node:dgram').createSocket('udp4');
    const datagram = Buffer.alloc(1400);
    let left = ${count};
    const next = () => (left-- > 0 ? socket.send(datagram, ${port}, '${address}', next) : socket.close());
    next();`;
  execFileSync(process.execPath, ['-e', sender]);
}
