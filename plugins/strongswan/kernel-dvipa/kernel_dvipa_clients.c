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

#include "kernel_dvipa_clients.h"

#include <collections/linked_list.h>
#include <threading/mutex.h>

#include <sys/socket.h>

/**
 * Events, each with a bit in a client's subscriptions; kernel_dvipa_subscribed_t
 * names some of them
 */
static const char *event_names[] = {
	"sa-add",
	"sa-update",
	"sa-delete",
	"policy-add",
	"policy-delete",
	"list-sa",
	"list-policy",
};

typedef struct private_kernel_dvipa_clients_t private_kernel_dvipa_clients_t;

/**
 * Private data of a kernel_dvipa_clients_t.
 */
struct private_kernel_dvipa_clients_t {

	/**
	 * Public interface.
	 */
	kernel_dvipa_clients_t public;

	/**
	 * Clients, as kernel_dvipa_connection_t
	 */
	linked_list_t *list;

	/**
	 * Lock for the list, for subscriptions, and for what waits to be sent
	 */
	mutex_t *mutex;
};

/**
 * Get the bit of an event, 0 if there is no such event
 */
static u_int get_bit(chunk_t event)
{
	u_int i;

	for (i = 0; i < countof(event_names); i++)
	{
		if (chunk_equals(event, chunk_create((u_char*)event_names[i],
											 strlen(event_names[i]))))
		{
			return 1 << i;
		}
	}
	return 0;
}

METHOD(kernel_dvipa_clients_t, add, bool,
	private_kernel_dvipa_clients_t *this, kernel_dvipa_connection_t *conn)
{
	bool added;

	this->mutex->lock(this->mutex);
	added = this->list->get_count(this->list) < KERNEL_DVIPA_MAX_CLIENTS;
	if (added)
	{
		this->list->insert_last(this->list, conn);
	}
	this->mutex->unlock(this->mutex);
	if (!added)
	{
		conn->destroy(conn);
	}
	return added;
}

METHOD(kernel_dvipa_clients_t, remove_, void,
	private_kernel_dvipa_clients_t *this, kernel_dvipa_connection_t *conn)
{
	this->mutex->lock(this->mutex);
	this->list->remove(this->list, conn, NULL);
	this->mutex->unlock(this->mutex);
	conn->destroy(conn);
}

METHOD(kernel_dvipa_clients_t, broadcast, void,
	private_kernel_dvipa_clients_t *this, const char *event, chunk_t packet)
{
	enumerator_t *enumerator;
	kernel_dvipa_connection_t *conn;
	u_int bit, bits;

	bit = get_bit(chunk_create((u_char*)event, strlen(event)));
	this->mutex->lock(this->mutex);
	enumerator = this->list->create_enumerator(this->list);
	while (enumerator->enumerate(enumerator, &conn))
	{
		bits = conn->get_subscriptions(conn);
		if (bits & bit && !conn->queue(conn, chunk_clone(packet), FALSE))
		{
			DBG1(DBG_KNL, "kernel-dvipa: a client does not take its events, "
				 "disconnected");
			conn->set_subscriptions(conn, 0);
			/* whoever polls sees that, and removes it */
			shutdown(conn->get_fd(conn), SHUT_RDWR);
		}
	}
	enumerator->destroy(enumerator);
	this->mutex->unlock(this->mutex);
}

METHOD(kernel_dvipa_clients_t, answer, void,
	private_kernel_dvipa_clients_t *this, kernel_dvipa_connection_t *conn,
	chunk_t packets)
{
	this->mutex->lock(this->mutex);
	conn->queue(conn, packets, TRUE);
	this->mutex->unlock(this->mutex);
}

METHOD(kernel_dvipa_clients_t, subscribe, bool,
	private_kernel_dvipa_clients_t *this, kernel_dvipa_connection_t *conn,
	chunk_t event, bool on)
{
	u_int bit, bits;

	bit = get_bit(event);
	this->mutex->lock(this->mutex);
	bits = conn->get_subscriptions(conn);
	conn->set_subscriptions(conn, on ? bits | bit : bits & ~bit);
	this->mutex->unlock(this->mutex);
	return bit != 0;
}

METHOD(kernel_dvipa_clients_t, send_, bool,
	private_kernel_dvipa_clients_t *this, kernel_dvipa_connection_t *conn)
{
	bool alive;

	this->mutex->lock(this->mutex);
	alive = conn->send(conn);
	this->mutex->unlock(this->mutex);
	return alive;
}

METHOD(kernel_dvipa_clients_t, count, u_int,
	private_kernel_dvipa_clients_t *this, kernel_dvipa_subscribed_t what)
{
	enumerator_t *enumerator;
	kernel_dvipa_connection_t *conn;
	u_int count = 0;

	this->mutex->lock(this->mutex);
	enumerator = this->list->create_enumerator(this->list);
	while (enumerator->enumerate(enumerator, &conn))
	{
		if ((conn->get_subscriptions(conn) & what) == what)
		{
			count++;
		}
	}
	enumerator->destroy(enumerator);
	this->mutex->unlock(this->mutex);
	return count;
}

METHOD(kernel_dvipa_clients_t, prepare_poll, u_int,
	private_kernel_dvipa_clients_t *this, struct pollfd *fds,
	kernel_dvipa_connection_t **conns)
{
	enumerator_t *enumerator;
	kernel_dvipa_connection_t *conn;
	u_int count = 0;

	this->mutex->lock(this->mutex);
	enumerator = this->list->create_enumerator(this->list);
	while (enumerator->enumerate(enumerator, &conn))
	{
		fds[count] = (struct pollfd){
			.fd = conn->get_fd(conn),
			.events = conn->get_events(conn),
		};
		conns[count++] = conn;
	}
	enumerator->destroy(enumerator);
	this->mutex->unlock(this->mutex);
	return count;
}

METHOD(kernel_dvipa_clients_t, destroy, void,
	private_kernel_dvipa_clients_t *this)
{
	this->list->destroy_offset(this->list,
							   offsetof(kernel_dvipa_connection_t, destroy));
	this->mutex->destroy(this->mutex);
	free(this);
}

/*
 * see header file
 */
kernel_dvipa_clients_t *kernel_dvipa_clients_create()
{
	private_kernel_dvipa_clients_t *this;

	INIT(this,
		.public = {
			.add = _add,
			.remove = _remove_,
			.broadcast = _broadcast,
			.answer = _answer,
			.subscribe = _subscribe,
			.send = _send_,
			.count = _count,
			.prepare_poll = _prepare_poll,
			.destroy = _destroy,
		},
		.list = linked_list_create(),
		.mutex = mutex_create(MUTEX_TYPE_DEFAULT),
	);
	return &this->public;
}
