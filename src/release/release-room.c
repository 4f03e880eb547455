/* release-room.c - the room's life cycle: opening over a data folder, finding again what ran on, the worker thread, closing without stopping it. */
#include "base/base.h"

#include "base/fs.h"
#include "base/limits.h"
#include "base/log.h"
#include "release/room.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- looking up; the lock is held --- */

struct service *room_service(struct release_room *room, str id)
{
	for (size_t i = 0; i < room->services.n; i++)
		if (str_eqz(id, room->services.v[i]->id))
			return room->services.v[i];
	return NULL;
}

struct release *room_release(struct release_room *room, str id)
{
	for (size_t i = 0; id.len && i < room->releases.n; i++)
		if (str_eqz(id, room->releases.v[i]->id))
			return room->releases.v[i];
	return NULL;
}

struct release *room_active(struct release_room *room, const struct service *s)
{
	struct release *best = NULL;

	for (size_t i = 0; i < room->releases.n; i++) {
		struct release *r = room->releases.v[i];

		/* One that has begun rules over one that waits behind it. */
		if (r->service == s && !rollout_over(r->ro.state) && (!best || best->ro.state == ROLLOUT_QUEUED))
			best = r;
	}
	return best;
}

void room_kick(struct release_room *room)
{
	pthread_mutex_lock(&room->kick_lock);
	room->kicked = true;
	pthread_cond_signal(&room->kick);
	pthread_mutex_unlock(&room->kick_lock);
}

void room_url(const struct release_room *room, const struct traffic_route *route, char *out, size_t size)
{
	if (route->port)
		snprintf(out, size, "http://%s:%u/", room->bind, route->port);
	else
		snprintf(out, size, "http://%s:%u/", route->host, room->http_port);
}

void room_version(const struct release *r, char out[16])
{
	snprintf(out, 16, "%.12s", r->digest);
}

/* --- ports that stay the same over restarts --- */

static int free_port(const char *bind_to, uint16_t *ret, struct err *reterr)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t          len = sizeof(sa);
	int CLEANUP_FD     fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (inet_pton(AF_INET, bind_to, &sa.sin_addr) != 1)
		sa.sin_addr.s_addr = htonl(INADDR_ANY);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) || getsockname(fd, (struct sockaddr *)&sa, &len))
		return err_errno(reterr, errno, "a free port on %s", bind_to);
	*ret = ntohs(sa.sin_port);
	return 0;
}

static int choose_ports(struct release_room *room, struct err *reterr)
{
	struct buf CLEANUP_BUF text = BUF_INIT(256);
	char     path[PATH_MAX], line[64];
	uint64_t http = 0, evidence = 0;
	str      a, b;
	int      rc;

	snprintf(path, sizeof(path), "%s/haproxy", room->data_dir);
	if ((rc = fs_mkdirs(path, 0700, reterr)))
		return rc;
	snprintf(path, sizeof(path), "%s/haproxy/ports", room->data_dir);
	if (fs_read(path, &text, NULL) == 0) {
		str_cut(str_trim(buf_str(&text)), ' ', &a, &b);
		if (!str_to_u64(a, &http) || !str_to_u64(b, &evidence) || http > 65535 || evidence > 65535)
			return err_set(reterr, WEIR_EPARSE, "%s must hold two port numbers", path);
	}
	room->http_port = room->cfg.http_port ? room->cfg.http_port : (uint16_t)http;
	room->evidence_port = (uint16_t)evidence;
	if ((!room->http_port && (rc = free_port(room->bind, &room->http_port, reterr)))
	    || (!room->evidence_port && (rc = free_port("127.0.0.1", &room->evidence_port, reterr))))
		return rc;
	snprintf(line, sizeof(line), "%u %u\n", room->http_port, room->evidence_port);
	return fs_write_atomic(path, str_z(line), 0600, reterr);
}

/* --- opening --- */

static void room_free(struct release_room *room)
{
	room->evidence = evidence_free(room->evidence);
	for (size_t i = 0; i < room->releases.n; i++)
		release_free(room->releases.v[i]);
	for (size_t i = 0; i < room->services.n; i++)
		free(room->services.v[i]);
	for (size_t i = 0; i < room->instances.n; i++)
		free(room->instances.v[i]);
	VEC_FINI(&room->releases);
	VEC_FINI(&room->services);
	VEC_FINI(&room->instances);
	room->proxy = traffic_haproxy_free(room->proxy);
	room->procs = workload_process_free(room->procs);
	pthread_mutex_destroy(&room->lock);
	pthread_mutex_destroy(&room->kick_lock);
	pthread_cond_destroy(&room->kick);
	pthread_cond_destroy(&room->obeyed);
	pthread_cond_destroy(&room->tidy);
	free(room);
}

