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
 * @defgroup kernel_dvipa_index kernel_dvipa_index
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_INDEX_H_
#define KERNEL_DVIPA_INDEX_H_

#include "kernel_dvipa_sa.h"

typedef struct kernel_dvipa_index_t kernel_dvipa_index_t;

/**
 * SAs by running number, and by what charon knows of them. Not safe to use
 * from several threads at a time.
 */
struct kernel_dvipa_index_t {

	/**
	 * Put an SA in.
	 *
	 * @param sa		SA, gets owned
	 */
	void (*put)(kernel_dvipa_index_t *this, kernel_dvipa_sa_t *sa);

	/**
	 * Take an SA out.
	 *
	 * @param sa		SA, is the caller's then
	 */
	void (*remove)(kernel_dvipa_index_t *this, kernel_dvipa_sa_t *sa);

	/**
	 * Get an SA by its running number.
	 *
	 * @param id		running number
	 * @return			SA, NULL if there is none
	 */
	kernel_dvipa_sa_t *(*get)(kernel_dvipa_index_t *this, uint64_t id);

	/**
	 * Find an SA by charon's data. Peers may have chosen the same SPI, also
	 * several of them behind one NAT, so addresses and ports decide. The ports
	 * of an SA without encapsulation are not looked at: they are those of IKE.
	 * Of an inbound SA neither is the peer, if there is none of this one.
	 *
	 * @param id		charon's data
	 * @return			SA, NULL if there is none
	 */
	kernel_dvipa_sa_t *(*find)(kernel_dvipa_index_t *this,
							   kernel_ipsec_sa_id_t *id);

	/**
	 * Check if there is an SA with an SPI.
	 *
	 * @param spi		SPI, in network order
	 * @return			TRUE if there is
	 */
	bool (*has_spi)(kernel_dvipa_index_t *this, uint32_t spi);

	/**
	 * Create an enumerator over all SAs.
	 *
	 * @return			enumerator over (void*, kernel_dvipa_sa_t*)
	 */
	enumerator_t *(*create_enumerator)(kernel_dvipa_index_t *this);

	/**
	 * Destroy a kernel_dvipa_index_t and its SAs.
	 */
	void (*destroy)(kernel_dvipa_index_t *this);
};

/**
 * Create a kernel_dvipa_index_t.
 */
kernel_dvipa_index_t *kernel_dvipa_index_create();

#endif /** KERNEL_DVIPA_INDEX_H_ @}*/
