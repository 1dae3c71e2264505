import type { CallOptions } from '../call.ts';
import type { Requester } from '../connection.ts';
import { type ViciFields, ViciMessage } from '../message.ts';

/** A command of charon that streams one event for each thing that it lists. */
export interface ListCommand {
  readonly command: string;
  readonly event: string;
  readonly request: ViciFields;
  readonly options: CallOptions | undefined;
}

/** What `parse` makes of each event, in the order of the stream. */
export async function listEvents<Thing>(
  requester: Requester,
  { command, event, request, options }: ListCommand,
  parse: (message: ViciMessage) => Thing,
): Promise<Thing[]> {
  const things: Thing[] = [];
  const take = (message: ViciMessage) => void things.push(parse(message));
  await requester.requestStream(command, [event], take, ViciMessage.of(request), options);
  return things;
}

/** As `listEvents`, where the things are the named sections of the events. */
export async function listSections<Thing>(
  requester: Requester,
  list: ListCommand,
  parse: (name: string, section: ViciMessage) => Thing,
): Promise<Thing[]> {
  const events = await listEvents(requester, list, (message) =>
    message.sections().map(([name, section]) => parse(name, section)),
  );
  return events.flat();
}
