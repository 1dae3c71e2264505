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

#include "../kernel_dvipa_delegate.h"
#include "../kernel_dvipa_kernel.h"

#include <kernel/kernel_interface.h>

typedef struct {
	kernel_ipsec_t interface;
	const char *name;
	kernel_feature_t features;
	/** what it answers to all that may be there */
	status_t status;
} fake_t;

/** Calls of both since the last look, such as "dvipa add_sa, kernel del_sa". */
static char said[256];

static kernel_dvipa_addresses_t *addresses;
static fake_t *dvipa, *kernel;
static kernel_ipsec_t *both;

static status_t note(fake_t *this, const char *call)
{
	size_t len = strlen(said);

	snprintf(said + len, sizeof(said) - len, "%s%s %s", len ? ", " : "",
			 this->name, call);
	return this->status;
}

/** What was called, by doing what is given, and what it answered. */
#define expect_called(calls, answer, action) ({ \
	said[0] = '\0'; \
	expect((action) == (answer)); \
	if (!streq(said, calls)) \
	{ \
		fprintf(stderr, "called: %s\n", said); \
		expect(!#action); \
	} \
})

METHOD(kernel_ipsec_t, get_features, kernel_feature_t,
	fake_t *this)
{
	return this->features;
}

METHOD(kernel_ipsec_t, get_spi, status_t,
	fake_t *this, host_t *src, host_t *dst, uint8_t protocol, uint32_t *spi)
{
	return note(this, "get_spi");
}

METHOD(kernel_ipsec_t, get_cpi, status_t,
	fake_t *this, host_t *src, host_t *dst, uint16_t *cpi)
{
	return note(this, "get_cpi");
}

METHOD(kernel_ipsec_t, add_sa, status_t,
	fake_t *this, kernel_ipsec_sa_id_t *id, kernel_ipsec_add_sa_t *data)
{
	return note(this, "add_sa");
}

METHOD(kernel_ipsec_t, update_sa, status_t,
	fake_t *this, kernel_ipsec_sa_id_t *id, kernel_ipsec_update_sa_t *data)
{
	return note(this, "update_sa");
}

METHOD(kernel_ipsec_t, query_sa, status_t,
	fake_t *this, kernel_ipsec_sa_id_t *id, kernel_ipsec_query_sa_t *data,
	uint64_t *bytes, uint64_t *packets, time_t *time)
{
	return note(this, "query_sa");
}

METHOD(kernel_ipsec_t, del_sa, status_t,
	fake_t *this, kernel_ipsec_sa_id_t *id, kernel_ipsec_del_sa_t *data)
{
	return note(this, "del_sa");
}

METHOD(kernel_ipsec_t, flush_sas, status_t,
	fake_t *this)
{
	return note(this, "flush_sas");
}

METHOD(kernel_ipsec_t, add_policy, status_t,
	fake_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_manage_policy_t *data)
{
	return note(this, "add_policy");
}

METHOD(kernel_ipsec_t, query_policy, status_t,
	fake_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_query_policy_t *data, time_t *use_time)
{
	return note(this, "query_policy");
}

METHOD(kernel_ipsec_t, del_policy, status_t,
	fake_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_manage_policy_t *data)
{
	return note(this, "del_policy");
}

METHOD(kernel_ipsec_t, flush_policies, status_t,
	fake_t *this)
{
	return note(this, "flush_policies");
}

METHOD(kernel_ipsec_t, bypass_socket, bool,
	fake_t *this, int fd, int family)
{
	return note(this, "bypass_socket") == SUCCESS;
}

METHOD(kernel_ipsec_t, enable_udp_decap, bool,
	fake_t *this, int fd, int family, uint16_t port)
{
	return note(this, "enable_udp_decap") == SUCCESS;
}

METHOD(kernel_ipsec_t, destroy, void,
	fake_t *this)
{
	note(this, "destroy");
	free(this);
}

static fake_t *create_fake(const char *name)
{
	fake_t *this;

	INIT(this,
		.interface = {
			.get_features = _get_features,
			.get_spi = _get_spi,
			.get_cpi = _get_cpi,
			.add_sa = _add_sa,
			.update_sa = _update_sa,
			.query_sa = _query_sa,
			.del_sa = _del_sa,
			.flush_sas = _flush_sas,
			.add_policy = _add_policy,
			.query_policy = _query_policy,
			.del_policy = _del_policy,
			.flush_policies = _flush_policies,
			.bypass_socket = _bypass_socket,
			.enable_udp_decap = _enable_udp_decap,
			.destroy = _destroy,
		},
		.name = name,
		.status = SUCCESS,
	);
	return this;
}

