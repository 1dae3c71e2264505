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
 * @defgroup kernel_dvipa_sa kernel_dvipa_sa
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_SA_H_
#define KERNEL_DVIPA_SA_H_

#include <kernel/kernel_ipsec.h>

#include "kernel_dvipa_groups.h"
#include "kernel_dvipa_writer.h"

typedef struct kernel_dvipa_sa_t kernel_dvipa_sa_t;

/**
 * An SA as charon asked to install it. Belongs to the SAD and is protected by
 * its lock. Everything in it is its own.
 */
struct kernel_dvipa_sa_t {

	/** running number, never used again in this life of charon */
	uint64_t id;

	/** SPI, in network order */
	uint32_t spi;

	/** outer addresses in packet direction; ports are those of IKE */
	host_t *src;
	host_t *dst;

	/** towards the DVIPA */
	bool inbound;

	/** the DVIPA on our side of the traffic selectors */
	host_t *dvipa;

	/** charon's number, the same for all SAs with the same selectors */
	uint32_t reqid;

	/** the SAs of the same peer with this number, not owned */
	kernel_dvipa_group_t *group;

	/** tunnel or transport */
	ipsec_mode_t mode;

	/** UDP encapsulation */
	bool encap;

	/** Extended Sequence Numbers */
	bool esn;

	/** packets, 0 for no replay check */
	uint32_t replay_window;

	/** we initiated the exchange */
	bool initiator;

	/** the SPI came from get_spi() */
	bool update;

	/** what is copied between inner and outer header */
	bool copy_df;
	bool copy_ecn;
	dscp_copy_t copy_dscp;

	/** length of inner packets to pad to, 0 for none, ~0 for the path MTU */
	uint32_t tfc;

	/** encryption algorithm and its key, salt included */
	uint16_t enc_alg;
	chunk_t enc_key;

	/** integrity algorithm, 0 for none, and its key */
	uint16_t int_alg;
	chunk_t int_key;

	/** traffic selectors in packet direction, as traffic_selector_t */
	linked_list_t *src_ts;
	linked_list_t *dst_ts;

	/** limits, jitter already subtracted by charon; 0 for none */
	lifetime_cfg_t lifetime;

	/** when it was installed, in monotonic ms */
	uint64_t installed;

	/** when its time limits are reached, in monotonic ms, 0 for never or past */
	uint64_t soft_at;
	uint64_t hard_at;

	/** totals, as the agent counted them */
	uint64_t bytes;
	uint64_t packets;

	/** last use as time_monotonic(), 0 if never used */
	time_t used;

	/** what the agent keeps with it */
	chunk_t state;
};

/**
 * Create a kernel_dvipa_sa_t.
 *
 * @param num			its running number
 * @param id			charon's data, gets cloned
 * @param data			charon's data, gets cloned
 * @param dvipa			DVIPA, gets owned
 * @param group			group, not owned
 */
kernel_dvipa_sa_t *kernel_dvipa_sa_create(uint64_t num,
										  kernel_ipsec_sa_id_t *id,
										  kernel_ipsec_add_sa_t *data,
										  host_t *dvipa,
										  kernel_dvipa_group_t *group);

/**
 * Write the section "sa" with everything, keys and state included.
 *
 * Matches kernel_dvipa_encode_t, as the next two do.
 */
void kernel_dvipa_sa_encode(kernel_dvipa_sa_t *this,
							kernel_dvipa_writer_t *writer);

/**
 * Write the section "sa" without its keys.
 */
void kernel_dvipa_sa_encode_update(kernel_dvipa_sa_t *this,
								   kernel_dvipa_writer_t *writer);

/**
 * Write the section "sa" with its names only.
 */
void kernel_dvipa_sa_encode_name(kernel_dvipa_sa_t *this,
								 kernel_dvipa_writer_t *writer);

/**
 * Write a section about a traffic selector.
 *
 * @param ts			traffic selector
 * @param name			name of the section
 * @param writer		writer
 */
void kernel_dvipa_ts_encode(traffic_selector_t *ts, const char *name,
							kernel_dvipa_writer_t *writer);

/**
 * Destroy a kernel_dvipa_sa_t, wiping its keys.
 */
void kernel_dvipa_sa_destroy(kernel_dvipa_sa_t *this);

#endif /** KERNEL_DVIPA_SA_H_ @}*/
