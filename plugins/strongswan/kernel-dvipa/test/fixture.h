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
 * What charon would hand over, to be changed at will.
 */

#ifndef FIXTURE_H_
#define FIXTURE_H_

#include <kernel/kernel_ipsec.h>
#include <collections/linked_list.h>

typedef struct {
	host_t *us;
	/** the address of our_ts, with port */
	host_t *dvipa;
	host_t *peer;
	traffic_selector_t *our_ts;
	traffic_selector_t *peer_ts;
	linked_list_t *our_list;
	linked_list_t *peer_list;
	lifetime_cfg_t lifetime;
	ipsec_sa_cfg_t sa_cfg;
	/** inbound SA, its policies come from policy_of() */
	kernel_ipsec_sa_id_t id;
	kernel_ipsec_add_sa_t data;
	kernel_ipsec_manage_policy_t manage;
} fixture_t;

/** DVIPA 203.0.113.10, endpoint 192.0.2.10, peer 192.0.2.101 with 10.1.1.1 */
fixture_t *fixture_create();

/** other addresses, and selectors as subnets */
fixture_t *fixture_create_with(char *us, char *peer, char *our_ts,
							   char *peer_ts);

/** transport mode with the DVIPA, before it is turned around */
void fixture_transport(fixture_t *this);

/** turn the SA around */
void fixture_outbound(fixture_t *this);

/** policy of a direction; the selectors are the fixture's */
kernel_ipsec_policy_id_t fixture_policy(fixture_t *this, policy_dir_t dir);

void fixture_destroy(fixture_t *this);

#endif /** FIXTURE_H_ */
