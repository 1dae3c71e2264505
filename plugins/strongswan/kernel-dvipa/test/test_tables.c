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

#include "../kernel_dvipa_reader.h"
#include "../kernel_dvipa_sad.h"
#include "../kernel_dvipa_spd.h"

#include <threading/thread.h>

#include <unistd.h>

static kernel_dvipa_journal_t *journal;

static bool add(kernel_dvipa_sad_t *sad, fixture_t *f)
{
	return sad->add(sad, &f->id, &f->data,
					host_create_from_string("203.0.113.10", 0));
}

static void test_spi()
{
	kernel_dvipa_sad_t *sad;
	uint32_t spi, i;

	sad = kernel_dvipa_sad_create(journal, 0, 0);
	for (i = 0; i < 1000; i++)
	{
		expect(sad->get_spi(sad, &spi));
		expect(ntohl(spi) >= 0x100);
	}
	sad->destroy(sad);

	/* the owner's bits, and with them 0 still nothing reserved */
	sad = kernel_dvipa_sad_create(journal, 0xabc, 12);
	expect(sad->get_spi(sad, &spi));
	expect(ntohl(spi) >> 20 == 0xabc);
	sad->destroy(sad);
	sad = kernel_dvipa_sad_create(journal, 0, 16);
	for (i = 0; i < 5000; i++)
	{
		expect(sad->get_spi(sad, &spi));
		expect(ntohl(spi) >= 0x100 && ntohl(spi) < 0x10000);
	}
	sad->destroy(sad);
	expect_told("");
}

static void test_sad()
{
	kernel_dvipa_sad_t *sad;
	kernel_ipsec_update_sa_t update;
	uint64_t bytes, packets, id;
	uint32_t spi;
	fixture_t *f;
	host_t *dst;
	time_t used;
	bool encap;
	chunk_t section, value;

	f = fixture_create();
	journal->set_agents(journal, 1);
	sad = kernel_dvipa_sad_create(journal, 0, 0);
	sad->delete(sad, &f->id);
	expect_told("");
	expect(add(sad, f));
	expect_told("sa-add ");
	id = recorder_number("sa", "id");
	expect(kernel_dvipa_reader_get(recorder_last(), DVIPA_SECTION_START, "sa", &section));
	expect(kernel_dvipa_reader_get(section, DVIPA_KEY_VALUE, "encr-key",
								   &value));
	expect(chunk_equals(value, f->data.enc_key));
	expect(!add(sad, f));
	expect_told("");

	/* an SPI of ours is that of one SA, wherever its peer is */
	host_t *port = f->peer->clone(f->peer);
	port->set_port(port, 5555);
	f->id.src = port;
	expect(!add(sad, f));
	expect_told("");
	f->id.src = f->peer;

	/* never used, then used, never downwards; unknown ids do no harm */
	expect(sad->query(sad, &f->id, &bytes, &packets, &used));
	expect(bytes == 0 && packets == 0 && used == 0);
	sad->set_counters(sad, id, 0, 0, 5);
	expect(sad->query(sad, &f->id, &bytes, &packets, &used) && used == 0);
	sad->set_counters(sad, id, 1000, 10, 0);
	sad->set_counters(sad, id, 900, 9, 1000000000);
	sad->set_counters(sad, id + 999, 1, 1, 1);
	expect(sad->query(sad, &f->id, &bytes, &packets, &used));
	expect(bytes == 1000 && packets == 10);
	expect(used > time_monotonic(NULL) - 3 && used <= time_monotonic(NULL));
	expect(sad->get_use_time(sad, 1, TRUE) == used);
	expect(sad->get_use_time(sad, 1, FALSE) == 0);
	/* nobody there: it may be in use */
	used = time_monotonic(NULL);
	journal->set_agents(journal, 0);
	expect(sad->get_use_time(sad, 1, TRUE) >= used);

	/* moved: found by its new addresses, keys are not told again */
	update = (kernel_ipsec_update_sa_t){
		.new_src = port,
		.new_dst = f->us,
		.encap = TRUE,
		.new_encap = TRUE,
	};
	expect(sad->update(sad, &f->id, &update) == SUCCESS);
	expect_told("sa-update ");
	expect(recorder_number("sa", "sport") == 5555);
	expect(kernel_dvipa_reader_get(recorder_last(), DVIPA_SECTION_START, "sa", &section));
	expect(!kernel_dvipa_reader_get(section, DVIPA_KEY_VALUE, "encr-key",
									&value));
	expect(sad->put_state(sad, id, chunk_from_str("state")));
	expect(!sad->put_state(sad, id + 999, chunk_from_str("state")));
	expect(sad->get_name(sad, id, &spi, &dst, &encap) && encap);
	expect(spi == f->id.spi && dst->equals(dst, f->us));
	dst->destroy(dst);

	f->id.spi++;
	expect(!sad->query(sad, &f->id, NULL, NULL, NULL));
	expect(sad->update(sad, &f->id, &update) == NOT_FOUND);
	expect(add(sad, f));
	sad->flush(sad);
	sad->flush(sad);
	expect_told("sa-add sa-delete sa-delete ");
	sad->destroy(sad);
	port->destroy(port);
	fixture_destroy(f);
}

