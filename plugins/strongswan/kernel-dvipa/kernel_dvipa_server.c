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

#include "kernel_dvipa_server.h"
#include "kernel_dvipa_reader.h"
#include "kernel_dvipa_socket.h"

#include <collections/linked_list.h>
#include <threading/mutex.h>
#include <threading/thread.h>

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/**
 * How long not to accept clients after that failed, in ms
 */
#define ACCEPT_PAUSE 100

/**
 * Events, each with a bit in a connection's subscriptions
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

/**
 * Bits of some events
 */
enum {
	SUBSCRIBED_SA_ADD = 1 << 0,
	SUBSCRIBED_LISTS = 1 << 5 | 1 << 6,
};

typedef struct private_kernel_dvipa_server_t private_kernel_dvipa_server_t;

/**
 * Private data of a kernel_dvipa_server_t.
 */
struct private_kernel_dvipa_server_t {

	/**
	 * Public interface.
	 */
	kernel_dvipa_server_t public;

	/**
	 * Where to listen
	 */
	char *uri;

	/**
	 * What is served
	 */
	kernel_dvipa_handler_t handler;

	/**
	 * Listening socket
	 */
	int fd;

	/**
	 * eventfd that wakes the thread
	 */
	int wakeup;

	/**
	 * The thread. Only it accepts, reads, and destroys connections.
	 */
	thread_t *thread;

	/**
	 * The thread shall end
	 */
	bool stopped;

	/**
	 * Connections, as kernel_dvipa_connection_t
	 */
	linked_list_t *connections;

	/**
	 * Lock for the list, for what waits on connections, and for stopped
	 */
	mutex_t *mutex;

	/**
	 * Clients that had subscribed to SAs when the handler was told
	 */
	u_int agents;

