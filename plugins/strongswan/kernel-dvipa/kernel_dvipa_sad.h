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
 * @defgroup kernel_dvipa_sad kernel_dvipa_sad
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_SAD_H_
#define KERNEL_DVIPA_SAD_H_

#include "kernel_dvipa_journal.h"
#include "kernel_dvipa_sa.h"

typedef struct kernel_dvipa_sad_t kernel_dvipa_sad_t;

/**
 * Is told that an SA reached a limit. Called without lock.
 *
 * @param user			what was given along
 * @param spi			SPI, in network order
 * @param dst			outer destination
 * @param hard			TRUE for a hard limit
 */
typedef void (*kernel_dvipa_expire_t)(void *user, uint32_t spi, host_t *dst,
									  bool hard);

/**
 * The SAs that charon installed, and the SPIs it was given. Safe to use from
 * any thread; every change is told to the journal.
 */
struct kernel_dvipa_sad_t {

	/**
	 * Draw an SPI that is not in use.
	 *
	 * @param spi		set to the SPI, in network order
	 * @return			FALSE if there was no random number
	 */
	bool (*get_spi)(kernel_dvipa_sad_t *this, uint32_t *spi);

	/**
	 * Add an SA. Its policies wait until the agent acknowledged it (see
	 * journal).
	 *
	 * @param id		charon's data, gets cloned
	 * @param data		charon's data, gets cloned
	 * @param dvipa		DVIPA it serves, gets owned
	 * @return			FALSE if there is such an SA already
	 */
	bool (*add)(kernel_dvipa_sad_t *this, kernel_ipsec_sa_id_t *id,
				kernel_ipsec_add_sa_t *data, host_t *dvipa);

	/**
	 * Find the direction and the mode of an SA.
	 *
	 * @param id		charon's data
	 * @param inbound	set to its direction
	 * @param mode		set to its mode
	 * @return			FALSE if there is no such SA
	 */
	bool (*get_kind)(kernel_dvipa_sad_t *this, kernel_ipsec_sa_id_t *id,
					 bool *inbound, ipsec_mode_t *mode);

	/**
	 * Change the outer addresses of an SA, and with them its group's.
	 *
	 * @param id		charon's data
	 * @param data		charon's data
	 * @return			NOT_FOUND if there is no such SA, ALREADY_DONE if there
	 *					is another one with its SPI where it should go
	 */
	status_t (*update)(kernel_dvipa_sad_t *this, kernel_ipsec_sa_id_t *id,
					   kernel_ipsec_update_sa_t *data);

	/**
	 * Find the group of the SA that a policy uses. Called with the journal
	 * locked.
	 *
	 * @param src		outer source
	 * @param dst		outer destination
	 * @param cfg		charon's data
	 * @return			number of the group, 0 if there is no such SA
	 */
	uint32_t (*find_group)(kernel_dvipa_sad_t *this, host_t *src, host_t *dst,
						   ipsec_sa_cfg_t *cfg);

	/**
	 * Get the totals of an SA.
	 *
	 * @param id		charon's data
	 * @param bytes		set to the bytes, if not NULL
	 * @param packets	set to the packets, if not NULL
	 * @param used		set to time_monotonic() of the last use, if not NULL
	 * @return			FALSE if there is no such SA
	 */
	bool (*query)(kernel_dvipa_sad_t *this, kernel_ipsec_sa_id_t *id,
				  uint64_t *bytes, uint64_t *packets, time_t *used);

	/**
	 * Get the last use of the SAs with a reqid.
	 *
	 * @param reqid		charon's number
	 * @param inbound	direction
	 * @return			time_monotonic() of the last use, 0 if never used
	 */
	time_t (*get_use_time)(kernel_dvipa_sad_t *this, uint32_t reqid,
						   bool inbound);

	/**
	 * Delete an SA and forget its SPI. No fault if there is none.
	 *
	 * @param id		charon's data
	 * @return			FALSE if there is none
	 */
	bool (*delete)(kernel_dvipa_sad_t *this, kernel_ipsec_sa_id_t *id);

	/**
	 * Delete all SAs.
	 */
	void (*flush)(kernel_dvipa_sad_t *this);

	/**
	 * Take over totals from the agent. Nothing is ever applied downwards.
	 *
	 * @param id		running number of the SA
	 * @param bytes		bytes since it was installed
	 * @param packets	packets since it was installed
	 * @param idle_ms	time since the last packet
	 */
	void (*set_counters)(kernel_dvipa_sad_t *this, uint64_t id, uint64_t bytes,
						 uint64_t packets, uint64_t idle_ms);

	/**
	 * Keep the agent's state of an SA, in place of what was kept before.
	 *
	 * @param id		running number of the SA
	 * @param state		state, gets cloned
	 * @return			FALSE if there is no such SA
	 */
	bool (*put_state)(kernel_dvipa_sad_t *this, uint64_t id, chunk_t state);

	/**
	 * Get what names an SA to charon.
	 *
	 * @param id		running number of the SA
	 * @param spi		set to its SPI, in network order
	 * @param dst		set to its outer destination (cloned)
	 * @param encap		set to whether it uses UDP encapsulation
	 * @return			FALSE if there is no such SA
	 */
	bool (*get_name)(kernel_dvipa_sad_t *this, uint64_t id, uint32_t *spi,
					 host_t **dst, bool *encap);

	/**
	 * Report every time limit that was reached, each once.
	 *
	 * @param now_ms	monotonic time in ms
	 * @param expire	is told
	 * @param user		its first argument
	 * @return			when to call again at the latest, 0 for never
	 */
	uint64_t (*run_expires)(kernel_dvipa_sad_t *this, uint64_t now_ms,
							kernel_dvipa_expire_t expire, void *user);

	/**
	 * Write an event "list-sa" per SA. Called with the journal locked.
	 *
	 * @param writer	writer, between packets
	 */
	void (*encode)(kernel_dvipa_sad_t *this, kernel_dvipa_writer_t *writer);

	/**
	 * Destroy a kernel_dvipa_sad_t, wiping all SAs without telling.
	 */
	void (*destroy)(kernel_dvipa_sad_t *this);
};

/**
 * Create a kernel_dvipa_sad_t.
 *
 * @param journal		journal, not owned
 * @param prefix		upper bits of every SPI
 * @param prefix_bits	how many they are, at most 16
 */
kernel_dvipa_sad_t *kernel_dvipa_sad_create(kernel_dvipa_journal_t *journal,
											uint32_t prefix, u_int prefix_bits);

#endif /** KERNEL_DVIPA_SAD_H_ @}*/
