/*
 * Copyright (C) 2026 the strongswan-dvipa authors
 *
 * This program is free software; you can redistribute it and/or modify it
 * under the terms of the GNU General Public License as published by the
 * Free Software Foundation; either version 2 of the License, or (at your
 * option) any later version.  See <http://www.fsf.org/copyleft/gpl.txt>.
 *
 * This program is distributed in the hope that it will be useful, but
 * WITHOUT ANY WARRANTY; without even the implied warranty of MERCHANTABILITY
 * or FITNESS FOR A PARTICULAR PURPOSE.  See the GNU General Public License
 * for more details.
 */

/**
 * @defgroup kernel_dvipa_journal kernel_dvipa_journal
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_JOURNAL_H_
#define KERNEL_DVIPA_JOURNAL_H_

#include "kernel_dvipa_writer.h"

typedef struct kernel_dvipa_journal_t kernel_dvipa_journal_t;

/**
 * Sends an event's packet to whoever subscribed to it. Must not block.
 *
 * @param user			what was given to set_sink()
 * @param event			name of the event
 * @param packet		encoded packet; stays the caller's
 */
typedef void (*kernel_dvipa_sink_t)(void *user, const char *event,
									chunk_t packet);

/**
 * Writes the part of an event that says what happened.
 */
typedef void (*kernel_dvipa_encode_t)(void *item,
									  kernel_dvipa_writer_t *writer);

/**
 * What gives the changes of SAD and SPD one order: the lock of both tables,
 * the instance's name, the running numbers, and the barrier that holds a
 * change back until the agent acknowledged it.
 *
 * All methods but settle() and those that say so are called with the journal
 * locked; a change, its number and its event are made under one lock, so a
 * list made under the lock contains exactly the events up to its number.
 */
struct kernel_dvipa_journal_t {

	/**
	 * Lock the journal, and with it SAD and SPD. Not recursive.
	 */
	void (*lock)(kernel_dvipa_journal_t *this);

	/**
	 * Unlock the journal.
	 */
	void (*unlock)(kernel_dvipa_journal_t *this);

	/**
	 * Get the name of this life of charon, 16 hex digits.
	 *
	 * Needs no lock.
	 */
	char *(*get_instance)(kernel_dvipa_journal_t *this);

	/**
	 * Get the number of the last event, 0 if there was none.
	 */
	uint64_t (*get_sequence)(kernel_dvipa_journal_t *this);

	/**
	 * Draw an id for an SA or for an active policy. Never given twice.
	 */
	uint64_t (*next_id)(kernel_dvipa_journal_t *this);

	/**
	 * Number and send an event.
	 *
	 * @param event		name of the event
	 * @param encode	writes what happened
	 * @param item		first argument for encode
	 */
	void (*raise)(kernel_dvipa_journal_t *this, const char *event,
				  kernel_dvipa_encode_t encode, void *item);

	/**
	 * Note that the calling thread has to wait until the agent acknowledges an
	 * id, if there is an agent. It does so in settle(), for all it owes at
	 * once: charon installs the parts of a CHILD_SA one after the other, and
	 * the agent works on them meanwhile.
	 *
	 * @param id		id that an event named under the same lock
	 */
	void (*owe)(kernel_dvipa_journal_t *this, uint64_t id);

	/**
	 * Wait until the agent has acknowledged all that this thread owes, for a
	 * limited time, if not too many wait already. Nothing is owed afterwards.
	 *
	 * The lock is given up meanwhile, tables may be changed afterwards.
	 *
	 * @return			how much an agent that is there has not acknowledged
	 */
	u_int (*settle)(kernel_dvipa_journal_t *this);

	/**
	 * Acknowledge an id. Called without lock. Unknown ids are no fault.
	 */
	void (*ack)(kernel_dvipa_journal_t *this, uint64_t id);

	/**
	 * Say how many agents follow the events. Called without lock.
	 *
	 * @param count		number of connections that subscribed to SAs
	 */
	void (*set_agents)(kernel_dvipa_journal_t *this, u_int count);

	/**
	 * Until when nobody could have told us that an SA was used: now, if no
	 * agent follows the events, else the time when the last gap ended.
	 *
	 * @return			as time_monotonic(), 0 if never
	 */
	time_t (*unknown_until)(kernel_dvipa_journal_t *this);

	/**
	 * Set where events go. Called without lock.
	 *
	 * @param sink		sink, NULL for nowhere
	 * @param user		its first argument
	 */
	void (*set_sink)(kernel_dvipa_journal_t *this, kernel_dvipa_sink_t sink,
					 void *user);

	/**
	 * Destroy a kernel_dvipa_journal_t.
	 */
	void (*destroy)(kernel_dvipa_journal_t *this);
};

/**
 * Create a kernel_dvipa_journal_t.
 *
 * @param wait_ms		how long after an event settle() waits for it at most, 0
 *						for not at all
 * @param waiters		how many threads may wait at a time
 * @return				NULL if no random number could be had
 */
kernel_dvipa_journal_t *kernel_dvipa_journal_create(u_int wait_ms,
													u_int waiters);

/**
 * Monotonic time in milliseconds.
 */
uint64_t kernel_dvipa_now_ms();

#endif /** KERNEL_DVIPA_JOURNAL_H_ @}*/
