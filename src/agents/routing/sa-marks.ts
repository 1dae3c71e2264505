/**
 * Kept in the store with an inbound SA of which a next life of this agent could not know what was delivered: a target was lost with
 * numbers, or packets went to targets without the SA. Only that it is there says something: nothing is dispatched until a rekey.
 */
export const UNDECIDED = { nextSequence: 1n, nextSenderId: 1 };