/** A site-to-site tunnel from an address that is no endpoint. */
static fixture_t *create_site()
{
	return fixture_create_with("192.0.2.1", "192.0.2.101", "10.9.0.0/16",
							   "10.8.0.0/16");
}

static status_t add(fixture_t *f)
{
	return both->add_sa(both, &f->id, &f->data);
}

/** Both directions of an SA that is the fixture's but for its selectors. */
static void expect_sa(const char *calls, status_t answer, char *us,
					  char *our_ts, char *peer_ts)
{
	fixture_t *f = fixture_create_with(us, "192.0.2.101", our_ts, peer_ts);

	expect_called(calls, answer, add(f));
	fixture_outbound(f);
	expect_called(calls, answer, add(f));
	fixture_destroy(f);
}

static void test_sas()
{
	traffic_selector_t *ts, *removed;
	fixture_t *f;
	host_t *host;

	expect_sa("dvipa add_sa", SUCCESS, "192.0.2.10", "203.0.113.10/32",
			  "10.8.0.0/16");
	expect_sa("kernel add_sa", SUCCESS, "192.0.2.1", "10.9.0.0/16",
			  "10.8.0.0/16");
	/* a default route into the tunnel leads around DVIPAs as well */
	expect_sa("kernel add_sa", SUCCESS, "192.0.2.1", "10.9.0.0/16",
			  "0.0.0.0/0");
	/* a DVIPA among others on our side is refused by who knows DVIPAs */
	expect_sa("dvipa add_sa", SUCCESS, "192.0.2.1", "203.0.113.10/32",
			  "10.8.0.0/16");
	expect_sa("dvipa add_sa", SUCCESS, "192.0.2.1", "203.0.113.0/24",
			  "10.8.0.0/16");
	expect_sa("dvipa add_sa", SUCCESS, "192.0.2.1", "0.0.0.0/0",
			  "10.8.0.0/16");
	expect_sa("dvipa add_sa", SUCCESS, "2001:db8::1", "2001:db8:1::/64",
			  "2001:db8:2::/64");
	expect_sa("kernel add_sa", SUCCESS, "192.0.2.1", "2001:db8:3::/64",
			  "2001:db8:2::/64");
	/* ESP at an endpoint would be taken from the kernel, at a DVIPA too */
	expect_sa("", FAILED, "192.0.2.10", "10.9.0.0/16", "10.8.0.0/16");
	expect_sa("", FAILED, "203.0.113.10", "10.9.0.0/16", "10.8.0.0/16");
	expect_sa("", FAILED, "192.0.2.1", "10.9.0.0/16", "203.0.113.10/32");

	f = create_site();
	ts = traffic_selector_create_from_cidr("203.0.113.10/32", 0, 0, 65535);
	f->our_list->insert_last(f->our_list, ts);
	expect_called("dvipa add_sa", SUCCESS, add(f));
	f->our_list->remove_last(f->our_list, (void**)&removed);
	f->peer_list->insert_last(f->peer_list, ts);
	expect_called("", FAILED, add(f));
	f->peer_list->remove_last(f->peer_list, (void**)&removed);
	/* what the data plane can't do, the kernel may */
	f->data.ipcomp = IPCOMP_DEFLATE;
	f->id.proto = IPPROTO_AH;
	expect_called("kernel add_sa", SUCCESS, add(f));
	kernel->status = FAILED;
	expect_called("kernel add_sa", FAILED, add(f));
	kernel->status = SUCCESS;
	/* the peer's address is an endpoint of ours */
	host = host_create_from_string("192.0.2.10", 4500);
	f->id.src = host;
	expect_called("", FAILED, add(f));
	f->our_list->remove_first(f->our_list, (void**)&removed);
	expect_called("dvipa add_sa", SUCCESS, add(f));
	ts->destroy(ts);
	host->destroy(host);
	fixture_destroy(f);
}

static void test_spis()
{
	fixture_t *f = create_site();
	host_t *endpoint;
	uint32_t spi;
	uint16_t cpi;

	endpoint = host_create_from_string("192.0.2.10", 500);
	expect_called("kernel get_spi", SUCCESS,
				  both->get_spi(both, f->peer, f->us, IPPROTO_ESP, &spi));
	expect_called("kernel get_cpi", SUCCESS,
				  both->get_cpi(both, f->peer, f->us, &cpi));
	expect_called("dvipa get_spi", SUCCESS,
				  both->get_spi(both, f->peer, endpoint, IPPROTO_ESP, &spi));
	expect_called("dvipa get_cpi", SUCCESS,
				  both->get_cpi(both, f->peer, endpoint, &cpi));
	endpoint->destroy(endpoint);
	fixture_destroy(f);
}

