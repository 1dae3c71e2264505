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
#include "kernel_dvipa_clients.h"
#include "kernel_dvipa_reader.h"
#include "kernel_dvipa_socket.h"

#include <threading/thread.h>

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

/**
 * How long not to accept clients after that failed, in ms
 */
#define ACCEPT_PAUSE 100

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
	 * The thread
	 */
	thread_t *thread;

	/**
	 * The thread shall end
	 */
	refcount_t stopped;

	/**
	 * Clients
	 */
	kernel_dvipa_clients_t *clients;

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
	this->clients->broadcast(this->clients, event, packet);
	wake(this);
}

/**
 * Tell the handler when the number of agents has changed
 */
static void count_agents(private_kernel_dvipa_server_t *this)
{
	u_int count;

	count = this->clients->count(this->clients, DVIPA_SUBSCRIBED_SAS);
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
	this->clients->answer(this->clients, conn, writer->extract(writer));
	writer->destroy(writer);
}

/**
 * Change a client's subscriptions
 */
static void subscribe(private_kernel_dvipa_server_t *this,
					  kernel_dvipa_connection_t *conn, chunk_t event, bool on)
{
	kernel_dvipa_writer_t *writer;
	bool known;

	known = this->clients->subscribe(this->clients, conn, event, on);
	writer = kernel_dvipa_writer_create();
	writer->begin_packet(writer, known ? DVIPA_EVENT_CONFIRM :
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
	lists = conn->get_subscriptions(conn) & DVIPA_SUBSCRIBED_LISTS;
	writer = kernel_dvipa_writer_create();
	this->handler.command(this->handler.user, name, message, writer,
						  lists == DVIPA_SUBSCRIBED_LISTS);
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
	int fd;

	fd = kernel_dvipa_socket_accept(this->fd);
	if (fd < 0)
	{	/* without file descriptors the socket stays readable */
		this->paused = errno != EAGAIN && errno != EINTR;
		return;
	}
	if (!this->clients->add(this->clients, kernel_dvipa_connection_create(fd)))
	{
		DBG1(DBG_KNL, "kernel-dvipa: more than %d clients, one turned away",
			 KERNEL_DVIPA_MAX_CLIENTS);
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
		alive = this->clients->send(this->clients, conn);
	}
	if (alive && revents & POLLIN)
	{
		return conn->receive(conn, (kernel_dvipa_packet_cb_t)handle_packet,
							 this);
	}
	return alive && !(revents & (POLLERR | POLLHUP | POLLNVAL));
}

/**
 * Run the server
 */
static void *run(private_kernel_dvipa_server_t *this)
{
	struct pollfd fds[KERNEL_DVIPA_MAX_CLIENTS + 2], *own;
	kernel_dvipa_connection_t *conns[KERNEL_DVIPA_MAX_CLIENTS];
	uint64_t wakeups;
	u_int count, i;

	thread_cancelability(FALSE);
	while (!ref_cur(&this->stopped))
	{
		count = this->clients->prepare_poll(this->clients, fds, conns);
		own = fds + count;
		own[0] = (struct pollfd){ .fd = this->wakeup, .events = POLLIN, };
		own[1] = (struct pollfd){
			.fd = this->paused ? -1 : this->fd,
			.events = POLLIN,
		};
		if (poll(fds, count + 2, this->paused ? ACCEPT_PAUSE : -1) < 0)
		{	/* a signal, or no memory for the moment */
			usleep(errno == EINTR ? 0 : ACCEPT_PAUSE * 1000);
			continue;
		}
		this->paused = FALSE;
		if (own[0].revents)
		{
			ignore_result(read(this->wakeup, &wakeups, sizeof(wakeups)));
		}
		for (i = 0; i < count; i++)
		{
			if (fds[i].revents && !serve(this, conns[i], fds[i].revents))
			{
				this->clients->remove(this->clients, conns[i]);
			}
		}
		if (own[1].revents)
		{
			accept_client(this);
		}
		count_agents(this);
	}
	return NULL;
}

METHOD(kernel_dvipa_server_t, destroy, void,
	private_kernel_dvipa_server_t *this)
{
	if (this->thread)
	{
		ref_get(&this->stopped);
		wake(this);
		this->thread->join(this->thread);
	}
	this->clients->destroy(this->clients);
	if (this->wakeup >= 0)
	{
		close(this->wakeup);
	}
	if (this->fd >= 0)
	{
		kernel_dvipa_socket_close(this->fd, this->uri);
	}
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
		.clients = kernel_dvipa_clients_create(),
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
