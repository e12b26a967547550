/*
 * Datagrams: the ends and the yardstick of the UDP figures.
 *
 *   datagrams echo PORT                      send back what comes
 *   datagrams forward PORT TARGET            a plain forwarder, a socket for each visitor
 *   datagrams load PORT FLOWS EACH SIZE SECONDS
 *       closed loop: EACH datagrams of SIZE bytes outstanding in each of FLOWS;
 *       prints round trips, lost ones, seconds, and the 50th and 99th percentile
 *       of a round trip in microseconds
 *   datagrams rate PORT FLOWS PER_SECOND SIZE SECONDS
 *       open loop, the flows in turn; prints sent, answered, seconds
 *
 * All is on 127.0.0.1.  Each prints "ready" when it can be used, but for load and rate,
 * which print one line at their end.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST 65536
#define BATCH 64
#define EVENTS 256
#define SLOTS (1 << 16) /* of the table of visitors, and of the forwarder's sockets */

static char buffer[MOST];

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static struct sockaddr_in at(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int udp(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), room = 4 << 20;
    if (fd < 0)
        fail("socket");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    return fd;
}

static int listening(int port)
{
    struct sockaddr_in address = at(port);
    int fd = udp();
    if (bind(fd, (struct sockaddr *)&address, sizeof address))
        fail("bind");
    return fd;
}

static int connected(int port)
{
    struct sockaddr_in address = at(port);
    int fd = udp();
    if (connect(fd, (struct sockaddr *)&address, sizeof address))
        fail("connect");
    return fd;
}

static void watch(int epoll, int fd, uint64_t what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = what};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
        fail("epoll_ctl");
}

static void ready(void)
{
    puts("ready");
    fflush(stdout);
}

/* A service. */
static void echo(int port)
{
    int epoll = epoll_create1(0), fd = listening(port);
    struct epoll_event event;
    watch(epoll, fd, 0);
    ready();
    for (;;) {
        if (epoll_wait(epoll, &event, 1, -1) < 1)
            continue;
        for (;;) {
            struct sockaddr_in from;
            socklen_t size = sizeof from;
            ssize_t n = recvfrom(fd, buffer, MOST, 0, (struct sockaddr *)&from, &size);
            if (n < 0)
                break;
            sendto(fd, buffer, n, 0, (struct sockaddr *)&from, size);
        }
    }
}

/* A forwarder: who has which socket is found by the visitor's port. */
static int sockets[SLOTS];
static struct sockaddr_in visitors[SLOTS];

static void forward(int port, int target)
{
    int epoll = epoll_create1(0), fd = listening(port);
    struct epoll_event events[EVENTS];
    watch(epoll, fd, SLOTS);
    ready();
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            uint64_t who = events[i].data.u64;
            for (int left = BATCH; left; left--) {
                struct sockaddr_in from;
                socklen_t size = sizeof from;
                ssize_t n;
                if (who != SLOTS) {
                    n = recv(sockets[who], buffer, MOST, 0);
                    if (n < 0)
                        break;
                    sendto(fd, buffer, n, 0, (struct sockaddr *)&visitors[who], size);
                    continue;
                }
                n = recvfrom(fd, buffer, MOST, 0, (struct sockaddr *)&from, &size);
                if (n < 0)
                    break;
                int slot = ntohs(from.sin_port);
                if (!sockets[slot]) {
                    visitors[slot] = from;
                    sockets[slot] = connected(target);
                    watch(epoll, sockets[slot], slot);
                }
                send(sockets[slot], buffer, n, 0);
            }
        }
    }
}

static int ascending(const void *one, const void *other)
{
    float a = *(const float *)one, b = *(const float *)other;
    return (a > b) - (a < b);
}