/** What is there is looked for among DVIPAs first. */
static void test_installed()
{
	fixture_t *f = create_site();
	kernel_ipsec_query_sa_t query = {};
	kernel_ipsec_del_sa_t del = {};
	kernel_ipsec_query_policy_t query_policy = {};
	kernel_ipsec_policy_id_t id = fixture_policy(f, POLICY_IN);
	kernel_ipsec_update_sa_t update = {
		.new_src = f->peer,
		.new_dst = f->us,
	};
	uint64_t bytes, packets;
	host_t *endpoint;
	time_t time;

	expect_called("dvipa query_sa", SUCCESS,
			both->query_sa(both, &f->id, &query, &bytes, &packets, &time));
	expect_called("dvipa update_sa", SUCCESS,
			both->update_sa(both, &f->id, &update));
	expect_called("dvipa del_sa", SUCCESS, both->del_sa(both, &f->id, &del));
	expect_called("dvipa query_policy", SUCCESS,
			both->query_policy(both, &id, &query_policy, &time));
	expect_called("dvipa del_policy", SUCCESS,
			both->del_policy(both, &id, &f->manage));
	dvipa->status = NOT_SUPPORTED;
	expect_called("dvipa update_sa", NOT_SUPPORTED,
			both->update_sa(both, &f->id, &update));

	dvipa->status = NOT_FOUND;
	expect_called("dvipa query_sa, kernel query_sa", SUCCESS,
			both->query_sa(both, &f->id, &query, &bytes, &packets, &time));
	expect_called("dvipa update_sa, kernel update_sa", SUCCESS,
			both->update_sa(both, &f->id, &update));
	expect_called("dvipa del_sa, kernel del_sa", SUCCESS,
			both->del_sa(both, &f->id, &del));
	expect_called("dvipa query_policy, kernel query_policy", SUCCESS,
			both->query_policy(both, &id, &query_policy, &time));
	expect_called("dvipa del_policy, kernel del_policy", SUCCESS,
			both->del_policy(both, &id, &f->manage));
	kernel->status = NOT_FOUND;
	expect_called("dvipa del_sa, kernel del_sa", NOT_FOUND,
			both->del_sa(both, &f->id, &del));
	kernel->status = SUCCESS;
	/* with MOBIKE it must not get to where the kernel can't have it */
	endpoint = host_create_from_string("192.0.2.10", 4500);
	update.new_dst = endpoint;
	expect_called("dvipa update_sa", NOT_SUPPORTED,
			both->update_sa(both, &f->id, &update));

	dvipa->status = SUCCESS;
	endpoint->destroy(endpoint);
	fixture_destroy(f);
}

static status_t add_one(fixture_t *f, policy_dir_t dir)
{
	kernel_ipsec_policy_id_t id = fixture_policy(f, dir);

	return both->add_policy(both, &id, &f->manage);
}

/** All policies of a tunnel, the outbound one last. */
static void expect_policies(const char *calls, status_t answer, char *us,
							char *our_ts, char *peer_ts)
{
	fixture_t *f = fixture_create_with(us, "192.0.2.101", our_ts, peer_ts);

	expect_called(calls, answer, add_one(f, POLICY_IN));
	expect_called(calls, answer, add_one(f, POLICY_FWD));
	fixture_outbound(f);
	expect_called(calls, answer, add_one(f, POLICY_OUT));
	fixture_destroy(f);
}

static void test_policies()
{
	fixture_t *f;

	expect_policies("dvipa add_policy", SUCCESS, "192.0.2.10",
					"203.0.113.10/32", "10.8.0.0/16");
	expect_policies("kernel add_policy", SUCCESS, "192.0.2.1", "10.9.0.0/16",
					"10.8.0.0/16");
	expect_policies("kernel add_policy", SUCCESS, "192.0.2.1", "10.9.0.0/16",
					"0.0.0.0/0");
	expect_policies("dvipa add_policy", SUCCESS, "192.0.2.1",
					"203.0.113.0/24", "10.8.0.0/16");
	expect_policies("", FAILED, "192.0.2.10", "10.9.0.0/16", "10.8.0.0/16");

	/* a DVIPA that is the peer's side is a forwarding one of ours turned
	 * around, but nobody's else */
	f = fixture_create_with("192.0.2.1", "192.0.2.101", "10.9.0.0/16",
							"203.0.113.10/32");
	expect_called("", FAILED, add_one(f, POLICY_IN));
	expect_called("", FAILED, add_one(f, POLICY_OUT));
	expect_called("dvipa add_policy", SUCCESS, add_one(f, POLICY_FWD));
	/* shunts of it too: it is they that would go out in clear */
	f->manage.type = POLICY_PASS;
	expect_called("dvipa add_policy", SUCCESS, add_one(f, POLICY_IN));
	expect_called("dvipa add_policy", SUCCESS, add_one(f, POLICY_OUT));
	fixture_destroy(f);
}