static void count_expire(void *user, uint32_t spi, host_t *dst, bool hard)
{
	u_int *counts = user;

	expect(spi && dst);
	counts[hard]++;
}

static void test_expires()
{
	kernel_dvipa_sad_t *sad;
	fixture_t *f;
	uint64_t now, next;
	u_int counts[2] = {};

	f = fixture_create();
	f->lifetime.time.rekey = 10;
	f->lifetime.time.life = 20;
	sad = kernel_dvipa_sad_create(journal, 0, 0);
	expect(sad->run_expires(sad, 0, count_expire, counts) == 0);
	expect(add(sad, f));
	now = kernel_dvipa_now_ms();
	next = sad->run_expires(sad, now, count_expire, counts);
	expect(next > now + 9000 && next <= now + 10000);
	expect(!counts[0] && !counts[1]);
	next = sad->run_expires(sad, next, count_expire, counts);
	expect(counts[0] == 1 && !counts[1]);
	/* each once */
	expect(sad->run_expires(sad, next - 1, count_expire, counts) == next);
	expect(counts[0] == 1 && !counts[1]);
	expect(sad->run_expires(sad, next, count_expire, counts) == 0);
	expect(counts[0] == 1 && counts[1] == 1);
	/* gone with the SA */
	expect(sad->delete(sad, &f->id));
	expect(!sad->delete(sad, &f->id));
	expect(add(sad, f));
	sad->delete(sad, &f->id);
	expect(sad->run_expires(sad, next * 2, count_expire, counts) == 0);
	expect(counts[0] == 1 && counts[1] == 1);
	sad->destroy(sad);
	fixture_destroy(f);
	recorder_forget();
}

static void test_spd()
{
	kernel_dvipa_sad_t *sad;
	kernel_dvipa_spd_t *spd;
	kernel_ipsec_policy_id_t id;
	kernel_ipsec_manage_policy_t trap;
	ipsec_sa_cfg_t new_cfg, no_cfg = { .mode = MODE_TUNNEL, .reqid = 1, };
	kernel_ipsec_manage_policy_t new_use;
	uint64_t first;
	uint32_t reqid;
	fixture_t *f;

	f = fixture_create();
	fixture_outbound(f);
	id = fixture_policy(f, POLICY_OUT);
	new_cfg = f->sa_cfg;
	new_cfg.esp.spi++;
	new_use = f->manage;
	new_use.sa = &new_cfg;
	trap = f->manage;
	trap.sa = &no_cfg;
	trap.prio = POLICY_PRIORITY_ROUTED;

	sad = kernel_dvipa_sad_create(journal, 0, 0);
	spd = kernel_dvipa_spd_create(journal, sad);
	expect(!spd->delete(spd, &id, &f->manage));
	expect(!spd->get_reqid(spd, &id, &reqid));
	expect_told("");

	/* a trap, a tunnel over it, a rekeying of that, back to the trap */
	spd->add(spd, &id, &trap);
	expect_told("policy-add ");
	spd->add(spd, &id, &f->manage);
	expect_told("policy-add ");
	first = recorder_number("policy", "id");
	spd->add(spd, &id, &trap);
	spd->delete(spd, &id, &trap);
	expect_told("");
	spd->add(spd, &id, &new_use);
	expect_told("policy-add ");
	expect(recorder_number("policy", "id") > first);
	expect(spd->delete(spd, &id, &f->manage));
	expect(!spd->delete(spd, &id, &f->manage));
	expect_told("");
	expect(spd->get_reqid(spd, &id, &reqid) && reqid == 1);
	spd->delete(spd, &id, &new_use);
	expect_told("policy-add ");
	spd->delete(spd, &id, &trap);
	expect_told("policy-delete ");

	/* the new one fails: back to the old */
	spd->add(spd, &id, &f->manage);
	spd->add(spd, &id, &new_use);
	spd->delete(spd, &id, &new_use);
	expect_told("policy-add policy-add policy-add ");
	spd->flush(spd);
	expect_told("policy-delete ");
	spd->add(spd, &id, &f->manage);
	spd->destroy(spd);
	sad->destroy(sad);
	fixture_destroy(f);
	recorder_forget();
}

