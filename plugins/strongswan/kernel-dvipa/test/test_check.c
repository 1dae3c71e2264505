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

#include "unit.h"
#include "fixture.h"

#include "../kernel_dvipa_check.h"

static kernel_dvipa_addresses_t *addresses;

/**
 * Check an SA; release what comes with a yes
 */
static const char *check(fixture_t *f)
{
	const char *reason;
	host_t *dvipa = NULL;

	reason = kernel_dvipa_check_sa(addresses, &f->id, &f->data, &dvipa);
	expect(!reason == (dvipa != NULL));
	DESTROY_IF(dvipa);
	return reason;
}

/**
 * One change to the SA, and the reason it is refused for
 */
#define refused(change, why) ({ \
	fixture_t *f = fixture_create(); \
	change; \
	const char *reason = check(f); \
	if (!reason || !strstr(reason, why)) \
	{ \
		fprintf(stderr, "got %s for ", reason ?: "no refusal"); \
		expect(!#change); \
	} \
	fixture_destroy(f); \
})

#define accepted(change) ({ \
	fixture_t *f = fixture_create(); \
	change; \
	expect(check(f) == NULL); \
	fixture_destroy(f); \
})

static void test_sa()
{
	chunk_t key = chunk_alloca(64);
	traffic_selector_t *other, *ip6;
	host_t *stranger, *host6;
	traffic_selector_t *removed;
	mark_t mark = { .value = 42, .mask = 0xffffffff, };

	memset(key.ptr, 7, key.len);
	other = traffic_selector_create_from_cidr("203.0.113.11/32", 0, 0, 65535);
	ip6 = traffic_selector_create_from_cidr("2001:db8::1/128", 0, 0, 65535);
	stranger = host_create_from_string("198.51.100.7", 4500);
	host6 = host_create_from_string("2001:db8::2", 4500);

	accepted();
	accepted(fixture_outbound(f));
	accepted(f->id.dst = f->dvipa);
	accepted(f->data.encap = FALSE);
	accepted(fixture_outbound(f); f->data.tfc = 1280);
	accepted(fixture_outbound(f); f->data.encap = FALSE);
	accepted(f->data.enc_key.len = 20);
	accepted(f->data.enc_key = chunk_create(key.ptr, 36));
	accepted(f->data.enc_alg = ENCR_AES_CBC;
			 f->data.enc_key = chunk_create(key.ptr, 16);
			 f->data.int_alg = AUTH_HMAC_SHA2_256_128;
			 f->data.int_key = chunk_create(key.ptr, 32));
	accepted(f->data.enc_key = chunk_create(key.ptr, 28));
	accepted(f->data.enc_alg = ENCR_AES_GCM_ICV8);
	accepted(f->data.enc_alg = ENCR_AES_CCM_ICV12;
			 f->data.enc_key = chunk_create(key.ptr, 19));
	accepted(f->data.enc_alg = ENCR_CHACHA20_POLY1305;
			 f->data.enc_key = chunk_create(key.ptr, 36));
	accepted(f->data.enc_alg = ENCR_NULL_AUTH_AES_GMAC);
	accepted(f->data.enc_alg = ENCR_AES_CTR;
			 f->data.int_alg = AUTH_AES_XCBC_96;
			 f->data.int_key = chunk_create(key.ptr, 16));
	accepted(f->data.enc_alg = ENCR_NULL;
			 f->data.enc_key = chunk_empty;
			 f->data.int_alg = AUTH_HMAC_SHA2_512_256;
			 f->data.int_key = chunk_create(key.ptr, 64));
	accepted(f->data.esn = TRUE);
	accepted(f->data.hw_offload = HW_OFFLOAD_AUTO);
	accepted(f->data.replay_window = 0);

	refused(f->id.dst = stranger, "neither an endpoint");
	refused(fixture_outbound(f); f->id.src = stranger, "neither an endpoint");
	refused(f->id.src = host6, "two families");
	refused(f->id.proto = IPPROTO_AH, "AH");
	refused(f->data.mode = MODE_BEET, "BEET");
	refused(f->data.mode = MODE_PASS, "other mode");
	refused(f->data.ipcomp = IPCOMP_DEFLATE, "IPComp");
	refused(f->data.mark = mark, "marks");
	refused(f->id.mark = mark, "marks");
	refused(f->id.if_id = 7, "interface ids");
	refused(f->data.interface = "eth0", "interface");
	refused(f->data.label = (sec_label_t*)f, "labels");
	refused(f->data.hw_offload = (hw_offload_t)1, "hardware offload");
	refused(f->data.enc_key.len = 19, "encryption key of a length");
	refused(f->data.enc_key = chunk_create(key.ptr, 2), "key of a length");
	refused(f->data.enc_key = chunk_create(key.ptr, 44), "key of a length");
	refused(f->data.enc_alg = ENCR_CHACHA20_POLY1305, "key of a length");
	refused(f->data.int_key = chunk_create(key.ptr, 32), "brings its own");
	refused(f->data.enc_alg = ENCR_3DES, "encryption other");
	refused(f->data.enc_alg = ENCR_CAMELLIA_CCM_ICV8, "encryption other");
	refused(f->data.enc_alg = ENCR_NULL, "key of a length");
	refused(f->data.enc_alg = ENCR_NULL;
			f->data.enc_key = chunk_empty, "without an integrity");
	refused(f->data.enc_alg = ENCR_AES_CBC, "key of a length");
	refused(f->data.enc_alg = ENCR_AES_CBC;
			f->data.enc_key = chunk_create(key.ptr, 16), "without an integ");
	refused(f->data.enc_alg = ENCR_AES_CBC;
			f->data.enc_key = chunk_create(key.ptr, 16);
			f->data.int_alg = AUTH_HMAC_SHA2_256_96;
			f->data.int_key = chunk_create(key.ptr, 32), "integrity other");
	refused(f->data.enc_alg = ENCR_AES_CBC;
			f->data.enc_key = chunk_create(key.ptr, 16);
			f->data.int_alg = AUTH_HMAC_SHA2_256_128;
			f->data.int_key = chunk_create(key.ptr, 20),
			"integrity key of a length");
	refused(f->our_list->insert_last(f->our_list, other), "beyond the DVIPA");
	refused(f->our_list->insert_first(f->our_list, other), "no DVIPA");
	refused(f->our_list->remove_first(f->our_list, (void**)&removed),
			"no traffic selector");
	accepted(f->peer_list->insert_last(f->peer_list, ip6));

	other->destroy(other);
	ip6->destroy(ip6);
	stranger->destroy(stranger);
	host6->destroy(host6);
}