static int check_config(struct release_room *room, struct err *reterr)
{
	struct release_config *c = &room->cfg;

	if (!c->data_dir || c->data_dir[0] != '/' || strlen(c->data_dir) >= sizeof(room->data_dir))
		return err_set(reterr, WEIR_EINVAL, "the data folder must be an absolute path of at most %zu bytes", sizeof(room->data_dir) - 1);
	snprintf(room->data_dir, sizeof(room->data_dir), "%s", c->data_dir);
	snprintf(room->bind, sizeof(room->bind), "%s", c->bind && *c->bind ? c->bind : "127.0.0.1");
	if (!c->port_first)
		c->port_first = 20000, c->port_last = 29999;
	if (c->port_last < c->port_first)
		return err_set(reterr, WEIR_EINVAL, "the range of ports for instances, %u to %u, is empty", c->port_first, c->port_last);
	if (!c->slots)
		c->slots = 200;
	if (!c->keep_versions)
		c->keep_versions = 10;
	if (!c->keep_logs_days)
		c->keep_logs_days = 30;
	if (!c->keep_logs_bytes)
		c->keep_logs_bytes = LIMIT_ENDED_LOGS_BYTES;
	if (!c->clock)
		c->clock = &clock_real;
	return 0;
}

static int open_parts(struct release_room *room, struct err *reterr)
{
	const char *const *guard = room->cfg.guard_argv;
	int                rc;

	if (!guard) {
		if ((rc = fs_self_exe(room->self, sizeof(room->self), reterr)))
			return rc;
		room->guard_argv[0] = room->self;
		room->guard_argv[1] = "guard-service";
		guard = room->guard_argv;
	}
	if ((rc = db_migrate(room->db, "release", release_migrations, release_n_migrations, reterr)) || (rc = artifact_open(room->data_dir, reterr))
	    || (rc = workload_process_new(room->data_dir, guard, &room->procs, reterr)))
		return rc;
	room->work = workload_process_ops(room->procs);
	return store_load(room, reterr);
}

int release_open(const struct release_config *cfg, struct release_room **ret, struct err *reterr)
{
	struct release_room *room = calloc(1, sizeof(*room));
	int                  rc;

	if (!room)
		return err_set(reterr, WEIR_ENOMEM, "releases");
	room->cfg = *cfg;
	room->db = cfg->db;
	pthread_mutex_init(&room->lock, NULL);
	pthread_mutex_init(&room->kick_lock, NULL);
	pthread_cond_init(&room->kick, NULL);
	pthread_cond_init(&room->obeyed, NULL);
	pthread_cond_init(&room->tidy, NULL);
	if ((rc = check_config(room, reterr)) || (rc = open_parts(room, reterr))) {
		room_free(room);
		return err_wrap(reterr, "releases");
	}
	*ret = room;
	return 0;
}

/* --- starting --- */

static void on_bad_record(void *ctx)
{
	room_kick(ctx);
}

static int on_save(void *ctx, uint64_t tag, const struct evidence_counts *c, struct err *reterr)
{
	return store_save_counts(ctx, (int64_t)tag, c, reterr);
}

static void window_path(const struct release_room *room, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/haproxy/window", room->data_dir);
}

static int on_save_window(void *ctx, str window, struct err *reterr)
{
	char path[PATH_MAX];

	window_path(ctx, path);
	return fs_write_quick(path, window, 0600, reterr);
}

static int start_evidence(struct release_room *room, struct err *reterr)
{
	struct evidence_config cfg = { .port = room->evidence_port, .wake = on_bad_record, .save = on_save, .save_window = on_save_window, .ctx = room };
	struct buf CLEANUP_BUF window = BUF_INIT(1 << 20);
	char path[PATH_MAX];
	int  rc = evidence_new(&cfg, &room->evidence, reterr);

	if (rc)
		return rc;
	window_path(room, path);
	if (fs_read(path, &window, NULL) == 0)
		evidence_set_window(room->evidence, buf_str(&window));
	/* Watch before listening: the ring hands over at once what it kept. */
	for (size_t i = 0; i < room->releases.n; i++) {
		struct release       *r = room->releases.v[i];
		struct evidence_watch w = { .tag = (uint64_t)r->seq, .slot = r->service->slot, .canary = r->arm, .client = r->def->client,
			                    .error_window = r->def->rollout.error_window, .counts = r->counts };

		if (rollout_over(r->ro.state) || r->ro.state == ROLLOUT_QUEUED || r->ro.state == ROLLOUT_RETURNING)
			continue;
		if ((rc = evidence_watch(room->evidence, &w, reterr)))
			return rc;
		r->watching = true;
	}
	return evidence_start(room->evidence, reterr);
}

