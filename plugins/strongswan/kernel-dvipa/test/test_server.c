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

#include "../kernel_dvipa_server.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char uri[128];
static volatile u_int agents;

static void run_command(void *user, chunk_t command, chunk_t message,
						kernel_dvipa_writer_t *writer, bool listed)
{
	writer->begin_packet(writer, DVIPA_CMD_RESPONSE, NULL);
	writer->add_chunk(writer, "command", command);
	writer->end_packet(writer);
}

static void count_agents(void *user, u_int count)
{
	agents = count;
}

static int client()
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	strcpy(addr.sun_path, uri + strlen("unix://"));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect(connect(fd, (struct sockaddr*)&addr, sizeof(addr)) == 0);
	return fd;
}

static void send_bytes(int fd, chunk_t bytes)
{
	expect(send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL) == (ssize_t)bytes.len);
}

static void expect_bytes(int fd, chunk_t bytes)
{
	char buf[64];

	expect(recv(fd, buf, bytes.len, MSG_WAITALL) == (ssize_t)bytes.len);
	expect(memeq(buf, bytes.ptr, bytes.len));
}

static void wait_agents(u_int count)
{
	int i;

	for (i = 0; i < 2000 && agents != count; i++)
	{
		usleep(1000);
	}
	expect(agents == count);
}

static chunk_t subscribe = chunk_from_chars(0,0,0,8, 3, 6,'s','a','-','a','d','d');
static chunk_t confirmed = chunk_from_chars(0,0,0,1, 5);

static void test_conversation()
{
	int fd = client();
	size_t i;

	/* byte by byte */
	for (i = 0; i < subscribe.len; i++)
	{
		send_bytes(fd, chunk_create(subscribe.ptr + i, 1));
	}
	expect_bytes(fd, confirmed);
	wait_agents(1);
	/* two commands at once are answered in order */
	send_bytes(fd, chunk_from_chars(0,0,0,3, 0, 1,'x', 0,0,0,3, 0, 1,'y'));
	expect_bytes(fd, chunk_from_chars(
		0,0,0,13, 1, 3, 7,'c','o','m','m','a','n','d', 0,1,'x',
		0,0,0,13, 1, 3, 7,'c','o','m','m','a','n','d', 0,1,'y'));
	close(fd);
	wait_agents(0);
}

static void test_backlog(kernel_dvipa_server_t *server)
{
	struct pollfd pfd;
	chunk_t event;
	char buf[65536];
	size_t received = 0;
	ssize_t len;
	u_int i;
	int fd = client();

	send_bytes(fd, subscribe);
	expect_bytes(fd, confirmed);
	wait_agents(1);
	/* more than may wait, never taken: must not block, must end the client */
	event = chunk_alloc(60000);
	memset(event.ptr, 0xee, event.len);
	for (i = 0; i < 2 * KERNEL_DVIPA_MAX_BACKLOG / event.len; i++)
	{
		server->broadcast(server, "sa-add", event);
	}
	wait_agents(0);
	pfd = (struct pollfd){ .fd = fd, .events = POLLIN };
	while (poll(&pfd, 1, 5000) > 0)
	{
		len = recv(fd, buf, sizeof(buf), 0);
		if (len <= 0)
		{
			break;
		}
		received += len;
	}
	expect(received < 2 * KERNEL_DVIPA_MAX_BACKLOG);
	close(fd);
	/* what nobody subscribed to goes nowhere */
	server->broadcast(server, "sa-add", event);
	server->broadcast(server, "unheard-of", event);
	chunk_free(&event);
}

static void test_socket(kernel_dvipa_handler_t *handler)
{
	kernel_dvipa_server_t *server;
	struct stat st;
	char other[160], *path;
	FILE *file;

	expect(stat(uri + strlen("unix://"), &st) == 0);
	expect((st.st_mode & 0777) == 0600);
	expect(!kernel_dvipa_server_create("tcp://127.0.0.1:1", handler));
	expect(!kernel_dvipa_server_create("unix:///nowhere/at/all", handler));

	/* a file that is no socket stays */
	snprintf(other, sizeof(other), "%s.file", uri);
	path = other + strlen("unix://");
	file = fopen(path, "w");
	fclose(file);
	server = kernel_dvipa_server_create(other, handler);
	expect(!server);
	expect(stat(path, &st) == 0 && S_ISREG(st.st_mode));
	unlink(path);
}

void test_server()
{
	kernel_dvipa_handler_t handler = {
		.command = run_command,
		.agents = count_agents,
	};
	kernel_dvipa_server_t *server;
	struct stat st;

	snprintf(uri, sizeof(uri), "unix:///tmp/kernel-dvipa-test.%d", getpid());
	server = kernel_dvipa_server_create(uri, &handler);
	expect(server);
	test_conversation();
	test_backlog(server);
	test_socket(&handler);
	server->destroy(server);
	expect(stat(uri + strlen("unix://"), &st) < 0 && errno == ENOENT);
}
