import { createConnection } from 'node:net';
import { AdminCommandError, AgentUnreachableError, reasonOf } from './admin-client.ts';
import {
  type AdminArguments,
  encodeLine,
  LineSplitter,
  MAX_ANSWER_BYTES,
  parseAnswer,
} from './admin-protocol.ts';

/**
 * Sends one command that answers with a stream, and yields its items as they come, until the agent ends it. Whoever
 * stops iterating closes the connection. Throws `AgentUnreachableError` if the agent is not there or goes away, and
 * `AdminCommandError` if it says no.
 */
export async function* followAgent(
  path: string,
  command: string,
  args: AdminArguments = {},
): AsyncGenerator<unknown, void, undefined> {
  const socket = createConnection(path);
  socket.on('connect', () => socket.write(encodeLine({ command, args })));
  const lines = new LineSplitter(MAX_ANSWER_BYTES);
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      for (const line of lines.push(chunk)) {
        const reply = parseAnswer(line);
        if (reply === undefined) throw new AdminCommandError(`${path}: not the answer of a dvipa agent`);
        if (!reply.ok) throw new AdminCommandError(reply.error);
        if ('end' in reply) return;
        if (!('item' in reply)) throw new AdminCommandError(`${path}: ${command} is no stream`);
        yield reply.item;
      }
      if (lines.isOverflown) throw new AdminCommandError(`${path}: not the answer of a dvipa agent`);
    }
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new AgentUnreachableError(`${path}: ${reasonOf(error)}`, { cause: error });
  } finally {
    socket.destroy();
  }
  throw new AgentUnreachableError(`${path}: the agent closed the connection`);
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}