/* Routes, servers and shares as the database has them; HAProxy is brought to them when it is started or found. */
static int remember_traffic(struct release_room *room, struct err *reterr)
{
	for (size_t i = 0; i < room->services.n; i++) {
		struct service *s = room->services.v[i];

		if (s->has_route && room->traffic.set_route(room->traffic.ctx, s->slot, &s->route, reterr))
			return err_wrap(reterr, "%s", s->id);
	}
	for (size_t i = 0; i < room->instances.n; i++) {
		struct instance *n = room->instances.v[i];
		struct release  *r = room_release(room, str_z(n->release));

		if (!n->want || !r || r->ro.state == ROLLOUT_STARTING || r->ro.state == ROLLOUT_QUEUED)
			continue;
		if (r->ro.state == ROLLOUT_FINISHED && strcmp(r->service->stable, r->id) != 0) {
			struct release *active = room_active(room, r->service);

			if (!active || active->ro.state == ROLLOUT_RETURNING)
				continue; /* it is being started again, for a rollback by hand */
		}
		if (room->traffic.set_timeout(room->traffic.ctx, r->service->slot, n->arm, (unsigned)(r->def->request_timeout / USEC_PER_MSEC), reterr)
		    || room->traffic.add_server(room->traffic.ctx, r->service->slot, n->arm, n->name, n->port, reterr))
			return err_wrap(reterr, "%s", n->name);
		n->in_proxy = n->healthy = true;
	}
	for (size_t i = 0; i < room->services.n; i++)
		act_shares(room, room->services.v[i]);
	return 0;
}

/* Instances that no row knows: their row was never written, or is gone. */
static int stop_stray(void *arg, const char *name, struct err *reterr UNUSED)
{
	struct release_room *room = arg;

	if (!strcmp(name, "haproxy"))
		return 0;
	for (size_t i = 0; i < room->instances.n; i++)
		if (!strcmp(room->instances.v[i]->name, name))
			return 0;
	log_warn("release", "instance %s belongs to no release: it is stopped", name);
	if (room->work.stop(room->work.ctx, name, NULL) || room->work.remove(room->work.ctx, name, NULL))
		return 0; /* it is removed at the next start */
	return 0;
}

static bool under_way(struct release_room *room)
{
	for (size_t i = 0; i < room->releases.n; i++)
		if (!rollout_over(room->releases.v[i]->ro.state) || room->releases.v[i]->order != ORDER_NONE)
			return true;
	for (size_t i = 0; i < room->instances.n; i++)
		if (!room->instances.v[i]->want)
			return true;
	return false;
}

static void *worker_main(void *arg)
{
	struct release_room *room = arg;

	for (;;) {
		struct timespec at;
		bool            busy, stop;

		pthread_mutex_lock(&room->lock);
		turn_once(room);
		busy = under_way(room);
		pthread_mutex_unlock(&room->lock);
		clock_gettime(CLOCK_REALTIME, &at);
		at.tv_nsec += busy ? 200000000 : 0;
		at.tv_sec += busy ? at.tv_nsec / 1000000000 : 1;
		at.tv_nsec %= 1000000000;
		pthread_mutex_lock(&room->kick_lock);
		while (!room->kicked && !room->stop && pthread_cond_timedwait(&room->kick, &room->kick_lock, &at) == 0)
			;
		room->kicked = false;
		stop = room->stop;
		pthread_mutex_unlock(&room->kick_lock);
		if (stop)
			return NULL;
	}
}

int release_start(struct release_room *room, struct err *reterr)
{
	struct traffic_haproxy_config cfg = { .data_dir = room->data_dir, .bind = room->bind, .slots = room->cfg.slots, .procs = room->procs };
	int                           rc;

	if ((rc = choose_ports(room, reterr)))
		return rc;
	cfg.http_port = room->http_port;
	cfg.evidence_port = room->evidence_port;
	if ((rc = traffic_haproxy_new(&cfg, &room->proxy, reterr)))
		return rc;
	room->traffic = traffic_haproxy_ops(room->proxy);
	if ((rc = remember_traffic(room, reterr)) || (rc = workload_process_supervise(room->procs, reterr))
	    || (rc = room->work.each(room->work.ctx, stop_stray, room, reterr)) || (rc = start_evidence(room, reterr))
	    || (rc = traffic_haproxy_start(room->proxy, reterr)))
		return rc;
	if (pthread_create(&room->worker, NULL, worker_main, room))
		return err_set(reterr, WEIR_ENOMEM, "worker thread");
	if (pthread_create(&room->health, NULL, turn_health_main, room) || pthread_create(&room->keeper, NULL, keep_main, room))
		BUG("cannot start a second thread");
	room->running = true;
	return 0;
}

struct release_room *release_close(struct release_room *room)
{
	if (!room)
		return NULL;
	if (room->running) {
		pthread_mutex_lock(&room->kick_lock);
		room->stop = true;
		pthread_cond_broadcast(&room->kick);
		pthread_cond_broadcast(&room->tidy);
		pthread_mutex_unlock(&room->kick_lock);
		pthread_join(room->worker, NULL);
		pthread_join(room->health, NULL);
		pthread_join(room->keeper, NULL);
	}
	room_free(room);
	return NULL;
}

int release_shutdown_workloads(const char *data_dir, int64_t timeout_ms, struct err *reterr)
{
	return workload_process_shutdown(data_dir, timeout_ms, reterr);
}

uint16_t release_http_port(const struct release_room *r)
{
	return r->http_port;
}
