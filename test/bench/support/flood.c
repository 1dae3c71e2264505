/*
 * A peer's load: seals inner TCP segments of one SA (AES-128-GCM, tunnel mode, ESP in UDP) and sends them, `segments` in one UDP_SEGMENT
 * message. Never more than `window` packets are on their way: what has come through is read from the counters of the
 * interface behind the last step, so nothing is lost for want of room; what is lost all the same is counted. Half a window is sealed before any of it is
 * sent, and then sent at once: so whoever is behind has work all the time until that is done, as if the load were more than it can take,
 * also where sealing it takes longer than what is measured.
 *
 *   flood to=A:PORT port=OWN source=A destination=A source-port=N destination-port=N payload=BYTES segments=N connections=N window=N
 *         seconds=S sequence=FIRST counters=FOLDER        key, salt and SPI in hex, a line each, on standard input
 *
 * With connections=N the source ports are the N from `source-port` on, by turns. Prints one JSON object.
 */
#define _GNU_SOURCE
#include "wire.h"

#include <netinet/udp.h>
#include <openssl/evp.h>
#include <sys/socket.h>

enum { SPI_SEQUENCE = 8, IV = 8, ICV = 16, SALT = 4, KEY = 16, STALL_S = 1 };

static EVP_CIPHER_CTX *cipher;
static uint8_t spi[4], salt[SALT];

static void read_hex(uint8_t *to, size_t length)
{
	char line[128];
	if (!fgets(line, sizeof line, stdin) || strspn(line, "0123456789abcdef") != 2 * length) {
		fprintf(stderr, "expected %zu bytes in hex\n", length);
		exit(2);
	}
	for (size_t i = 0; i < length; i++)
		sscanf(line + 2 * i, "%2hhx", to + i);
	explicit_bzero(line, sizeof line);
}

static void prepare_cipher(void)
{
	uint8_t key[KEY];
	read_hex(key, sizeof key);
	read_hex(salt, sizeof salt);
	read_hex(spi, sizeof spi);
	cipher = EVP_CIPHER_CTX_new();
	if (EVP_EncryptInit_ex(cipher, EVP_aes_128_gcm(), NULL, key, NULL) != 1)
		exit(1);
	explicit_bzero(key, sizeof key);
}

static size_t padded(size_t inner)
{
	return (inner + 2 + 3) & ~3UL;
}

static size_t esp_bytes(size_t inner)
{
	return SPI_SEQUENCE + IV + padded(inner) + ICV;
}

/* RFC 4303, RFC 4106: `plain` is the inner packet, with zeroed room for the trailer behind it. */
static void seal(uint8_t *esp, uint8_t *plain, size_t inner, uint32_t sequence)
{
	size_t length = padded(inner);
	uint8_t nonce[SALT + IV];
	int done;
	for (size_t i = inner; i < length - 2; i++)
		plain[i] = i - inner + 1;
	plain[length - 2] = length - inner - 2;
	plain[length - 1] = 4;
	memcpy(esp, spi, 4);
	put32(esp + 4, sequence);
	put32(esp + 8, 0);
	put32(esp + 12, sequence);
	memcpy(nonce, salt, SALT);
	memcpy(nonce + SALT, esp + SPI_SEQUENCE, IV);
	EVP_EncryptInit_ex(cipher, NULL, NULL, NULL, nonce);
	EVP_EncryptUpdate(cipher, NULL, &done, esp, SPI_SEQUENCE);
	EVP_EncryptUpdate(cipher, esp + SPI_SEQUENCE + IV, &done, plain, length);
	EVP_EncryptFinal_ex(cipher, esp + SPI_SEQUENCE + IV + done, &done);
	EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, ICV, esp + SPI_SEQUENCE + IV + length);
}

