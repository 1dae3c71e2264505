import type { RawSocket } from '../io/raw-socket.ts';
import type { Log } from '../observe/log.ts';

const TEXT = {
  run: 'the kernel takes no runs of packets: they are sent singly from now on',
  socket: 'there is no socket for runs of packets at a tunnel endpoint: they are sent singly',
};

/** Every few seconds: lets go of endpoints that are gone, and says in one line what keeps packets from leaving in runs. */
export function tendRawSocket(raw: Pick<RawSocket, 'tend'>, log: Log): void {
  const trouble = raw.tend();
  if (trouble !== undefined) log.warn(TEXT[trouble.refused], { error: trouble.error });
}
