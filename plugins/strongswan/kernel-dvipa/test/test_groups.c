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
#include "recorder.h"

#include "../kernel_dvipa_sad.h"
#include "../kernel_dvipa_spd.h"

static kernel_dvipa_journal_t *journal;
static kernel_dvipa_sad_t *sad;
static kernel_dvipa_spd_t *spd;

/** SPI of ours, or of a peer's choice; in reading order */
#define IN(n) (0xc0000000 + (n))
#define OUT(n) (0xe0000000 + (n))

/**
 * charon's data about an SA, between an endpoint and a peer
 */
static kernel_ipsec_sa_id_t sa_id(fixture_t *f, uint32_t spi, host_t *peer)
{
	bool inbound = spi < OUT(0);

	return (kernel_ipsec_sa_id_t){
		.src = inbound ? peer : f->us,
		.dst = inbound ? f->us : peer,
		.spi = htonl(spi),
		.proto = IPPROTO_ESP,
	};
}

static bool add(fixture_t *f, uint32_t spi, host_t *peer)
{
	kernel_ipsec_sa_id_t id = sa_id(f, spi, peer);

	f->data.inbound = spi < OUT(0);
	f->data.src_ts = f->data.inbound ? f->peer_list : f->our_list;
	f->data.dst_ts = f->data.inbound ? f->our_list : f->peer_list;
	return sad->add(sad, &id, &f->data, f->dvipa->clone(f->dvipa));
}

/**
 * The group that was told with a new SA
 */
static uint64_t group_of_new(fixture_t *f, uint32_t spi, host_t *peer)
{
	expect(add(f, spi, peer));
	expect_told("sa-add ");
	expect(recorder_number("sa", "group") > 0);
	return recorder_number("sa", "group");
}

static status_t move(fixture_t *f, uint32_t spi, host_t *from, host_t *to,
					 bool encap)
{
	kernel_ipsec_sa_id_t id = sa_id(f, spi, from), there = sa_id(f, spi, to);
	kernel_ipsec_update_sa_t update = {
		.new_src = there.src,
		.new_dst = there.dst,
		.encap = f->data.encap,
		.new_encap = encap,
	};

	return sad->update(sad, &id, &update);
}

/**
 * The group that was told with an SA that moved
 */
static uint64_t group_of_moved(fixture_t *f, uint32_t spi, host_t *from,
							   host_t *to, bool encap)
{
	expect(move(f, spi, from, to, encap) == SUCCESS);
	expect_told("sa-update ");
	return recorder_number("sa", "group");
}

static void delete(fixture_t *f, uint32_t spi, host_t *peer)
{
	kernel_ipsec_sa_id_t id = sa_id(f, spi, peer);

	sad->delete(sad, &id);
}

static host_t *host(char *address, uint16_t port)
{
	return host_create_from_string(address, port);
}

static fixture_t *begin()
{
	journal = kernel_dvipa_journal_create(0, 0);
	journal->set_sink(journal, recorder_sink, NULL);
	sad = kernel_dvipa_sad_create(journal, 0, 0);
	spd = kernel_dvipa_spd_create(journal, sad);
	return fixture_create();
}

static void end(fixture_t *f)
{
	spd->destroy(spd);
	sad->destroy(sad);
	journal->destroy(journal);
	recorder_forget();
	fixture_destroy(f);
}

/**
 * Who belongs together
 */
static void test_members()
{
	fixture_t *f = begin();
	host_t *other, *port, *ike;
	uint64_t first, second;

	other = host("192.0.2.102", 4500);
	port = host("192.0.2.101", 40000);
	ike = host("192.0.2.101", 500);

	/* both directions, a rekey of both, a duplicate */
	first = group_of_new(f, IN(1), f->peer);
	expect(group_of_new(f, OUT(1), f->peer) == first);
	expect(group_of_new(f, IN(2), f->peer) == first);
	expect(group_of_new(f, OUT(2), f->peer) == first);
	/* look-alikes: another address; another port behind the same NAT */
	second = group_of_new(f, IN(3), other);
	expect(second != first);
	expect(group_of_new(f, OUT(3), other) == second);
	expect(group_of_new(f, IN(4), port) > second);
	/* the same peer with other selectors */
	f->data.reqid = 2;
	expect(group_of_new(f, IN(5), f->peer) > second + 1);
	f->data.reqid = 1;
	/* without encapsulation ports are those of IKE */
	f->data.encap = FALSE;
	second = group_of_new(f, IN(6), f->peer);
	expect(group_of_new(f, OUT(6), ike) == second);
	f->data.encap = TRUE;

	/* it lives as long as its last SA, its number is not used again */
	delete(f, IN(1), f->peer);
	delete(f, OUT(1), f->peer);
	delete(f, OUT(2), f->peer);
	recorder_forget();
	expect(group_of_new(f, OUT(7), f->peer) == first);
	delete(f, IN(2), f->peer);
	delete(f, OUT(7), f->peer);
	recorder_forget();
	expect(group_of_new(f, IN(8), f->peer) > second);

	other->destroy(other);
	port->destroy(port);
	ike->destroy(ike);
	end(f);
}