static void expect_shunt(const char *owner, char *our_ts)
{
	fixture_t *f = fixture_create_with("192.0.2.1", "192.0.2.101", our_ts,
									   "10.8.0.0/16");
	kernel_ipsec_policy_id_t id = fixture_policy(f, POLICY_OUT);
	policy_type_t types[] = { POLICY_PASS, POLICY_DROP };
	char add[32], del[32];
	u_int i;

	snprintf(add, sizeof(add), "%s add_policy", owner);
	snprintf(del, sizeof(del), "%s del_policy", owner);
	for (i = 0; i < countof(types); i++)
	{
		f->manage.type = types[i];
		expect_called(add, SUCCESS, both->add_policy(both, &id, &f->manage));
		expect_called(del, SUCCESS, both->del_policy(both, &id, &f->manage));
	}
	fixture_destroy(f);
}

static void test_shunts()
{
	expect_shunt("dvipa", "203.0.113.10/32");
	expect_shunt("dvipa", "2001:db8:1::10/128");
	expect_shunt("kernel", "10.9.0.0/16");
	/* the kernel has nothing of a DVIPA that this would make way for */
	expect_shunt("kernel", "203.0.113.0/24");
	/* an endpoint's own traffic is no ESP */
	expect_shunt("kernel", "192.0.2.10/32");
}

static void test_features()
{
	dvipa->features = KERNEL_POLICY_SPI | KERNEL_ESP_V3_TFC |
					  KERNEL_NO_POLICY_UPDATES |
					  KERNEL_REQUIRE_UDP_ENCAPSULATION;
	kernel->features = KERNEL_POLICY_SPI;
	expect(both->get_features(both) == (KERNEL_POLICY_SPI |
										KERNEL_REQUIRE_UDP_ENCAPSULATION));
	kernel->features = dvipa->features | KERNEL_REQUIRE_EXCLUDE_ROUTE;
	expect(both->get_features(both) == kernel->features);
}

static void test_daemon()
{
	expect_called("dvipa flush_sas, kernel flush_sas", SUCCESS,
				  both->flush_sas(both));
	expect_called("dvipa flush_policies, kernel flush_policies", SUCCESS,
				  both->flush_policies(both));
	expect_called("kernel bypass_socket", TRUE,
				  both->bypass_socket(both, 1, AF_INET));
	expect_called("kernel enable_udp_decap", TRUE,
				  both->enable_udp_decap(both, 1, AF_INET, 4500));
	kernel->status = FAILED;
	expect_called("kernel enable_udp_decap", FALSE,
				  both->enable_udp_decap(both, 1, AF_INET, 4500));
	kernel->status = SUCCESS;
}

/** Neither where it is not loaded, nor where it is not wanted. */
static void test_kernel()
{
	expect(!kernel_dvipa_kernel_create());
	lib->settings->set_bool(lib->settings,
							"%s.plugins.kernel-dvipa.delegate", FALSE, lib->ns);
	expect(!kernel_dvipa_kernel_create());
}

void test_delegate()
{
	lib->settings->set_str(lib->settings, "%s.plugins.kernel-dvipa.dvipas",
						   "203.0.113.10, 2001:db8:1::10", lib->ns);
	lib->settings->set_str(lib->settings, "%s.plugins.kernel-dvipa.endpoints",
						   "192.0.2.10 2001:db8::10", lib->ns);
	addresses = kernel_dvipa_addresses_create();
	dvipa = create_fake("dvipa");
	kernel = create_fake("kernel");
	both = &kernel_dvipa_delegate_create(&dvipa->interface,
								&kernel->interface, addresses)->interface;
	test_sas();
	test_spis();
	test_installed();
	test_policies();
	test_shunts();
	test_features();
	test_daemon();
	test_kernel();
	said[0] = '\0';
	both->destroy(both);
	expect(streq(said, "kernel destroy, dvipa destroy"));
	addresses->destroy(addresses);
}
