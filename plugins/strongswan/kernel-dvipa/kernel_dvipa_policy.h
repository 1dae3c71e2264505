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
 * @defgroup kernel_dvipa_policy kernel_dvipa_policy
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_POLICY_H_
#define KERNEL_DVIPA_POLICY_H_

#include <kernel/kernel_ipsec.h>

#include "kernel_dvipa_writer.h"

typedef struct kernel_dvipa_policy_t kernel_dvipa_policy_t;
typedef struct kernel_dvipa_policy_use_t kernel_dvipa_policy_use_t;

/**
 * Largest text of a policy's key, with its NUL.
 */
#define KERNEL_DVIPA_POLICY_KEY_LEN 320

/**
 * What one CHILD_SA wants of a policy. During a rekeying, two of them use the
 * same policy.
 */
struct kernel_dvipa_policy_use_t {

	/** priority class */
	policy_priority_t prio;

	/** as told to the agent, smaller is more specific */
	uint32_t priority;

	/** outer addresses of its SA */
	host_t *src;
	host_t *dst;

	/** its SA, the SPI of ESP in it is in network order */
	ipsec_sa_cfg_t sa;

	/** charon has deleted it while it moves the SA, and is about to add it
	 * again: it counts until then */
	bool leaving;
};

/**
 * A policy, and who uses it. Belongs to the SPD and is protected by its lock.
 */
struct kernel_dvipa_policy_t {

	/** direction, traffic selectors and group as text */
	char key[KERNEL_DVIPA_POLICY_KEY_LEN];

	/** running number of the active use */
	uint64_t id;

	/** direction */
	policy_dir_t dir;

	/** traffic selectors in packet direction */
	traffic_selector_t *src_ts;
	traffic_selector_t *dst_ts;

	/** group of the SAs that its uses name, 0 if there are none yet */
	uint32_t group;

	/** who uses it, as kernel_dvipa_policy_use_t; the first is active */
	linked_list_t *uses;

	/** how many SAs with these traffic selectors charon is moving */
	u_int holds;
};

/**
 * Create a kernel_dvipa_policy_t without uses.
 *
 * @param id			charon's data, gets cloned
 * @param group			group of SAs
 */
kernel_dvipa_policy_t *kernel_dvipa_policy_create(kernel_ipsec_policy_id_t *id,
												  uint32_t group);

/**
 * Add a use to a policy: in front of those that are not better.
 *
 * @param data			charon's data, gets cloned
 * @return				TRUE if the new use is the active one
 */
bool kernel_dvipa_policy_use(kernel_dvipa_policy_t *this,
							 kernel_ipsec_manage_policy_t *data);

/**
 * Find a use of a policy.
 *
 * @param data			charon's data
 * @param exactly		FALSE if its SA may have moved since it was added
 * @return				NULL if there is no such use
 */
kernel_dvipa_policy_use_t *kernel_dvipa_policy_find_use(
						kernel_dvipa_policy_t *this,
						kernel_ipsec_manage_policy_t *data, bool exactly);

/**
 * Remove a use from a policy.
 *
 * @param use			use of this policy, gets destroyed
 * @return				TRUE if it was the active one
 */
bool kernel_dvipa_policy_unuse(kernel_dvipa_policy_t *this,
							   kernel_dvipa_policy_use_t *use);

/**
 * Take a leaving use back, with the addresses that its SA has now.
 *
 * @param data			charon's data
 * @return				FALSE if there is no such use, add it then
 */
bool kernel_dvipa_policy_reuse(kernel_dvipa_policy_t *this,
							   kernel_ipsec_manage_policy_t *data);

/**
 * Remove all leaving uses from a policy.
 *
 * @return				TRUE if the active one was among them
 */
bool kernel_dvipa_policy_unuse_leaving(kernel_dvipa_policy_t *this);

/**
 * Get the active use.
 *
 * @return				NULL if nobody uses the policy
 */
kernel_dvipa_policy_use_t *kernel_dvipa_policy_active(
												kernel_dvipa_policy_t *this);

/**
 * Write the section "policy" of the active use.
 *
 * Matches kernel_dvipa_encode_t, as the next does.
 */
void kernel_dvipa_policy_encode(kernel_dvipa_policy_t *this,
								kernel_dvipa_writer_t *writer);

/**
 * Write the section "policy" with its names only.
 */
void kernel_dvipa_policy_encode_name(kernel_dvipa_policy_t *this,
									 kernel_dvipa_writer_t *writer);

/**
 * Destroy a kernel_dvipa_policy_t with its uses.
 */
void kernel_dvipa_policy_destroy(kernel_dvipa_policy_t *this);

#endif /** KERNEL_DVIPA_POLICY_H_ @}*/
