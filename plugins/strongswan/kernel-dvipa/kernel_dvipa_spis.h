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
 * @defgroup kernel_dvipa_spis kernel_dvipa_spis
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_SPIS_H_
#define KERNEL_DVIPA_SPIS_H_

#include <library.h>

typedef struct kernel_dvipa_spis_t kernel_dvipa_spis_t;

/**
 * Checks if an SPI is taken by something else.
 *
 * @param user			what was given along
 * @param spi			SPI, in network order
 * @return				TRUE if it is
 */
typedef bool (*kernel_dvipa_taken_t)(void *user, uint32_t spi);

/**
 * The SPIs that were handed out and have no SA yet. Not safe to use from
 * several threads at a time.
 */
struct kernel_dvipa_spis_t {

	/**
	 * Draw an SPI: random, above the reserved ones (RFC 4303, section 2.1),
	 * with the owner's bits in front.
	 *
	 * @param taken		knows which are taken besides
	 * @param user		its first argument
	 * @param spi		set to the SPI, in network order
	 * @return			FALSE if there was no random number
	 */
	bool (*draw)(kernel_dvipa_spis_t *this, kernel_dvipa_taken_t taken,
				 void *user, uint32_t *spi);

	/**
	 * Forget an SPI: it has an SA now, or will never have one.
	 *
	 * @param spi		SPI, in network order; no fault if unknown
	 */
	void (*forget)(kernel_dvipa_spis_t *this, uint32_t spi);

	/**
	 * Destroy a kernel_dvipa_spis_t.
	 */
	void (*destroy)(kernel_dvipa_spis_t *this);
};

/**
 * Create a kernel_dvipa_spis_t.
 *
 * @param prefix		upper bits of every SPI
 * @param prefix_bits	how many they are, at most 16
 */
kernel_dvipa_spis_t *kernel_dvipa_spis_create(uint32_t prefix,
											  u_int prefix_bits);

#endif /** KERNEL_DVIPA_SPIS_H_ @}*/
