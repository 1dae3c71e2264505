import { createConnection } from 'node:net';
import {
  type AdminArguments,
  encodeLine,
  IDLE_TIMEOUT_MS,
  LineSplitter,
  MAX_ANSWER_BYTES,
  parseAnswer,
} from './admin-protocol.ts';

/** Nobody answers on the socket: no file, no listener, no permission, or a time-out. */
export class AgentUnreachableError extends Error {
  override readonly name = 'AgentUnreachableError';
  readonly code = 'AGENT_UNREACHABLE';
}

/** The agent answered, and it said no. */
export class AdminCommandError extends Error {
  override readonly name = 'AdminCommandError';
  readonly code = 'ADMIN_COMMAND';
}

export interface AskOptions {
  readonly args?: AdminArguments;
  readonly timeoutMs?: number;
}

/** Sends one command to an agent and returns its answer, not validated: the agent is the same program as we are. */
export function askAgent(path: string, command: string, options: AskOptions = {}): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const unreachable = (reason: string, cause?: unknown) =>
      reject(new AgentUnreachableError(`${path}: ${reason}`, { cause }));
    const lines = new LineSplitter(MAX_ANSWER_BYTES);
    const socket = createConnection(path);
    socket.setTimeout(options.timeoutMs ?? IDLE_TIMEOUT_MS, () => {
      unreachable('the agent does not answer');
      socket.destroy();
    });
    socket.on('connect', () => socket.write(encodeLine({ command, args: options.args ?? {} })));
    socket.on('data', (chunk: Buffer) => {
      const [line] = lines.push(chunk);
      if (line === undefined && !lines.isOverflown) return;
      const reply = line === undefined ? undefined : parseAnswer(line);
      if (reply === undefined) reject(new AdminCommandError(`${path}: not the answer of a dvipa agent`));
      else if (!reply.ok) reject(new AdminCommandError(reply.error));
      else if ('answer' in reply) resolve(reply.answer);
      else reject(new AdminCommandError(`${path}: ${command} is a stream`));
      socket.destroy();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => unreachable(reasonOf(error), error));
    // A promise settles once: after an answer this changes nothing.
    socket.on('close', () => unreachable('the agent closed the connection without an answer'));
  });
}

/** An error of the system in words that tell what to look at. */
export function reasonOf(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ENOENT':
      return 'no such socket, is the agent running?';
    case 'ECONNREFUSED':
    case 'ENOTSOCK':
      return 'no agent is listening';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied, expected the user of the agent (root)';
    case undefined:
    default:
      return error.message;
  }
}
