import type { PacketTap } from '../dataplane/packet-tap.ts';
import type { AdminArguments } from '../io/admin-protocol.ts';
import type { CaptureItem } from '../observe/capture-item.ts';
import type { Log } from '../observe/log.ts';
import { parseCaptureRequest } from './capture-request.ts';
import { CaptureSession } from './capture-session.ts';

/** Each costs a copy of every packet. */
const SESSIONS_MAX = 4;

/**
 * The admin command `capture`: a stream of packets. Plaintext is given only where it was asked for, and leaves a line in the log: who may
 * use the socket is root already, but others shall be able to see that it was done.
 */
export function captureAnswer(
  tap: PacketTap,
  log: Log,
  now: () => bigint = wallClock,
): (args: AdminArguments) => AsyncIterable<CaptureItem> {
  let running = 0;
  return (args) => {
    const request = parseCaptureRequest(args);
    if (running >= SESSIONS_MAX) throw new Error(`capture: ${SESSIONS_MAX} captures run already`);
    running++;
    const audit = { part: 'admin socket', command: 'capture' };
    if (request.inner) log.warn('plaintext of SAs is captured', audit);
    else log.info('capture begins', audit);
    return new CaptureSession(tap, request, now, () => {
      running--;
      log.info('capture ends', audit);
    });
  };
}

function wallClock(): bigint {
  return BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;
}