/* Closed loop; a datagram begins with the time at which it left. */
static void load(int port, int flows, int each, int size, double seconds)
{
    enum { KEPT = 1 << 22 };
    float *took = malloc(KEPT * sizeof *took);
    int epoll = epoll_create1(0), *fds = malloc(flows * sizeof *fds);
    double *heard = malloc(flows * sizeof *heard);
    struct epoll_event events[EVENTS];
    long trips = 0, lost = 0;
    if (size < (int)sizeof(double))
        size = sizeof(double);
    double begun = now(), until = begun + seconds, looked = begun;
    for (int i = 0; i < flows; i++) {
        fds[i] = connected(port);
        heard[i] = begun;
        watch(epoll, fds[i], i);
        for (int k = 0; k < each; k++) {
            double t = now();
            memcpy(buffer, &t, sizeof t);
            if (send(fds[i], buffer, size, 0) < 0)
                lost++;
        }
    }
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, 100);
        double t = now();
        if (t >= until)
            break;
        for (int i = 0; i < count; i++) {
            int flow = events[i].data.u64;
            double left;
            heard[flow] = t;
            while (recv(fds[flow], buffer, MOST, 0) > 0) {
                memcpy(&left, buffer, sizeof left);
                t = now();
                if (trips < KEPT)
                    took[trips] = t - left;
                trips++;
                memcpy(buffer, &t, sizeof t);
                send(fds[flow], buffer, size, 0);
            }
        }
        if (t - looked < 0.1)
            continue;
        looked = t;
        for (int i = 0; i < flows; i++) /* what was lost is sent anew */
            if (t - heard[i] > 0.5) {
                heard[i] = t;
                lost += each;
                for (int k = 0; k < each; k++) {
                    memcpy(buffer, &t, sizeof t);
                    send(fds[i], buffer, size, 0);
                }
            }
    }
    double lasted = now() - begun;
    long kept = trips < KEPT ? trips : KEPT;
    qsort(took, kept, sizeof *took, ascending);
    printf("%ld %ld %.6f %.1f %.1f\n", trips, lost, lasted,
           kept ? took[kept / 2] * 1e6 : 0.0, kept ? took[kept * 99 / 100] * 1e6 : 0.0);
}

/* Open loop. */
static void rate(int port, int flows, double each, int size, double seconds)
{
    int epoll = epoll_create1(0), *fds = malloc(flows * sizeof *fds);
    struct epoll_event events[EVENTS];
    long sent = 0, answered = 0;
    for (int i = 0; i < flows; i++) {
        /* From many addresses: one has too few ports for all who may be there. */
        struct sockaddr_in from = at(0), to = at(port);
        from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + i % 100);
        fds[i] = udp();
        if (bind(fds[i], (struct sockaddr *)&from, sizeof from) ||
            connect(fds[i], (struct sockaddr *)&to, sizeof to))
            fail("a visitor's socket");
        watch(epoll, fds[i], i);
    }
    double begun = now(), last = begun + seconds;
    for (;;) {
        double t = now();
        long due = (t < last ? t - begun : seconds) * each;
        for (int left = BATCH; sent < due && left; left--)
            if (send(fds[sent % flows], buffer, size, 0) >= 0)
                sent++;
        int count = epoll_wait(epoll, events, EVENTS, sent < due ? 0 : 1);
        for (int i = 0; i < count; i++)
            while (recv(fds[events[i].data.u64], buffer, MOST, 0) >= 0)
                answered++;
        if (t > last + 1.0 || (t > last && sent >= due && answered >= sent))
            break;
    }
    printf("%ld %ld %.6f\n", sent, answered, now() - begun);
}

int main(int count, char **words)
{
    double v[6] = {0};
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    for (int i = 2; i < count && i < 8; i++)
        v[i - 2] = atof(words[i]);
    if (count == 3 && !strcmp(words[1], "echo"))
        echo(v[0]);
    else if (count == 4 && !strcmp(words[1], "forward"))
        forward(v[0], v[1]);
    else if (count == 7 && !strcmp(words[1], "load"))
        load(v[0], v[1], v[2], v[3], v[4]);
    else if (count == 7 && !strcmp(words[1], "rate"))
        rate(v[0], v[1], v[2], v[3], v[4]);
    else {
        fprintf(stderr, "what to do is in the first lines of datagrams.c\n");
        return 2;
    }
    return 0;
}