	/**
	 * Clients can't be accepted for the moment
	 */
	bool paused;
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

/**
 * Wake the thread
 */
static void wake(private_kernel_dvipa_server_t *this)
{
	uint64_t one = 1;

	ignore_result(write(this->wakeup, &one, sizeof(one)));
}

METHOD(kernel_dvipa_server_t, broadcast, void,
	private_kernel_dvipa_server_t *this, const char *event, chunk_t packet)
{
	enumerator_t *enumerator;
	kernel_dvipa_connection_t *conn;
	u_int bit, bits;

	bit = get_bit(chunk_create((u_char*)event, strlen(event)));
	this->mutex->lock(this->mutex);
	enumerator = this->connections->create_enumerator(this->connections);
	while (enumerator->enumerate(enumerator, &conn))
	{
		bits = conn->get_subscriptions(conn);
		if (bits & bit && !conn->queue(conn, chunk_clone(packet), FALSE))
		{
			DBG1(DBG_KNL, "kernel-dvipa: a client does not take its events, "
				 "disconnected");
			conn->set_subscriptions(conn, 0);
			/* the thread destroys it when it sees that */
			shutdown(conn->get_fd(conn), SHUT_RDWR);
		}
	}
	enumerator->destroy(enumerator);
	this->mutex->unlock(this->mutex);
	wake(this);
}

/**
 * Tell the handler when the number of subscribed clients has changed
 */
static void count_agents(private_kernel_dvipa_server_t *this)
{
	enumerator_t *enumerator;
	kernel_dvipa_connection_t *conn;
	u_int count = 0;

	this->mutex->lock(this->mutex);
	enumerator = this->connections->create_enumerator(this->connections);
	while (enumerator->enumerate(enumerator, &conn))
	{
		if (conn->get_subscriptions(conn) & SUBSCRIBED_SA_ADD)
		{
			count++;
		}
	}
	enumerator->destroy(enumerator);
	this->mutex->unlock(this->mutex);
	if (count != this->agents)
	{
		this->agents = count;
		this->handler.agents(this->handler.user, count);
	}
}

/**
 * Let an answer wait to be sent
 */
static void answer(private_kernel_dvipa_server_t *this,
				   kernel_dvipa_connection_t *conn,
				   kernel_dvipa_writer_t *writer)
{
	chunk_t packets;

	packets = writer->extract(writer);
	writer->destroy(writer);
	this->mutex->lock(this->mutex);
	conn->queue(conn, packets, TRUE);
	this->mutex->unlock(this->mutex);
}

/**
 * Change a client's subscriptions
 */
static void subscribe(private_kernel_dvipa_server_t *this,
					  kernel_dvipa_connection_t *conn, chunk_t event, bool on)
{
	kernel_dvipa_writer_t *writer;
	u_int bit, bits;

	bit = get_bit(event);
	this->mutex->lock(this->mutex);
	bits = conn->get_subscriptions(conn);
	conn->set_subscriptions(conn, on ? bits | bit : bits & ~bit);
	this->mutex->unlock(this->mutex);

	writer = kernel_dvipa_writer_create();
	writer->begin_packet(writer, bit ? DVIPA_EVENT_CONFIRM :
									   DVIPA_EVENT_UNKNOWN, NULL);
	writer->end_packet(writer);
	answer(this, conn, writer);
}

/**
 * Run a client's command
 */
static bool run_command(private_kernel_dvipa_server_t *this,
						kernel_dvipa_connection_t *conn, chunk_t name,
						chunk_t message)
{
	kernel_dvipa_writer_t *writer;
	u_int lists;

	if (!kernel_dvipa_reader_valid(message))
	{
		DBG1(DBG_KNL, "kernel-dvipa: a client sends an invalid message, "
			 "disconnected");
		return FALSE;
	}
	lists = conn->get_subscriptions(conn) & SUBSCRIBED_LISTS;
	writer = kernel_dvipa_writer_create();
	this->handler.command(this->handler.user, name, message, writer,
						  lists == SUBSCRIBED_LISTS);
	answer(this, conn, writer);
	return TRUE;
}

CALLBACK(handle_packet, bool,
	private_kernel_dvipa_server_t *this, kernel_dvipa_connection_t *conn,
	chunk_t packet)
{
	kernel_dvipa_packet_t type = packet.ptr[0];
	chunk_t name;

	packet = chunk_skip(packet, 1);
	if (packet.len && packet.len - 1 >= packet.ptr[0])
	{
		name = chunk_create(packet.ptr + 1, packet.ptr[0]);
		packet = chunk_skip(packet, 1 + name.len);
		switch (type)
		{
			case DVIPA_CMD_REQUEST:
				return run_command(this, conn, name, packet);
			case DVIPA_EVENT_REGISTER:
			case DVIPA_EVENT_UNREGISTER:
				if (!packet.len)
				{
					subscribe(this, conn, name, type == DVIPA_EVENT_REGISTER);
					return TRUE;
				}
				break;
			default:
				break;
		}
	}
	DBG1(DBG_KNL, "kernel-dvipa: a client sends an invalid packet, "
		 "disconnected");
	return FALSE;
}

/**
 * Accept a client
 */
static void accept_client(private_kernel_dvipa_server_t *this)
{
	kernel_dvipa_connection_t *conn;
	int fd;

	fd = kernel_dvipa_socket_accept(this->fd);
	if (fd < 0)
	{	/* without file descriptors the socket stays readable */
		this->paused = errno != EAGAIN && errno != EINTR;
		return;
	}
	conn = kernel_dvipa_connection_create(fd);
	this->mutex->lock(this->mutex);
	if (this->connections->get_count(this->connections) <
		KERNEL_DVIPA_MAX_CLIENTS)
	{
		this->connections->insert_last(this->connections, conn);
		conn = NULL;
	}
	this->mutex->unlock(this->mutex);
	if (conn)
	{
		DBG1(DBG_KNL, "kernel-dvipa: more than %d clients, one turned away",
			 KERNEL_DVIPA_MAX_CLIENTS);
		conn->destroy(conn);
	}
}

/**
 * Serve a client. Returns FALSE if it is gone.
 */
static bool serve(private_kernel_dvipa_server_t *this,
				  kernel_dvipa_connection_t *conn, short revents)
{
	bool alive = TRUE;

	if (revents & POLLOUT)
	{
		this->mutex->lock(this->mutex);
		alive = conn->send(conn);
		this->mutex->unlock(this->mutex);
	}
	if (alive && revents & POLLIN)
	{	/* without the lock: it runs commands */
		return conn->receive(conn, (kernel_dvipa_packet_cb_t)handle_packet,
							 this);
	}
	return alive && !(revents & (POLLERR | POLLHUP | POLLNVAL));
}

/**
 * Fill in what to poll for. Returns the number of entries, the first two are
 * of the thread itself.
 */
static u_int prepare_poll(private_kernel_dvipa_server_t *this,
						  struct pollfd *fds, kernel_dvipa_connection_t **conns)
{
	enumerator_t *enumerator;
	kernel_dvipa_connection_t *conn;
	u_int count = 2;