/**
 * What charon does when a peer moves and another backend wants its policies
 * updated
 */
static void test_move()
{
	kernel_dvipa_sad_t *sad;
	kernel_dvipa_spd_t *spd;
	kernel_ipsec_policy_id_t id;
	kernel_ipsec_manage_policy_t moved, other;
	ipsec_sa_cfg_t other_cfg;
	uint32_t reqid;
	fixture_t *f;

	f = fixture_create();
	fixture_outbound(f);
	id = fixture_policy(f, POLICY_OUT);
	moved = other = f->manage;
	moved.dst = host_create_from_string("192.0.2.102", 0);
	other_cfg = f->sa_cfg;
	other_cfg.esp.spi++;
	other.sa = &other_cfg;

	sad = kernel_dvipa_sad_create(journal, 0, 0);
	spd = kernel_dvipa_spd_create(journal, sad);
	/* without a policy it is nothing */
	spd->hold(spd, &id);
	spd->release(spd, &id);
	spd->add(spd, &id, &f->manage);
	expect_told("policy-add ");

	/* deleted and added again, the same policy is there all the time */
	spd->hold(spd, &id);
	expect(spd->delete(spd, &id, &f->manage));
	expect(spd->get_reqid(spd, &id, &reqid));
	spd->add(spd, &id, &moved);
	spd->release(spd, &id);
	expect_told("");
	expect(spd->get_reqid(spd, &id, &reqid));

	/* two move at once, one of them does not come back */
	spd->add(spd, &id, &other);
	expect_told("policy-add ");
	spd->hold(spd, &id);
	spd->hold(spd, &id);
	expect(spd->delete(spd, &id, &other));
	expect(spd->delete(spd, &id, &moved));
	spd->add(spd, &id, &f->manage);
	spd->release(spd, &id);
	expect_told("");
	spd->release(spd, &id);
	expect_told("policy-add ");
	expect(spd->delete(spd, &id, &f->manage));
	expect_told("policy-delete ");

	/* what was to move goes, with its policy */
	spd->add(spd, &id, &f->manage);
	spd->hold(spd, &id);
	expect(spd->delete(spd, &id, &f->manage));
	expect_told("policy-add ");
	spd->release(spd, &id);
	expect_told("policy-delete ");
	expect(!spd->get_reqid(spd, &id, &reqid));
	spd->release(spd, &id);
	expect_told("");

	moved.dst->destroy(moved.dst);
	spd->destroy(spd);
	sad->destroy(sad);
	fixture_destroy(f);
	recorder_forget();
}

static void *acknowledge(uintptr_t id)
{
	usleep(20000);
	journal->ack(journal, id - 1);
	journal->ack(journal, id);
	return NULL;
}

static void *leave(void *unused)
{
	usleep(20000);
	journal->set_agents(journal, 0);
	return NULL;
}

static void *wait_for(uintptr_t id)
{
	u_int missing;

	journal->lock(journal);
	journal->owe(journal, id);
	missing = journal->settle(journal);
	journal->unlock(journal);
	return (void*)(uintptr_t)!missing;
}

static void *owe(uintptr_t id)
{
	journal->lock(journal);
	journal->owe(journal, id);
	journal->unlock(journal);
	return NULL;
}

/**
 * What charon installs before it answers is waited for once, by the thread
 * that installed it
 */
static void test_owing()
{
	kernel_dvipa_journal_t *old = journal;
	thread_t *thread;
	uint64_t start;

	journal = kernel_dvipa_journal_create(100, 2);
	journal->set_agents(journal, 1);
	start = kernel_dvipa_now_ms();
	owe(1);
	owe(2);
	expect(kernel_dvipa_now_ms() - start < 50);
	thread = thread_create((void*)owe, (void*)3);
	thread->join(thread);
	journal->ack(journal, 2);
	journal->lock(journal);
	expect(journal->settle(journal) == 1);
	expect(kernel_dvipa_now_ms() - start >= 100);
	/* nothing is owed any more, what another thread owes is not ours */
	start = kernel_dvipa_now_ms();
	expect(journal->settle(journal) == 0);
	expect(kernel_dvipa_now_ms() - start < 50);
	/* acknowledged before it is waited for */
	journal->owe(journal, 4);
	journal->unlock(journal);
	journal->ack(journal, 4);
	expect(wait_for(5) == NULL);
	journal->destroy(journal);
	journal = old;
}

