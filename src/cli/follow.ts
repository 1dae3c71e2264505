import type { AdminArguments } from '../io/admin-protocol.ts';
import { fromFirstAgent } from './ask.ts';
import { CommandError, EXIT } from './exit.ts';

/** Items of a command that answers with a stream, from the agent on this socket or the first that answers where agents usually are. */
export async function follow(
  name: string,
  socket: string | undefined,
  args: AdminArguments,
  onItem: (item: unknown) => void | Promise<void>,
): Promise<void> {
  const { AgentUnreachableError } = await import('../io/admin-client.ts');
  const { followAgent } = await import('../io/admin-stream.ts');
  await fromFirstAgent(socket, async (path) => {
    let hasBegun = false;
    try {
      for await (const item of followAgent(path, name, args)) {
        hasBegun = true;
        await onItem(item);
      }
    } catch (error) {
      // It was this one: another agent's items are not what goes on from there.
      if (!hasBegun || !(error instanceof AgentUnreachableError)) throw error;
      throw new CommandError(error.message, EXIT.UNREACHABLE);
    }
  });
}