	fds[0] = (struct pollfd){ .fd = this->wakeup, .events = POLLIN, };
	fds[1] = (struct pollfd){
		.fd = this->paused ? -1 : this->fd,
		.events = POLLIN,
	};
	enumerator = this->connections->create_enumerator(this->connections);
	while (enumerator->enumerate(enumerator, &conn))
	{
		fds[count] = (struct pollfd){
			.fd = conn->get_fd(conn),
			.events = conn->get_events(conn),
		};
		conns[count++] = conn;
	}
	enumerator->destroy(enumerator);
	return count;
}

/**
 * Run the server
 */
static void *run(private_kernel_dvipa_server_t *this)
{
	struct pollfd fds[2 + KERNEL_DVIPA_MAX_CLIENTS];
	kernel_dvipa_connection_t *conns[2 + KERNEL_DVIPA_MAX_CLIENTS];
	uint64_t wakeups;
	u_int count, i;

	thread_cancelability(FALSE);
	this->mutex->lock(this->mutex);
	while (!this->stopped)
	{
		count = prepare_poll(this, fds, conns);
		this->mutex->unlock(this->mutex);
		if (poll(fds, count, this->paused ? ACCEPT_PAUSE : -1) < 0)
		{	/* EINTR, or no memory for the moment */
			count = 0;
		}
		this->paused = FALSE;
		for (i = 2; i < count; i++)
		{
			if (fds[i].revents && !serve(this, conns[i], fds[i].revents))
			{
				this->mutex->lock(this->mutex);
				this->connections->remove(this->connections, conns[i], NULL);
				this->mutex->unlock(this->mutex);
				conns[i]->destroy(conns[i]);
			}
		}
		if (count && fds[0].revents)
		{
			ignore_result(read(this->wakeup, &wakeups, sizeof(wakeups)));
		}
		if (count && fds[1].revents)
		{
			accept_client(this);
		}
		count_agents(this);
		this->mutex->lock(this->mutex);
	}
	this->mutex->unlock(this->mutex);
	return NULL;
}

METHOD(kernel_dvipa_server_t, destroy, void,
	private_kernel_dvipa_server_t *this)
{
	if (this->thread)
	{
		this->mutex->lock(this->mutex);
		this->stopped = TRUE;
		this->mutex->unlock(this->mutex);
		wake(this);
		this->thread->join(this->thread);
	}
	this->connections->destroy_offset(this->connections,
							offsetof(kernel_dvipa_connection_t, destroy));
	if (this->wakeup >= 0)
	{
		close(this->wakeup);
	}
	if (this->fd >= 0)
	{
		kernel_dvipa_socket_close(this->fd, this->uri);
	}
	this->mutex->destroy(this->mutex);
	free(this->uri);
	free(this);
}

/*
 * see header file
 */
kernel_dvipa_server_t *kernel_dvipa_server_create(const char *uri,
											kernel_dvipa_handler_t *handler)
{
	private_kernel_dvipa_server_t *this;

	INIT(this,
		.public = {
			.broadcast = _broadcast,
			.destroy = _destroy,
		},
		.uri = strdup(uri),
		.handler = *handler,
		.fd = kernel_dvipa_socket_open(uri),
		.wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.connections = linked_list_create(),
		.mutex = mutex_create(MUTEX_TYPE_DEFAULT),
	);
	if (this->fd >= 0 && this->wakeup >= 0)
	{
		this->thread = thread_create((thread_main_t)run, this);
	}
	if (!this->thread)
	{
		destroy(this);
		return NULL;
	}
	return &this->public;
}