/**
 * A new CHILD_SA waits at its outbound policy, the successor of one at its
 * inbound policy already
 */
static void test_waits()
{
	kernel_dvipa_journal_t *old = journal;
	kernel_ipsec_policy_id_t in, out;
	kernel_ipsec_manage_policy_t from_peer, to_peer;
	kernel_ipsec_sa_id_t back;
	kernel_ipsec_add_sa_t back_data;
	kernel_dvipa_sad_t *sad;
	kernel_dvipa_spd_t *spd;
	ipsec_sa_cfg_t back_cfg;
	uint64_t start;
	fixture_t *f;

	f = fixture_create();
	in = fixture_policy(f, POLICY_IN);
	out = fixture_policy(f, POLICY_OUT);
	from_peer = to_peer = f->manage;
	back_cfg = f->sa_cfg;
	back_cfg.esp.spi = htonl(0xc0000002);
	to_peer.src = f->us;
	to_peer.dst = f->peer;
	to_peer.sa = &back_cfg;
	back = f->id;
	back.src = f->us;
	back.dst = f->peer;
	back.spi = back_cfg.esp.spi;
	back_data = f->data;
	back_data.inbound = FALSE;
	back_data.src_ts = f->our_list;
	back_data.dst_ts = f->peer_list;

	journal = kernel_dvipa_journal_create(100, 2);
	journal->set_agents(journal, 1);
	sad = kernel_dvipa_sad_create(journal, 0, 0);
	spd = kernel_dvipa_spd_create(journal, sad);

	start = kernel_dvipa_now_ms();
	expect(sad->add(sad, &f->id, &f->data, f->dvipa->clone(f->dvipa)));
	expect(sad->add(sad, &back, &back_data, f->dvipa->clone(f->dvipa)));
	spd->add(spd, &in, &from_peer);
	expect(kernel_dvipa_now_ms() - start < 50);
	spd->add(spd, &out, &to_peer);
	expect(kernel_dvipa_now_ms() - start >= 100);
	expect(kernel_dvipa_now_ms() - start < 190);

	/* rekeyed: the switch may come much later */
	f->id.spi = f->sa_cfg.esp.spi = htonl(0xc0000003);
	start = kernel_dvipa_now_ms();
	expect(sad->add(sad, &f->id, &f->data, f->dvipa->clone(f->dvipa)));
	spd->add(spd, &in, &from_peer);
	expect(kernel_dvipa_now_ms() - start >= 100);

	spd->destroy(spd);
	sad->destroy(sad);
	journal->destroy(journal);
	journal = old;
	fixture_destroy(f);
}

static void test_barrier()
{
	kernel_dvipa_journal_t *old = journal;
	thread_t *thread;
	uint64_t start;

	/* nobody there: no wait; a silent agent: all of it */
	journal = kernel_dvipa_journal_create(100, 2);
	start = kernel_dvipa_now_ms();
	expect(wait_for(7));
	expect(kernel_dvipa_now_ms() - start < 50);
	journal->set_agents(journal, 1);
	expect(!wait_for(7));
	expect(kernel_dvipa_now_ms() - start >= 100);
	journal->destroy(journal);

	journal = kernel_dvipa_journal_create(5000, 1);
	journal->set_agents(journal, 1);
	thread = thread_create((void*)acknowledge, (void*)7);
	expect(wait_for(7));
	thread->join(thread);
	thread = thread_create(leave, NULL);
	expect(!wait_for(7));
	thread->join(thread);
	/* too many: the second does not wait, as the first can't be done yet */
	journal->set_agents(journal, 1);
	thread = thread_create((void*)wait_for, (void*)8);
	usleep(50000);
	start = kernel_dvipa_now_ms();
	expect(!wait_for(9));
	expect(kernel_dvipa_now_ms() - start < 1000);
	journal->ack(journal, 8);
	expect(thread->join(thread));
	journal->destroy(journal);

	/* not wanted */
	journal = kernel_dvipa_journal_create(0, 4);
	journal->set_agents(journal, 1);
	expect(wait_for(7));
	journal->destroy(journal);
	journal = old;
}

void test_tables()
{
	journal = kernel_dvipa_journal_create(0, 0);
	expect(journal && strlen(journal->get_instance(journal)) == 16);
	journal->set_sink(journal, recorder_sink, NULL);
	test_spi();
	test_sad();
	test_expires();
	test_spd();
	test_move();
	test_barrier();
	test_owing();
	test_waits();
	recorder_forget();
	journal->destroy(journal);
}
