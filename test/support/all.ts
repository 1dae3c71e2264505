/** As `Promise.all`, but nothing is under way any more when it rejects: what was made can be removed. */
export async function all<T>(work: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