static int connected_socket(const char *to, int own_port, int segment)
{
	char address[64];
	snprintf(address, sizeof address, "%s", to);
	char *colon = strchr(address, ':');
	if (!colon)
		exit(2);
	*colon = 0;
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons(own_port) };
	struct sockaddr_in peer = { .sin_family = AF_INET, .sin_port = htons(atoi(colon + 1)) };
	inet_pton(AF_INET, address, &peer.sin_addr);
	int fd = socket(AF_INET, SOCK_DGRAM, 0), bytes = 8 << 20;
	if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own) || connect(fd, (struct sockaddr *)&peer, sizeof peer))
		fail("socket");
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
	if (segment > 0 && setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment))
		fail("UDP_SEGMENT");
	return fd;
}

int main(int argc, char **argv)
{
	(void)argc;
	size_t payload = atoi(option(argv, "payload")), inner = INNER_HEADERS + payload, esp = esp_bytes(inner);
	int segments = atoi(option(argv, "segments")), connections = atoi(option(argv, "connections"));
	uint32_t first = strtoul(option(argv, "sequence"), NULL, 10), sequence = first;
	double window = atof(option(argv, "window")), limit = atof(option(argv, "seconds"));
	struct flow flow = { 0 };
	inet_pton(AF_INET, option(argv, "source"), &flow.source);
	inet_pton(AF_INET, option(argv, "destination"), &flow.destination);
	flow.destination_port = atoi(option(argv, "destination-port"));
	int first_port = atoi(option(argv, "source-port"));
	if (segments < 1 || segments > MAX_SEGMENTS || segments * esp > 65000 || connections < 1)
		exit(2);
	prepare_cipher();
	int fd = connected_socket(option(argv, "to"), atoi(option(argv, "port")), segments > 1 ? esp : 0);
	int messages = window / 2 / segments > 1 ? window / 2 / segments : 1, burst = messages * segments, turn = 0;
	uint8_t *out = malloc(burst * esp), *plain = calloc(1, padded(inner));
	struct mmsghdr *message = calloc(messages, sizeof *message);
	struct iovec *part = calloc(messages, sizeof *part);
	for (int m = 0; m < messages; m++) {
		part[m] = (struct iovec){ out + m * segments * esp, segments * esp };
		message[m].msg_hdr = (struct msghdr){ .msg_iov = &part[m], .msg_iovlen = 1 };
	}
	uint32_t *position = calloc(connections, sizeof *position);
	struct arrivals through = watch_arrivals(option(argv, "counters"), INNER_HEADERS, payload);
	double sent = 0, came = 0, lost = 0, began = seconds(), moved = began, now;
	while ((now = seconds()) - began < limit) {
		for (int i = 0; i < burst; i++) {
			int connection = turn % connections;
			flow.source_port = first_port + connection;
			write_headers(plain, &flow, position[connection], position[connection] ? ACK : SYN, payload, false);
			position[connection] += payload;
			seal(out + i * esp, plain, inner, sequence++);
			turn += (i + 1) % segments == 0;
		}
		while (sent - lost - came + burst > window) {
			double seen = arrived(&through);
			now = seconds();
			if (seen > came)
				came = seen, moved = now;
			/* Nothing moves: what is on its way will never come. */
			if (now - moved > STALL_S)
				lost = sent - came, moved = now;
			if (sent - lost - came + burst > window)
				pause_us(30);
		}
		for (int done = 0; done < messages;) {
			int some = sendmmsg(fd, message + done, messages - done, 0);
			if (some < 0)
				fail("sendmmsg");
			done += some;
		}
		sent += burst;
	}
	double took = seconds() - began;
	/* What is queued somewhere still counts. */
	for (double end = seconds() + 2; seconds() < end && arrived(&through) < sent - lost - 0.5;)
		pause_us(1000);
	came = arrived(&through);
	printf("{\"sent\":%.0f,\"arrived\":%.0f,\"lost\":%.0f,\"seconds\":%.3f,\"next\":%u}\n", sent, came, sent - came, took,
	       sequence);
	return 0;
}
