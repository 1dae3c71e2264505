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
 * @defgroup kernel_dvipa_timer kernel_dvipa_timer
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_TIMER_H_
#define KERNEL_DVIPA_TIMER_H_

#include "kernel_dvipa_sad.h"

typedef struct kernel_dvipa_timer_t kernel_dvipa_timer_t;

/**
 * Raises the time-based expires of all SAs, on a thread of its own: charon
 * has no timers for IKEv2 CHILD_SAs, its backend is asked to have them. A job
 * of charon's scheduler per limit can't be cancelled, so it would stay for
 * hours after its SA.
 */
struct kernel_dvipa_timer_t {

	/**
	 * Look at the SAs' limits again, there is a new one.
	 */
	void (*wake)(kernel_dvipa_timer_t *this);

	/**
	 * Destroy a kernel_dvipa_timer_t; nothing is raised afterwards.
	 */
	void (*destroy)(kernel_dvipa_timer_t *this);
};

/**
 * Create a kernel_dvipa_timer_t.
 *
 * @param sad			SAs, not owned
 * @param expire		is told, from the timer's thread
 * @param user			its first argument
 * @return				NULL if there is no thread to be had
 */
kernel_dvipa_timer_t *kernel_dvipa_timer_create(kernel_dvipa_sad_t *sad,
												kernel_dvipa_expire_t expire,
												void *user);

#endif /** KERNEL_DVIPA_TIMER_H_ @}*/
