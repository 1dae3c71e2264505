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

#include "kernel_dvipa_journal.h"

#include <collections/linked_list.h>
#include <threading/condvar.h>
#include <threading/mutex.h>
#include <threading/thread.h>

typedef struct private_kernel_dvipa_journal_t private_kernel_dvipa_journal_t;
typedef struct owed_t owed_t;

/**
 * Private data of a kernel_dvipa_journal_t.
 */
struct private_kernel_dvipa_journal_t {

	/**
	 * Public interface.
	 */
	kernel_dvipa_journal_t public;

	/**
	 * Lock for everything here, and for SAD and SPD
	 */
	mutex_t *mutex;

	/**
	 * Signaled when an acknowledgement came, or the agents changed
	 */
	condvar_t *condvar;

	/**
	 * Name of this life of charon
	 */
	char instance[17];

	/**
	 * Number of the last event
	 */
	uint64_t sequence;

	/**
	 * Last id drawn
	 */
	uint64_t last_id;

	/**
	 * What is not acknowledged yet, as owed_t, oldest first
	 */
	linked_list_t *owed;

	/**
	 * Threads that wait
	 */
	u_int waiting;

	/**
	 * How long to wait, in ms
	 */
	u_int wait_ms;

	/**
	 * How many may wait
	 */
	u_int waiters;

	/**
	 * Connected agents
	 */
	u_int agents;

	/**
	 * When an agent came after there had been none
	 */
	time_t gap_end;

	/**
	 * Where events go
	 */
	kernel_dvipa_sink_t sink;

	/**
	 * First argument for sink
	 */
	void *user;
};

/**
 * Something that a thread must wait for
 */
struct owed_t {

	/**
	 * Id it waits for
	 */
	uint64_t id;

	/**
	 * Thread that told of it
	 */
	u_int thread;

	/**
	 * Until when it is waited for, in ms
	 */
	uint64_t until;
};

/*
 * see header file
 */
uint64_t kernel_dvipa_now_ms()
{
	timeval_t tv;

	time_monotonic(&tv);
	return (uint64_t)tv.tv_sec * 1000 + tv.tv_usec / 1000;
}

METHOD(kernel_dvipa_journal_t, lock, void,
	private_kernel_dvipa_journal_t *this)
{
	this->mutex->lock(this->mutex);
}

METHOD(kernel_dvipa_journal_t, unlock, void,
	private_kernel_dvipa_journal_t *this)
{
	this->mutex->unlock(this->mutex);
}

METHOD(kernel_dvipa_journal_t, get_instance, char*,
	private_kernel_dvipa_journal_t *this)
{
	return this->instance;
}

METHOD(kernel_dvipa_journal_t, get_sequence, uint64_t,
	private_kernel_dvipa_journal_t *this)
{
	return this->sequence;
}

METHOD(kernel_dvipa_journal_t, next_id, uint64_t,
	private_kernel_dvipa_journal_t *this)
{
	return ++this->last_id;
}

METHOD(kernel_dvipa_journal_t, raise_, void,
	private_kernel_dvipa_journal_t *this, const char *event,
	kernel_dvipa_encode_t encode, void *item)
{
	kernel_dvipa_writer_t *writer;
	chunk_t packet;

	this->sequence++;
	if (!this->sink)
	{
		return;
	}
	writer = kernel_dvipa_writer_create();
	writer->begin_packet(writer, DVIPA_EVENT, event);
	writer->add(writer, "instance", "%s", this->instance);
	writer->add(writer, "seq", "%llu", (unsigned long long)this->sequence);
	encode(item, writer);
	writer->end_packet(writer);
	packet = writer->extract(writer);
	writer->destroy(writer);
	this->sink(this->user, event, packet);
	chunk_clear(&packet);
}

/**
 * Forget what a thread owes, and what nobody waits for any more
 *
 * @param thread		thread, NULL for none
 */
static void forget(private_kernel_dvipa_journal_t *this, u_int *thread)
{
	uint64_t now = kernel_dvipa_now_ms();
	enumerator_t *enumerator;
	owed_t *owed;

	enumerator = this->owed->create_enumerator(this->owed);
	while (enumerator->enumerate(enumerator, &owed))
	{
		if ((thread && owed->thread == *thread) || owed->until < now)
		{
			this->owed->remove_at(this->owed, enumerator);
			free(owed);
		}
	}
	enumerator->destroy(enumerator);
}

/**
 * Count what a thread owes
 *
 * @param until			set to when the wait for the last of it ends, in ms
 */
static u_int count_owed(private_kernel_dvipa_journal_t *this, u_int thread,
						uint64_t *until)
{
	enumerator_t *enumerator;
	owed_t *owed;
	u_int count = 0;

	enumerator = this->owed->create_enumerator(this->owed);
	while (enumerator->enumerate(enumerator, &owed))
	{
		if (owed->thread == thread)
		{
			*until = owed->until;
			count++;
		}
	}
	enumerator->destroy(enumerator);
	return count;
}