/**
 * SAs move one after the other, in any order
 */
static void test_moves()
{
	static uint32_t orders[][3] = {
		{ IN(1), OUT(1), IN(2) }, { OUT(1), IN(1), IN(2) },
		{ IN(2), OUT(1), IN(1) }, { OUT(1), IN(2), IN(1) },
	};
	fixture_t *f;
	host_t *there;
	uint64_t group;
	u_int i, moved;

	for (i = 0; i < countof(orders); i++)
	{
		for (moved = 1; moved <= 3; moved++)
		{
			u_int n;

			f = begin();
			there = host(i & 1 ? "192.0.2.101" : "2001:db8::101", 40000);
			group = group_of_new(f, IN(1), f->peer);
			group_of_new(f, OUT(1), f->peer);
			group_of_new(f, IN(2), f->peer);
			for (n = 0; n < moved; n++)
			{
				expect(group_of_moved(f, orders[i][n], f->peer, there,
									  TRUE) == group);
			}
			/* a rekey right after it, or half-way */
			expect(group_of_new(f, IN(3), there) == group);
			/* who comes where it was is somebody else */
			expect(group_of_new(f, IN(4), f->peer) > group);
			/* and the rest follows */
			for (; n < 3; n++)
			{
				expect(group_of_moved(f, orders[i][n], f->peer, there,
									  TRUE) == group);
			}
			expect(group_of_new(f, OUT(3), there) == group);
			there->destroy(there);
			end(f);
		}
	}
}

/**
 * Peers that come where another one is by what we were told
 */
static void test_swap()
{
	fixture_t *f = begin();
	host_t *there;
	uint64_t first, second;

	there = host("192.0.2.101", 40000);
	first = group_of_new(f, IN(1), f->peer);
	second = group_of_new(f, IN(2), there);
	/* the NAT began anew: the first has the port that was the second's */
	expect(group_of_moved(f, IN(1), f->peer, there, TRUE) == first);
	expect(group_of_new(f, OUT(1), there) == first);
	expect(group_of_moved(f, IN(2), there, f->peer, TRUE) == second);
	expect(group_of_new(f, OUT(2), f->peer) == second);
	expect(group_of_new(f, IN(3), there) == first);
	/* out of the NAT, and without encapsulation from now on */
	expect(group_of_moved(f, IN(1), there, there, FALSE) == first);
	f->data.encap = FALSE;
	expect(group_of_new(f, IN(4), there) == first);
	there->destroy(there);
	end(f);
}

/**
 * Peers choose our outbound SPIs, and may choose the same
 */
static void test_equal_spis()
{
	fixture_t *f = begin();
	host_t *other, *port;
	kernel_ipsec_sa_id_t id;
	uint64_t bytes, ids[3];

	other = host("192.0.2.102", 4500);
	port = host("192.0.2.101", 40000);
	group_of_new(f, IN(1), f->peer);
	group_of_new(f, OUT(1), f->peer);
	ids[0] = recorder_number("sa", "id");
	group_of_new(f, OUT(1), other);
	ids[1] = recorder_number("sa", "id");
	group_of_new(f, OUT(1), port);
	ids[2] = recorder_number("sa", "id");
	expect(!add(f, OUT(1), port));
	sad->set_counters(sad, ids[0], 100, 1, 0);
	sad->set_counters(sad, ids[1], 200, 1, 0);
	sad->set_counters(sad, ids[2], 300, 1, 0);
	id = sa_id(f, OUT(1), f->peer);
	expect(sad->query(sad, &id, &bytes, NULL, NULL) && bytes == 100);
	id = sa_id(f, OUT(1), other);
	expect(sad->query(sad, &id, &bytes, NULL, NULL) && bytes == 200);
	id = sa_id(f, OUT(1), port);
	expect(sad->query(sad, &id, &bytes, NULL, NULL) && bytes == 300);

	/* none goes where another one is; what was not refused is still found */
	expect(move(f, OUT(1), port, f->peer, TRUE) == ALREADY_DONE);
	expect_told("");
	expect(move(f, IN(1), f->peer, other, TRUE) == SUCCESS);
	id = sa_id(f, IN(1), f->peer);
	expect(sad->query(sad, &id, &bytes, NULL, NULL));
	recorder_forget();

	/* deleting what never was there, or twice, harms nobody */
	delete(f, OUT(1), port);
	expect_told("sa-delete ");
	expect(recorder_number("sa", "id") == ids[2]);
	delete(f, OUT(1), port);
	expect_told("");
	delete(f, OUT(1), f->peer);
	expect(recorder_number("sa", "id") == ids[0]);
	id = sa_id(f, OUT(1), other);
	expect(sad->query(sad, &id, &bytes, NULL, NULL) && bytes == 200);
	other->destroy(other);
	port->destroy(port);
	end(f);
}

/**
 * A use of the fixture's outbound policy by an SA
 */
typedef struct {
	ipsec_sa_cfg_t cfg;
	kernel_ipsec_manage_policy_t manage;
	kernel_ipsec_policy_id_t id;
} use_t;

