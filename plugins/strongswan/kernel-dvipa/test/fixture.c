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

#include "fixture.h"

static u_char key[] = "0123456789abcdefSALT";

fixture_t *fixture_create()
{
	return fixture_create_with("192.0.2.10", "192.0.2.101", "203.0.113.10/32",
							   "10.1.1.1/32");
}

fixture_t *fixture_create_with(char *us, char *peer, char *our_ts,
							   char *peer_ts)
{
	fixture_t *this;
	int bits;

	INIT(this,
		.us = host_create_from_string(us, 4500),
		.peer = host_create_from_string(peer, 4500),
		.dvipa = host_create_from_subnet(our_ts, &bits),
		.our_ts = traffic_selector_create_from_cidr(our_ts, 0, 0, 65535),
		.peer_ts = traffic_selector_create_from_cidr(peer_ts, 0, 0, 65535),
	);
	this->dvipa->set_port(this->dvipa, 4500);
	this->our_list = linked_list_create_with_items(this->our_ts, NULL);
	this->peer_list = linked_list_create_with_items(this->peer_ts, NULL);
	this->id = (kernel_ipsec_sa_id_t){
		.src = this->peer,
		.dst = this->us,
		.spi = htonl(0xc0000001),
		.proto = IPPROTO_ESP,
	};
	this->data = (kernel_ipsec_add_sa_t){
		.reqid = 1,
		.mode = MODE_TUNNEL,
		.src_ts = this->peer_list,
		.dst_ts = this->our_list,
		.lifetime = &this->lifetime,
		.enc_alg = ENCR_AES_GCM_ICV16,
		.enc_key = chunk_create(key, 20),
		.int_alg = AUTH_UNDEFINED,
		.replay_window = 32,
		.encap = TRUE,
		.inbound = TRUE,
#ifdef HAVE_SA_CPU
		.cpu = CPU_ID_MAX,
#endif
	};
	this->sa_cfg = (ipsec_sa_cfg_t){
		.mode = MODE_TUNNEL,
		.reqid = 1,
		.esp = { .use = TRUE, .spi = htonl(0xc0000001), },
	};
	this->manage = (kernel_ipsec_manage_policy_t){
		.type = POLICY_IPSEC,
		.prio = POLICY_PRIORITY_DEFAULT,
		.src = this->peer,
		.dst = this->us,
		.sa = &this->sa_cfg,
	};
	return this;
}

void fixture_outbound(fixture_t *this)
{
	this->data.inbound = FALSE;
	this->id.src = this->manage.src = this->id.dst;
	this->id.dst = this->manage.dst = this->peer;
	this->data.src_ts = this->our_list;
	this->data.dst_ts = this->peer_list;
}

void fixture_transport(fixture_t *this)
{
	this->data.mode = this->sa_cfg.mode = MODE_TRANSPORT;
	this->id.dst = this->manage.dst = this->dvipa;
	this->peer_list->remove(this->peer_list, this->peer_ts, NULL);
	this->peer_ts->destroy(this->peer_ts);
	this->peer_ts = traffic_selector_create_from_cidr("192.0.2.101/32", 0, 0,
													  65535);
	this->peer_list->insert_last(this->peer_list, this->peer_ts);
}

kernel_ipsec_policy_id_t fixture_policy(fixture_t *this, policy_dir_t dir)
{
	return (kernel_ipsec_policy_id_t){
		.dir = dir,
		.src_ts = dir == POLICY_OUT ? this->our_ts : this->peer_ts,
		.dst_ts = dir == POLICY_OUT ? this->peer_ts : this->our_ts,
	};
}

void fixture_destroy(fixture_t *this)
{
	this->our_list->destroy(this->our_list);
	this->peer_list->destroy(this->peer_list);
	this->our_ts->destroy(this->our_ts);
	this->peer_ts->destroy(this->peer_ts);
	this->us->destroy(this->us);
	this->dvipa->destroy(this->dvipa);
	this->peer->destroy(this->peer);
	free(this);
}