/**
 * Every pair of families, in tunnel mode
 */
static void test_families()
{
	static char *us[] = { "192.0.2.10", "2001:db8::10" };
	static char *peer[] = { "192.0.2.101", "2001:db8::101" };
	static char *our_ts[] = { "203.0.113.10/32", "2001:db8:1::10/128" };
	static char *peer_ts[] = { "10.1.1.1/32", "2001:db8:2::/64" };
	fixture_t *f;
	int outer, inner;

	for (outer = 0; outer < 2; outer++)
	{
		for (inner = 0; inner < 2; inner++)
		{
			f = fixture_create_with(us[outer], peer[outer], our_ts[inner],
									peer_ts[inner]);
			expect(!check(f));
			fixture_outbound(f);
			expect(!check(f));
			f->data.encap = FALSE;
			expect(!check(f));
			fixture_destroy(f);
		}
	}
}

/**
 * In transport mode there is no inner header: selectors are the addresses
 */
static void test_transport()
{
	traffic_selector_t *port, *net, *far;
	traffic_selector_t *removed;
	host_t *other;

	port = traffic_selector_create_from_cidr("192.0.2.101/32", IPPROTO_TCP,
											 1024, 65535);
	net = traffic_selector_create_from_cidr("192.0.2.100/31", 0, 0, 65535);
	far = traffic_selector_create_from_cidr("10.0.0.101/32", 0, 0, 65535);
	other = host_create_from_string("192.0.2.102", 4500);

	accepted(fixture_transport(f));
	accepted(fixture_transport(f); f->data.encap = FALSE);
	accepted(fixture_transport(f); fixture_outbound(f));
	accepted(fixture_transport(f);
			 f->peer_list->insert_last(f->peer_list, port));

	refused(fixture_transport(f); f->id.dst = f->us, "in front of the DVIPA");
	refused(fixture_transport(f); fixture_outbound(f); f->id.src = f->us,
			"in front of the DVIPA");
	refused(fixture_transport(f); f->id.src = other, "not the peer's address");
	refused(fixture_transport(f);
			f->peer_list->insert_last(f->peer_list, net), "not the peer's");
	/* an address behind a NAT, as the peer itself sees it */
	refused(fixture_transport(f);
			f->peer_list->insert_first(f->peer_list, far), "not the peer's");
	refused(fixture_transport(f);
			f->peer_list->remove_first(f->peer_list, (void**)&removed),
			"no traffic selector on the peer's side");
	refused(f->data.mode = MODE_TRANSPORT, "in front of the DVIPA");

	other->destroy(other);
	port->destroy(port);
	net->destroy(net);
	far->destroy(far);
}