static use_t *use_of(fixture_t *f, use_t *use, uint32_t spi, host_t *peer)
{
	use->cfg = f->sa_cfg;
	use->cfg.esp.spi = htonl(spi);
	use->manage = f->manage;
	use->manage.src = f->us;
	use->manage.dst = peer;
	use->manage.sa = &use->cfg;
	use->id = fixture_policy(f, POLICY_OUT);
	return use;
}

static void add_use(use_t *use)
{
	spd->add(spd, &use->id, &use->manage);
}

static void delete_use(use_t *use)
{
	spd->delete(spd, &use->id, &use->manage);
}

static void test_policies()
{
	fixture_t *f = begin();
	host_t *other, *there;
	use_t a, b, rekeyed, trap;
	uint64_t first, second;
	char key[2][KERNEL_DVIPA_POLICY_KEY_LEN];

	other = host("192.0.2.102", 4500);
	there = host("192.0.2.101", 40000);
	use_of(f, &a, OUT(1), f->peer);
	/* the same SPI, even */
	use_of(f, &b, OUT(1), other);
	use_of(f, &rekeyed, OUT(2), there);
	use_of(f, &trap, 0, f->peer);
	trap.manage.prio = POLICY_PRIORITY_ROUTED;

	add_use(&trap);
	expect_told("policy-add ");
	expect(recorder_number("policy", "group") == 0);
	first = group_of_new(f, OUT(1), f->peer);
	add_use(&a);
	expect_told("policy-add ");
	expect(recorder_number("policy", "group") == first);
	strcpy(key[0], recorder_text("policy", "key"));
	expect(strstr(key[0], "out 203.0.113.10-203.0.113.10/0/0-65535 10.1.1.1-"));
	second = group_of_new(f, OUT(1), other);
	add_use(&b);
	expect_told("policy-add ");
	expect(recorder_number("policy", "group") == second);
	strcpy(key[1], recorder_text("policy", "key"));
	expect(!streq(key[0], key[1]));

	/* the first moves and is rekeyed: the same policy, another SA */
	group_of_moved(f, OUT(1), f->peer, there, TRUE);
	expect(group_of_new(f, OUT(2), there) == first);
	add_use(&rekeyed);
	expect_told("policy-add ");
	expect(recorder_number("policy", "group") == first);
	expect(streq(recorder_text("policy", "key"), key[0]));
	expect(streq(recorder_text("policy", "spi"), "e0000002"));
	/* charon names it by where its SA is now */
	a.manage.dst = there;
	delete_use(&a);
	expect_told("");
	delete_use(&a);
	expect_told("");

	/* SAs may go first */
	delete(f, OUT(2), there);
	delete(f, OUT(1), other);
	recorder_forget();
	delete_use(&b);
	expect_told("policy-delete ");
	expect(streq(recorder_text("policy", "key"), key[1]));
	delete_use(&b);
	expect_told("");
	delete_use(&rekeyed);
	expect_told("policy-delete ");
	expect(streq(recorder_text("policy", "key"), key[0]));
	delete_use(&trap);
	expect_told("policy-delete ");

	other->destroy(other);
	there->destroy(there);
	end(f);
}

/**
 * A use that never was, of a peer that looks like another one
 */
static void test_never_used()
{
	fixture_t *f = begin();
	host_t *other, *there;
	use_t a, b, in;
	uint64_t group;

	other = host("192.0.2.102", 4500);
	there = host("192.0.2.103", 4500);
	use_of(f, &a, OUT(1), f->peer);
	use_of(f, &b, OUT(1), other);
	group = group_of_new(f, OUT(1), f->peer);
	add_use(&a);
	expect_told("policy-add ");
	delete_use(&b);
	expect_told("");
	/* moved, its SA gone: found where it was not */
	group_of_moved(f, OUT(1), f->peer, there, TRUE);
	delete(f, OUT(1), there);
	recorder_forget();
	a.manage.dst = there;
	delete_use(&a);
	expect_told("policy-delete ");

	/* inbound policies too are those of a group */
	group = group_of_new(f, IN(1), f->peer);
	in = a;
	in.id = fixture_policy(f, POLICY_IN);
	in.cfg.esp.spi = htonl(IN(1));
	in.manage.src = f->peer;
	in.manage.dst = f->us;
	in.manage.sa = &in.cfg;
	add_use(&in);
	expect_told("policy-add ");
	expect(recorder_number("policy", "group") == group);
	/* what is forwarded out comes without a reqid */
	group_of_new(f, OUT(2), f->peer);
	use_of(f, &b, OUT(2), f->peer);
	b.id.dir = POLICY_FWD;
	b.cfg.reqid = 0;
	add_use(&b);
	expect_told("policy-add ");
	expect(recorder_number("policy", "group") == group);
	delete_use(&b);
	delete_use(&in);
	expect_told("policy-delete policy-delete ");
	other->destroy(other);
	there->destroy(there);
	end(f);
}

void test_groups()
{
	test_members();
	test_moves();
	test_swap();
	test_equal_spis();
	test_policies();
	test_never_used();
}
