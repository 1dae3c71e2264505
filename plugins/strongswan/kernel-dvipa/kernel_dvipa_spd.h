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
 * @defgroup kernel_dvipa_spd kernel_dvipa_spd
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_SPD_H_
#define KERNEL_DVIPA_SPD_H_

#include "kernel_dvipa_journal.h"
#include "kernel_dvipa_policy.h"
#include "kernel_dvipa_sad.h"

typedef struct kernel_dvipa_spd_t kernel_dvipa_spd_t;

/**
 * The policies that charon installed. Safe to use from any thread; whenever
 * the active use of a policy changes, the journal is told.
 *
 * To charon, peers with equal traffic selectors share a policy. Here each group
 * of SAs has its own.
 */
struct kernel_dvipa_spd_t {

	/**
	 * Add a policy, or one more use of it.
	 *
	 * If this is a switch of outbound traffic to another SA, wait until the
	 * agent acknowledged it, and the SAs that charon added before (see journal).
	 * An inbound policy waits for the latter if outbound traffic has an SA
	 * already: then the switch comes later, or not at all.
	 *
	 * @param id		charon's data, gets cloned
	 * @param data		charon's data, gets cloned
	 */
	void (*add)(kernel_dvipa_spd_t *this, kernel_ipsec_policy_id_t *id,
				kernel_ipsec_manage_policy_t *data);

	/**
	 * Get the reqid of the SAs that a policy uses.
	 *
	 * @param id		charon's data
	 * @param reqid		set to charon's number
	 * @return			FALSE if there is no such policy
	 */
	bool (*get_reqid)(kernel_dvipa_spd_t *this, kernel_ipsec_policy_id_t *id,
					  uint32_t *reqid);

	/**
	 * Get the reqid of an outbound policy that is a trap: without an SA.
	 *
	 * @param key		key of the policy
	 * @param reqid		set to charon's number
	 * @param src_ts	set to its traffic selectors, to be destroyed
	 * @param dst_ts	set to its traffic selectors, to be destroyed
	 * @return			FALSE if there is no such policy, or it has an SA
	 */
	bool (*get_trap)(kernel_dvipa_spd_t *this, chunk_t key, uint32_t *reqid,
					 traffic_selector_t **src_ts, traffic_selector_t **dst_ts);

	/**
	 * Delete a use of a policy, and the policy with its last use. No fault if
	 * there is none.
	 *
	 * @param id		charon's data
	 * @param data		charon's data
	 * @return			FALSE if there is none
	 */
	bool (*delete)(kernel_dvipa_spd_t *this, kernel_ipsec_policy_id_t *id,
				   kernel_ipsec_manage_policy_t *data);

	/**
	 * charon begins to move an SA: it will delete its policies and add them
	 * again. Meanwhile those with these traffic selectors stay, so that no
	 * packet finds none.
	 *
	 * @param id		charon's data
	 */
	void (*hold)(kernel_dvipa_spd_t *this, kernel_ipsec_policy_id_t *id);

	/**
	 * charon has moved the SA. What it deleted since and did not add again goes
	 * now.
	 *
	 * @param id		charon's data
	 */
	void (*release)(kernel_dvipa_spd_t *this, kernel_ipsec_policy_id_t *id);

	/**
	 * Delete all policies.
	 */
	void (*flush)(kernel_dvipa_spd_t *this);

	/**
	 * Write an event "list-policy" per policy. Called with the journal locked.
	 *
	 * @param writer	writer, between packets
	 */
	void (*encode)(kernel_dvipa_spd_t *this, kernel_dvipa_writer_t *writer);

	/**
	 * Destroy a kernel_dvipa_spd_t without telling.
	 */
	void (*destroy)(kernel_dvipa_spd_t *this);
};

/**
 * Create a kernel_dvipa_spd_t.
 *
 * @param journal		journal, not owned
 * @param sad			SAs, not owned
 */
kernel_dvipa_spd_t *kernel_dvipa_spd_create(kernel_dvipa_journal_t *journal,
											kernel_dvipa_sad_t *sad);

#endif /** KERNEL_DVIPA_SPD_H_ @}*/
