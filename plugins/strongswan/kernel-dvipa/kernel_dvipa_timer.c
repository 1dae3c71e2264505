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

#include "kernel_dvipa_timer.h"

#include <threading/condvar.h>
#include <threading/mutex.h>
#include <threading/thread.h>

typedef struct private_kernel_dvipa_timer_t private_kernel_dvipa_timer_t;

/**
 * Private data of a kernel_dvipa_timer_t.
 */
struct private_kernel_dvipa_timer_t {

	/**
	 * Public interface.
	 */
	kernel_dvipa_timer_t public;

	/**
	 * SAs
	 */
	kernel_dvipa_sad_t *sad;

	/**
	 * Is told about expires
	 */
	kernel_dvipa_expire_t expire;

	/**
	 * First argument of expire
	 */
	void *user;

	/**
	 * The thread
	 */
	thread_t *thread;

	/**
	 * Lock for woken and stopped
	 */
	mutex_t *mutex;

	/**
	 * Signaled when one of them is set
	 */
	condvar_t *condvar;

	/**
	 * There may be a new limit
	 */
	bool woken;

	/**
	 * The thread shall end
	 */
	bool stopped;
};

/**
 * Sleep until a time (monotonic ms, 0 for ever), or until woken. Called with
 * the lock held.
 */
static void sleep_until(private_kernel_dvipa_timer_t *this, uint64_t until)
{
	timeval_t limit = {
		.tv_sec = until / 1000,
		.tv_usec = until % 1000 * 1000,
	};

	while (!this->woken && !this->stopped)
	{
		if (!until)
		{
			this->condvar->wait(this->condvar, this->mutex);
		}
		else if (this->condvar->timed_wait_abs(this->condvar, this->mutex,
											   limit))
		{
			return;
		}
	}
}

/**
 * Run the timer
 */
static void *run(private_kernel_dvipa_timer_t *this)
{
	uint64_t next;

	thread_cancelability(FALSE);
	this->mutex->lock(this->mutex);
	while (!this->stopped)
	{
		this->woken = FALSE;
		this->mutex->unlock(this->mutex);
		next = this->sad->run_expires(this->sad, kernel_dvipa_now_ms(),
									  this->expire, this->user);
		this->mutex->lock(this->mutex);
		sleep_until(this, next);
	}
	this->mutex->unlock(this->mutex);
	return NULL;
}

METHOD(kernel_dvipa_timer_t, wake, void,
	private_kernel_dvipa_timer_t *this)
{
	this->mutex->lock(this->mutex);
	this->woken = TRUE;
	this->condvar->signal(this->condvar);
	this->mutex->unlock(this->mutex);
}

METHOD(kernel_dvipa_timer_t, destroy, void,
	private_kernel_dvipa_timer_t *this)
{
	if (this->thread)
	{
		this->mutex->lock(this->mutex);
		this->stopped = TRUE;
		this->condvar->signal(this->condvar);
		this->mutex->unlock(this->mutex);
		this->thread->join(this->thread);
	}
	this->condvar->destroy(this->condvar);
	this->mutex->destroy(this->mutex);
	free(this);
}

/*
 * see header file
 */
kernel_dvipa_timer_t *kernel_dvipa_timer_create(kernel_dvipa_sad_t *sad,
												kernel_dvipa_expire_t expire,
												void *user)
{
	private_kernel_dvipa_timer_t *this;

	INIT(this,
		.public = {
			.wake = _wake,
			.destroy = _destroy,
		},
		.sad = sad,
		.expire = expire,
		.user = user,
		.mutex = mutex_create(MUTEX_TYPE_DEFAULT),
		.condvar = condvar_create(CONDVAR_TYPE_DEFAULT),
	);
	this->thread = thread_create((thread_main_t)run, this);
	if (!this->thread)
	{
		destroy(this);
		return NULL;
	}
	return &this->public;
}