static const char *check_update(fixture_t *f, ipsec_mode_t mode, host_t *src,
								host_t *dst, bool encap)
{
	kernel_ipsec_update_sa_t data = {
		.new_src = src,
		.new_dst = dst,
		.encap = TRUE,
		.new_encap = encap,
	};

	return kernel_dvipa_check_update(addresses, &f->id, f->data.inbound, mode,
									 &data);
}

static void test_update()
{
	fixture_t *f = fixture_create();
	host_t *port, *other, *us6, *peer6;

	port = host_create_from_string("192.0.2.101", 5555);
	other = host_create_from_string("192.0.2.102", 4500);
	us6 = host_create_from_string("2001:db8::10", 4500);
	peer6 = host_create_from_string("2001:db8::101", 4500);

	expect(!check_update(f, MODE_TUNNEL, other, f->us, TRUE));
	expect(!check_update(f, MODE_TUNNEL, other, f->us, FALSE));
	/* another family, as with MOBIKE */
	expect(!check_update(f, MODE_TUNNEL, peer6, us6, FALSE));
	expect(check_update(f, MODE_TUNNEL, peer6, f->us, FALSE));
	/* the other way round our side is none of ours */
	expect(check_update(f, MODE_TUNNEL, f->us, f->peer, TRUE));

	/* selectors would stay behind; ports are not in them */
	fixture_transport(f);
	expect(!check_update(f, MODE_TRANSPORT, port, f->dvipa, TRUE));
	expect(!check_update(f, MODE_TRANSPORT, f->peer, f->dvipa, FALSE));
	expect(check_update(f, MODE_TRANSPORT, other, f->dvipa, TRUE));
	expect(check_update(f, MODE_TRANSPORT, f->peer, f->us, TRUE));
	fixture_outbound(f);
	expect(!check_update(f, MODE_TRANSPORT, f->dvipa, port, TRUE));
	expect(check_update(f, MODE_TRANSPORT, f->dvipa, other, TRUE));

	port->destroy(port);
	other->destroy(other);
	us6->destroy(us6);
	peer6->destroy(peer6);
	fixture_destroy(f);
}

static void test_policy()
{
	fixture_t *f = fixture_create();
	kernel_ipsec_policy_id_t id;
	host_t *any, *stranger;
	bool keep;

	any = host_create_any(AF_INET);
	stranger = host_create_from_string("198.51.100.7", 0);

	id = fixture_policy(f, POLICY_IN);
	expect(!kernel_dvipa_check_policy(addresses, &id, &f->manage, &keep));
	expect(keep);
	id.dir = POLICY_FWD;
	expect(!kernel_dvipa_check_policy(addresses, &id, &f->manage, &keep));
	/* our side and theirs exchanged */
	id = fixture_policy(f, POLICY_OUT);
	expect(kernel_dvipa_check_policy(addresses, &id, &f->manage, &keep));
	fixture_outbound(f);
	expect(!kernel_dvipa_check_policy(addresses, &id, &f->manage, &keep));
	f->manage.src = stranger;
	expect(kernel_dvipa_check_policy(addresses, &id, &f->manage, &keep));
	/* a trap may know no addresses */
	f->manage.src = any;
	expect(kernel_dvipa_check_policy(addresses, &id, &f->manage, &keep));
	f->manage.prio = POLICY_PRIORITY_ROUTED;
	expect(!kernel_dvipa_check_policy(addresses, &id, &f->manage, &keep));
	expect(keep);
	f->sa_cfg.mode = MODE_BEET;
	expect(kernel_dvipa_check_policy(addresses, &id, &f->manage, &keep));
	expect(!keep);

	/* dropped is what a DVIPA is without a policy, in clear it may not be */
	f->manage.type = POLICY_DROP;
	expect(!kernel_dvipa_check_policy(addresses, &id, &f->manage, &keep));
	expect(!keep);
	f->manage.type = POLICY_PASS;
	expect(kernel_dvipa_check_policy(addresses, &id, &f->manage, &keep));
	/* of others we let pass anything, and can't drop it */
	id.src_ts = id.dst_ts;
	expect(!kernel_dvipa_check_policy(addresses, &id, &f->manage, &keep));
	expect(!keep);
	f->manage.type = POLICY_DROP;
	expect(kernel_dvipa_check_policy(addresses, &id, &f->manage, &keep));

	any->destroy(any);
	stranger->destroy(stranger);
	fixture_destroy(f);
}

static bool takes(kernel_ipsec_policy_id_t *id, fixture_t *f)
{
	bool keep;

	return !kernel_dvipa_check_policy(addresses, id, &f->manage, &keep) &&
		   keep;
}

