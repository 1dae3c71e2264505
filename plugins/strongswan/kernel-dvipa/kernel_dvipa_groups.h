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
 * @defgroup kernel_dvipa_groups kernel_dvipa_groups
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_GROUPS_H_
#define KERNEL_DVIPA_GROUPS_H_

#include <networking/host.h>

typedef struct kernel_dvipa_groups_t kernel_dvipa_groups_t;
typedef struct kernel_dvipa_group_t kernel_dvipa_group_t;

/**
 * The SAs of one peer with one reqid, in both directions and over rekeys.
 *
 * A reqid alone does not tell peers apart: charon gives equal traffic selectors
 * the same one.
 */
struct kernel_dvipa_group_t {

	/** running number from 1, never used again in this life of charon */
	uint32_t id;

	/** charon's number */
	uint32_t reqid;

	/** where the peer is, as far as we were told */
	host_t *peer;

	/** it uses UDP encapsulation, so its port counts */
	bool encap;

	/** SAs in it */
	u_int sas;
};

/**
 * All groups. Belongs to the SAD and is protected by its lock.
 */
struct kernel_dvipa_groups_t {

	/**
	 * Find the group of a new SA, or make one. It lives until every SA left.
	 *
	 * If several peers should be at the same place, by what we were told, it
	 * is the one that came there last: the others have gone, and charon will
	 * hear of it.
	 *
	 * @param reqid		charon's number
	 * @param peer		outer address of the peer, gets cloned
	 * @param encap		whether the SA uses UDP encapsulation
	 * @return			group
	 */
	kernel_dvipa_group_t *(*join)(kernel_dvipa_groups_t *this, uint32_t reqid,
								  host_t *peer, bool encap);

	/**
	 * Note that an SA of a group has moved, and so the group. charon moves the
	 * SAs of a peer one after the other: they are one group all the time, and
	 * new SAs join it where the first of them went.
	 *
	 * @param group		group
	 * @param reqid		charon's new number, 0 if it stays
	 * @param peer		outer address of the peer, gets cloned
	 * @param encap		whether the SA uses UDP encapsulation now
	 */
	void (*move)(kernel_dvipa_groups_t *this, kernel_dvipa_group_t *group,
				 uint32_t reqid, host_t *peer, bool encap);

	/**
	 * Take an SA out of a group, which ends with its last one.
	 *
	 * @param group		group
	 */
	void (*leave)(kernel_dvipa_groups_t *this, kernel_dvipa_group_t *group);

	/**
	 * Destroy a kernel_dvipa_groups_t with all groups.
	 */
	void (*destroy)(kernel_dvipa_groups_t *this);
};

/**
 * Create a kernel_dvipa_groups_t.
 */
kernel_dvipa_groups_t *kernel_dvipa_groups_create();

#endif /** KERNEL_DVIPA_GROUPS_H_ @}*/