METHOD(kernel_dvipa_journal_t, owe, void,
	private_kernel_dvipa_journal_t *this, uint64_t id)
{
	owed_t *owed;

	/* of a CHILD_SA that came to nothing */
	forget(this, NULL);
	if (!this->wait_ms || !this->agents)
	{
		return;
	}
	INIT(owed,
		.id = id,
		.thread = thread_current_id(),
		.until = kernel_dvipa_now_ms() + this->wait_ms,
	);
	this->owed->insert_last(this->owed, owed);
}

METHOD(kernel_dvipa_journal_t, settle, u_int,
	private_kernel_dvipa_journal_t *this)
{
	u_int thread = thread_current_id(), count;
	uint64_t until, now;
	bool cancelable;

	/* the lock must not be left behind */
	cancelable = thread_cancelability(FALSE);
	this->waiting++;
	while ((count = count_owed(this, thread, &until)) && this->agents &&
		   this->waiting <= this->waiters)
	{
		now = kernel_dvipa_now_ms();
		if (now >= until || this->condvar->timed_wait(this->condvar,
											this->mutex, until - now))
		{
			count = count_owed(this, thread, &until);
			break;
		}
	}
	this->waiting--;
	forget(this, &thread);
	thread_cancelability(cancelable);
	return count;
}

METHOD(kernel_dvipa_journal_t, ack, void,
	private_kernel_dvipa_journal_t *this, uint64_t id)
{
	enumerator_t *enumerator;
	owed_t *owed;

	this->mutex->lock(this->mutex);
	enumerator = this->owed->create_enumerator(this->owed);
	while (enumerator->enumerate(enumerator, &owed))
	{
		if (owed->id == id)
		{
			this->owed->remove_at(this->owed, enumerator);
			free(owed);
		}
	}
	enumerator->destroy(enumerator);
	this->condvar->broadcast(this->condvar);
	this->mutex->unlock(this->mutex);
}

METHOD(kernel_dvipa_journal_t, set_agents, void,
	private_kernel_dvipa_journal_t *this, u_int count)
{
	this->mutex->lock(this->mutex);
	if (!this->agents && count)
	{
		this->gap_end = time_monotonic(NULL);
	}
	this->agents = count;
	this->condvar->broadcast(this->condvar);
	this->mutex->unlock(this->mutex);
}

METHOD(kernel_dvipa_journal_t, unknown_until, time_t,
	private_kernel_dvipa_journal_t *this)
{
	return this->agents ? this->gap_end : time_monotonic(NULL);
}

METHOD(kernel_dvipa_journal_t, set_sink, void,
	private_kernel_dvipa_journal_t *this, kernel_dvipa_sink_t sink, void *user)
{
	this->mutex->lock(this->mutex);
	this->sink = sink;
	this->user = user;
	this->mutex->unlock(this->mutex);
}

METHOD(kernel_dvipa_journal_t, destroy, void,
	private_kernel_dvipa_journal_t *this)
{
	this->owed->destroy_function(this->owed, free);
	this->condvar->destroy(this->condvar);
	this->mutex->destroy(this->mutex);
	free(this);
}

/*
 * see header file
 */
kernel_dvipa_journal_t *kernel_dvipa_journal_create(u_int wait_ms,
													u_int waiters)
{
	private_kernel_dvipa_journal_t *this;
	uint8_t bytes[8];
	rng_t *rng;

	rng = lib->crypto->create_rng(lib->crypto, RNG_WEAK);
	if (!rng || !rng->get_bytes(rng, sizeof(bytes), bytes))
	{
		DBG1(DBG_KNL, "kernel-dvipa: no random number for the instance's name");
		DESTROY_IF(rng);
		return NULL;
	}
	rng->destroy(rng);

	INIT(this,
		.public = {
			.lock = _lock,
			.unlock = _unlock,
			.get_instance = _get_instance,
			.get_sequence = _get_sequence,
			.next_id = _next_id,
			.raise = _raise_,
			.owe = _owe,
			.settle = _settle,
			.ack = _ack,
			.set_agents = _set_agents,
			.unknown_until = _unknown_until,
			.set_sink = _set_sink,
			.destroy = _destroy,
		},
		.mutex = mutex_create(MUTEX_TYPE_DEFAULT),
		.condvar = condvar_create(CONDVAR_TYPE_DEFAULT),
		.owed = linked_list_create(),
		.wait_ms = wait_ms,
		.waiters = waiters,
	);
	chunk_to_hex(chunk_create(bytes, sizeof(bytes)), this->instance, FALSE);
	return &this->public;
}