static void test_transport_policy()
{
	fixture_t *f = fixture_create();
	kernel_ipsec_policy_id_t in, out;
	host_t *any, *other;

	any = host_create_any(AF_INET);
	other = host_create_from_string("192.0.2.102", 4500);
	fixture_transport(f);
	in = fixture_policy(f, POLICY_IN);
	out = fixture_policy(f, POLICY_OUT);
	expect(takes(&in, f));
	f->manage.src = other;
	expect(!takes(&in, f));
	f->manage.src = f->peer;
	f->manage.dst = f->us;
	expect(!takes(&in, f));
	fixture_outbound(f);
	f->manage.src = f->dvipa;
	expect(takes(&out, f));
	f->manage.src = f->us;
	expect(!takes(&out, f));

	/* a trap need not know, but what it knows must be right */
	f->manage.prio = POLICY_PRIORITY_ROUTED;
	expect(!takes(&out, f));
	f->manage.src = any;
	expect(takes(&out, f));
	f->manage.dst = other;
	expect(!takes(&out, f));
	f->manage.dst = any;
	expect(takes(&out, f));

	any->destroy(any);
	other->destroy(other);
	fixture_destroy(f);
}

static void test_addresses()
{
	traffic_selector_t *ts;
	host_t *host;

	ts = traffic_selector_create_from_cidr("203.0.113.10/31", 0, 0, 65535);
	expect(!addresses->find_dvipa(addresses, ts));
	ts->destroy(ts);
	/* protocol and ports may be narrower */
	ts = traffic_selector_create_from_cidr("203.0.113.10/32", IPPROTO_TCP, 80,
										   80);
	host = addresses->find_dvipa(addresses, ts);
	expect(host);
	host->destroy(host);
	ts->destroy(ts);

	expect(addresses->put_state(addresses, "203.0.113.10",
								chunk_from_str("kept")));
	expect(!addresses->put_state(addresses, "192.0.2.10",
								 chunk_from_str("an endpoint is no DVIPA")));
	expect(!addresses->put_state(addresses, "nonsense", chunk_empty));
	/* one address, however it is written */
	expect(addresses->put_state(addresses, "2001:DB8:1:0::10",
								chunk_from_str("kept")));
	ts = traffic_selector_create_from_cidr("2001:db8:1::10/128", 0, 0, 65535);
	host = addresses->find_dvipa(addresses, ts);
	expect(host && host->get_family(host) == AF_INET6);
	host->destroy(host);
	ts->destroy(ts);
	ts = traffic_selector_create_from_cidr("2001:db8:1::10/127", 0, 0, 65535);
	expect(!addresses->find_dvipa(addresses, ts));
	ts->destroy(ts);
	host = host_create_from_string("2001:db8::10", 500);
	expect(addresses->is_endpoint(addresses, host));
	host->destroy(host);
	host = host_create_from_string("2001:db8::11", 500);
	expect(!addresses->is_endpoint(addresses, host));
	host->destroy(host);
	expect(!kernel_dvipa_address("::ffff:cb00:710a", 0));
	expect(!kernel_dvipa_address("::", 0));
	expect(!kernel_dvipa_address("fe80::1%eth0", 0));

	/* what is wrong changes nothing */
	lib->settings->set_str(lib->settings, "%s.plugins.kernel-dvipa.dvipas",
						   "203.0.113.20 300.1.1.1", lib->ns);
	expect(!addresses->reload(addresses));
	ts = traffic_selector_create_from_cidr("203.0.113.20/32", 0, 0, 65535);
	expect(!addresses->find_dvipa(addresses, ts));
	lib->settings->set_str(lib->settings, "%s.plugins.kernel-dvipa.dvipas",
						   " 203.0.113.20,203.0.113.10, ", lib->ns);
	expect(addresses->reload(addresses));
	host = addresses->find_dvipa(addresses, ts);
	expect(host);
	host->destroy(host);
	ts->destroy(ts);
}

void test_check()
{
	lib->settings->set_str(lib->settings, "%s.plugins.kernel-dvipa.dvipas",
						   "203.0.113.10, 2001:db8:1::10", lib->ns);
	lib->settings->set_str(lib->settings, "%s.plugins.kernel-dvipa.endpoints",
						   "192.0.2.10 2001:db8::10", lib->ns);
	addresses = kernel_dvipa_addresses_create();
	expect(addresses);
	test_sa();
	test_families();
	test_transport();
	test_update();
	test_policy();
	test_transport_policy();
	test_addresses();
	addresses->destroy(addresses);
}
